/** Hand-built kernels for the tests of backends. */

import type { Backend, Call, DeviceBuffer, Program } from "../../src/backend/backend.ts";
import { fillHost, hostArray, hostNumbers, type DType, type HostArray } from "../../src/dtype.ts";
import { Builder, valueType, type Value } from "../../src/graph/builder.ts";
import {
  fusedKey,
  routineKey,
  type BufferSlot,
  type FusedData,
  type FusedStructure,
  type RoutineName,
  type RoutineStructure,
  type ValueType,
} from "../../src/graph/kernel.ts";

/** An array in memory, seen through strides: what a kernel reads from or writes to. */
export interface Operand {
  readonly dtype: DType;
  /** One stride an outer dimension, then one an inner dimension. */
  readonly strides: readonly number[];
  readonly offset?: number;
}

/** A kernel in words: sizes, operands read, operands written, and what is computed. */
export interface KernelSpec {
  readonly outer: readonly number[];
  readonly inner?: readonly number[];
  readonly reads: readonly Operand[];
  readonly writes: readonly Operand[];
  /** Writes to the memory of an operand that is read: position in `writes` to position in `reads`. */
  readonly inPlace?: Readonly<Record<number, number>>;
  readonly scalars?: readonly { readonly type: ValueType; readonly value: number }[];
  /** Values of the writes, from the values of the reads and of the scalars. `iota` gives an affine number of the coordinates. */
  readonly body: (b: Builder, reads: readonly Value[], context: BodyContext) => readonly Value[];
}

export interface BodyContext {
  readonly scalars: readonly Value[];
  iota(strides: readonly number[], offset?: number): Value;
  /** Element at a computed position of an operand that is read. */
  at(read: number, index: Value): Value;
}

/** Structure and data of a kernel; buffers are those of `reads`, then those of `writes` that are not in place. */
export function fusedKernel(spec: KernelSpec): { structure: FusedStructure; data: FusedData } {
  const b = new Builder();
  const outerRank = spec.outer.length;
  const inner = spec.inner ?? [];
  const accesses: { buffer: number; strides: readonly number[]; offset: number }[] = [];
  const access = (buffer: number, strides: readonly number[], offset = 0): number =>
    accesses.push({ buffer, strides, offset }) - 1;
  const reads = spec.reads.map((r, i) => b.emit("load", valueType(r.dtype), [], access(i, r.strides, r.offset)));
  const scalars = (spec.scalars ?? []).map((s, i) => b.emit("scalar", s.type, [], i));
  const results = spec.body(b, reads, {
    scalars,
    iota: (strides, offset) => b.emit("iota", "i", [], access(-1, strides, offset)),
    at: (read, index) => b.emit("loadAt", valueType(spec.reads[read]!.dtype), [index], read),
  });
  const buffers: BufferSlot[] = spec.reads.map((r) => ({ dtype: r.dtype, mode: "read" }));
  const stores = spec.writes.map((w, i) => {
    let buffer = spec.inPlace?.[i];
    if (buffer === undefined) buffer = buffers.push({ dtype: w.dtype, mode: "write" }) - 1;
    else buffers[buffer] = { ...buffers[buffer]!, mode: "read-write" };
    return { access: access(buffer, w.strides, w.offset), value: results[i]! };
  });
  const classOf = (stride: number, size: number): string =>
    stride === 0 || size === 1 ? "0" : stride === 1 ? "1" : "s";
  const sizes = [...spec.outer, ...inner];
  const classes = accesses.map((a) => a.strides.map((s, d) => classOf(s, sizes[d]!)).join(""));
  const levels: ("row" | "full")[] = [];
  for (const i of b.instrs) {
    let full = i.args.some((arg) => levels[arg] === "full");
    if (i.op === "load" || i.op === "iota") full = /[1s]/.test(classes[i.imm as number]!.slice(outerRank));
    if (i.op === "reduce") full = false;
    levels.push(full ? "full" : "row");
  }
  const content: Omit<FusedStructure, "key"> = {
    kind: "fused",
    outerRank,
    innerRank: inner.length,
    instrs: b.instrs,
    levels,
    buffers,
    accesses: accesses.map((a, i) => ({ buffer: a.buffer, classes: classes[i]! })),
    stores,
    scalars: (spec.scalars ?? []).map((s) => s.type),
    usesStatus: b.instrs.some((i) => i.op === "checkIndex"),
  };
  const data: FusedData = {
    outer: spec.outer,
    inner,
    strides: accesses.map((a) => a.strides),
    offsets: accesses.map((a) => a.offset),
    scalars: (spec.scalars ?? []).map((s) => s.value),
  };
  return { structure: { ...content, key: fusedKey(content) }, data };
}

/** Structure of a routine. */
export function routine(
  name: RoutineName,
  attrs: Readonly<Record<string, string | number>>,
  buffers: readonly BufferSlot[],
): RoutineStructure {
  return {
    kind: "routine",
    name,
    attrs,
    buffers,
    usesStatus: name === "scatter",
    key: routineKey(name, attrs, buffers),
  };
}

/** Numbers as a host array of a dtype. */
export function host(dtype: DType, values: ArrayLike<number>): HostArray {
  const array = hostArray(dtype, values.length);
  fillHost(array, dtype, values);
  return array;
}

/** A buffer with these elements. */
export function bufferOf(backend: Backend, dtype: DType, values: ArrayLike<number>): DeviceBuffer {
  const buffer = backend.allocate(backend.bytesFor(dtype, values.length));
  backend.upload(buffer, dtype, host(dtype, values));
  return buffer;
}

/** Elements of a buffer as numbers. Throws if an index check failed. */
export async function elements(backend: Backend, buffer: DeviceBuffer, dtype: DType, count: number): Promise<number[]> {
  const { arrays, fault } = await backend.read([{ buffer, dtype, offset: 0, count }]);
  if (fault !== 0) throw new Error(`an index check failed with tag ${fault}`);
  return Array.from(hostNumbers(arrays[0]!, dtype));
}

/** A call of a kernel, compiled if need be. */
export function callOf(
  backend: Backend,
  structure: FusedStructure | RoutineStructure,
  data: Call["data"],
  buffers: readonly DeviceBuffer[],
  tag = 1,
): Call {
  const program: Program = backend.prepare(structure);
  return { program, data, buffers, tag };
}

/**
 * Runs a kernel on arrays, and gives the elements of what it wrote. `inputs` follow `reads`; `counts` are the elements of each
 * write (ignored where it is in place).
 */
export async function runKernel(
  backend: Backend,
  spec: KernelSpec,
  inputs: readonly ArrayLike<number>[],
  counts: readonly number[],
): Promise<number[][]> {
  const { structure, data } = fusedKernel(spec);
  const buffers = spec.reads.map((r, i) => bufferOf(backend, r.dtype, inputs[i]!));
  const results = spec.writes.map((w, i) => {
    const at = spec.inPlace?.[i];
    if (at !== undefined) return { buffer: buffers[at]!, dtype: w.dtype, offset: 0, count: inputs[at]!.length };
    const buffer = backend.allocate(backend.bytesFor(w.dtype, counts[i]!));
    buffers.push(buffer);
    return { buffer, dtype: w.dtype, offset: 0, count: counts[i]! };
  });
  backend.run([callOf(backend, structure, data, buffers)]);
  const { arrays, fault } = await backend.read(results);
  for (const buffer of buffers) backend.release(buffer);
  if (fault !== 0) throw new Error(`an index check failed with tag ${fault}`);
  return arrays.map((a, i) => Array.from(hostNumbers(a, results[i]!.dtype)));
}

/** Applies an elementwise operation of float32 operands to arrays of equal length. */
export async function applyMap(
  backend: Backend,
  inputs: readonly ArrayLike<number>[],
  body: (b: Builder, x: readonly Value[]) => Value,
  out: DType = "float32",
  dtypes: readonly DType[] = inputs.map(() => "float32"),
): Promise<number[]> {
  const n = inputs[0]!.length;
  const spec: KernelSpec = {
    outer: [n],
    reads: dtypes.map((dtype) => ({ dtype, strides: [1] })),
    writes: [{ dtype: out, strides: [1] }],
    body: (b, x) => [body(b, x)],
  };
  return (await runKernel(backend, spec, inputs, [n]))[0]!;
}
