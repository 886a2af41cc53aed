/** Strided arrays in plain JavaScript: what tensors and their views are held against. Every element is looked up by itself. */

/** Numbers seen through strides. Views share `cells`. */
export interface Model {
  readonly cells: number[];
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Number of elements of a shape. */
export function count(shape: readonly number[]): number {
  return shape.reduce((n, size) => n * size, 1);
}

/** Every coordinate of a shape, in row-major order. */
export function coordinates(shape: readonly number[]): number[][] {
  let all: number[][] = [[]];
  for (const size of shape) all = all.flatMap((head) => Array.from({ length: size }, (_, i) => [...head, i]));
  return all;
}

/** A model of its own with these elements in row-major order. */
export function fresh(shape: readonly number[], elements: readonly number[]): Model {
  const strides = shape.map((_, d) => count(shape.slice(d + 1)));
  return { cells: [...elements], shape: [...shape], strides, offset: 0 };
}

/** Position in `cells` of the element at a coordinate. */
export function address(m: Model, at: readonly number[]): number {
  return at.reduce((sum, i, d) => sum + i * m.strides[d]!, m.offset);
}

/** Elements in row-major order. */
export function elements(m: Model): number[] {
  return coordinates(m.shape).map((at) => m.cells[address(m, at)]!);
}

/** Writes elements, given in row-major order. */
export function write(m: Model, values: readonly number[]): void {
  coordinates(m.shape).forEach((at, i) => (m.cells[address(m, at)] = values[i]!));
}

/** True if two coordinates are the same cell. */
export function overlaps(m: Model): boolean {
  const places = coordinates(m.shape).map((at) => address(m, at));
  return new Set(places).size < places.length;
}

/** The shape that two shapes broadcast to; null if they do not. */
export function broadcast(a: readonly number[], b: readonly number[]): number[] | null {
  const rank = Math.max(a.length, b.length);
  const result: number[] = [];
  for (let d = 0; d < rank; d++) {
    const m = a[d - rank + a.length] ?? 1;
    const n = b[d - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) return null;
    result.push(m === 1 ? n : m);
  }
  return result;
}

/** Repeats dimensions of size one; the shape must be one that `m` broadcasts to. */
export function expand(m: Model, shape: readonly number[]): Model {
  const lead = shape.length - m.shape.length;
  const strides = shape.map((size, d) =>
    d < lead || (m.shape[d - lead] === 1 && size !== 1) ? 0 : m.strides[d - lead]!,
  );
  return { ...m, shape: [...shape], strides };
}

/** The part `start, start + step, ...` (`length` elements) of a dimension. */
export function part(m: Model, dim: number, start: number, length: number, step = 1): Model {
  return {
    ...m,
    shape: m.shape.with(dim, length),
    strides: m.strides.with(dim, m.strides[dim]! * step),
    offset: m.offset + (length > 0 ? start * m.strides[dim]! : 0),
  };
}

/** One slice of a dimension. */
export function select(m: Model, dim: number, index: number): Model {
  const i = index < 0 ? index + m.shape[dim]! : index;
  return {
    ...m,
    shape: m.shape.toSpliced(dim, 1),
    strides: m.strides.toSpliced(dim, 1),
    offset: m.offset + i * m.strides[dim]!,
  };
}

/** A dimension of size one before `dim`. */
export function unsqueeze(m: Model, dim: number): Model {
  return { ...m, shape: m.shape.toSpliced(dim, 0, 1), strides: m.strides.toSpliced(dim, 0, 1) };
}

/** Python's `start:end:step` of a dimension. */
export function slice(m: Model, dim: number, start: number | null, end: number | null, step: number): Model {
  const size = m.shape[dim]!;
  const bound = (i: number): number => Math.min(Math.max(i < 0 ? i + size : i, 0), size);
  const [from, to] = [bound(start ?? 0), bound(end ?? size)];
  return part(m, dim, from, Math.max(0, Math.ceil((to - from) / step)), step);
}

/** Dimensions in another order. */
export function permute(m: Model, order: readonly number[]): Model {
  return { ...m, shape: order.map((d) => m.shape[d]!), strides: order.map((d) => m.strides[d]!) };
}

/** A diagonal of two dimensions, as the last dimension. */
export function diagonal(m: Model, offset: number, dim1: number, dim2: number): Model {
  const length = Math.max(0, Math.min(m.shape[dim1]! - Math.max(-offset, 0), m.shape[dim2]! - Math.max(offset, 0)));
  const start = Math.max(-offset, 0) * m.strides[dim1]! + Math.max(offset, 0) * m.strides[dim2]!;
  const rest = m.shape.map((_, d) => d).filter((d) => d !== dim1 && d !== dim2);
  return {
    ...m,
    shape: [...rest.map((d) => m.shape[d]!), length],
    strides: [...rest.map((d) => m.strides[d]!), m.strides[dim1]! + m.strides[dim2]!],
    offset: m.offset + (length > 0 ? start : 0),
  };
}

/** The same elements under another shape, in the same cells; null if no strides do that. */
export function view(m: Model, shape: readonly number[]): Model | null {
  if (count(shape) === 0) return fresh(shape, []);
  const places = coordinates(m.shape).map((at) => address(m, at));
  const rowMajor = shape.map((_, d) => count(shape.slice(d + 1)));
  const strides = shape.map((size, d) => (size > 1 ? places[rowMajor[d]!]! - places[0]! : 0));
  const result = { ...m, shape: [...shape], strides, offset: places[0]! };
  return coordinates(shape).every((at, i) => address(result, at) === places[i]) ? result : null;
}

/** A copy with dimensions reversed. */
export function flip(m: Model, dims: readonly number[]): Model {
  const from = coordinates(m.shape).map((at) => at.map((i, d) => (dims.includes(d) ? m.shape[d]! - 1 - i : i)));
  return fresh(
    m.shape,
    from.map((at) => m.cells[address(m, at)]!),
  );
}

/** A copy picked by index arrays, one entry a dimension (null: all of it), with PyTorch's rules for where their dimensions go. */
export function pick(m: Model, indices: readonly (Model | null)[]): Model {
  const dims = indices.flatMap((index, d) => (index === null ? [] : [d]));
  const common = indices.reduce<number[]>(
    (shape, index) => (index === null ? shape : broadcast(shape, index.shape)!),
    [],
  );
  const adjacent = dims.every((d, i) => i === 0 || d === dims[i - 1]! + 1);
  const free = m.shape.map((_, d) => d).filter((d) => !dims.includes(d));
  const before = adjacent ? free.filter((d) => d < dims[0]!) : [];
  const after = free.filter((d) => !before.includes(d));
  const shape = [...before.map((d) => m.shape[d]!), ...common, ...after.map((d) => m.shape[d]!)];
  const wide = indices.map((index) => (index === null ? null : expand(index, common)));
  const values = coordinates(shape).map((at) => {
    const chosen = at.slice(before.length, before.length + common.length);
    const whole = m.shape.map((size, d) => {
      const index = wide[d] ?? null;
      if (index !== null) {
        const i = index.cells[address(index, chosen)]!;
        return i < 0 ? i + size : i;
      }
      const place = before.indexOf(d);
      return place >= 0 ? at[place]! : at[before.length + common.length + after.indexOf(d)]!;
    });
    return m.cells[address(m, whole)]!;
  });
  return fresh(shape, values);
}
