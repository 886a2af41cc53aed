/**
 * Linear maps along one dimension in which every output is a weighted sum of a few inputs: interpolation, and padding by
 * reflection. The taps are host tables; the adjoint is such a map with the inverse table, so gradients gather.
 */

import { record } from "../autograd/tape.ts";
import type { Backend } from "../backend/backend.ts";
import type { DType } from "../dtype.ts";
import { contiguousStrides } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, iota, mapOp } from "./apply.ts";
import { fromHost } from "./creation.ts";

/** For each output the inputs that it reads, with their weights. */
export type Taps = readonly (readonly (readonly [index: number, weight: number])[])[];

/** A map from `input` to `taps.length` elements. */
export interface Resampling {
  /** Equal keys, equal maps. */
  readonly key: string;
  readonly input: number;
  readonly output: number;
  readonly inverse: Resampling;
  table(backend: Backend, dtype: DType): Table;
}

/** Taps on a device: positions and weights [output, width]; -1 where an output has fewer taps. */
interface Table {
  readonly index: Tensor;
  readonly weight: Tensor | null;
  readonly width: number;
}

const known = new Map<string, Resampling>();
const MAX_KNOWN = 256;

/** The map with this key, built by `taps` on first use. */
export function resampling(key: string, input: number, taps: () => Taps): Resampling {
  let found = known.get(key);
  if (found === undefined) {
    const forward = taps();
    const back: (readonly [number, number])[][] = Array.from({ length: input }, () => []);
    forward.forEach((list, o) => {
      for (const [i, w] of list) back[i]!.push([o, w]);
    });
    found = pairOf(key, forward, back);
    known.set(key, found);
    if (known.size > MAX_KNOWN) known.delete(known.keys().next().value!);
  }
  return found;
}

function pairOf(key: string, forward: Taps, back: Taps): Resampling {
  const tables: Map<string, Table>[] = [new Map(), new Map()];
  const make = (which: 0 | 1, name: string, taps: Taps, input: number, other: () => Resampling): Resampling => ({
    key: name,
    input,
    output: taps.length,
    get inverse() {
      return other();
    },
    table: (backend, dtype) => {
      const place = `${backend.type}/${dtype}`;
      let table = tables[which]!.get(place);
      if (table === undefined || table.index.impl.backend !== backend) {
        table = tableOf(taps, backend, dtype);
        tables[which]!.set(place, table);
      }
      return table;
    },
  });
  const one: Resampling = make(0, key, forward, back.length, () => two);
  const two: Resampling = make(1, `${key}/inverse`, back, forward.length, () => one);
  return one;
}

function tableOf(taps: Taps, backend: Backend, dtype: DType): Table {
  const width = taps.reduce((n, list) => Math.max(n, list.length), 1);
  const index = new Int32Array(taps.length * width).fill(-1);
  const weight = new Float64Array(taps.length * width);
  taps.forEach((list, o) =>
    list.forEach(([i, w], t) => {
      index[o * width + t] = i;
      weight[o * width + t] = w;
    }),
  );
  const plain = taps.every((list) => list.every(([, w]) => w === 1));
  const shape = [taps.length, width];
  const wide = dtype === "float64";
  return {
    index: fromHost(backend, index, shape, "int32"),
    weight: plain
      ? null
      : fromHost(backend, wide ? weight : Float32Array.from(weight), shape, wide ? dtype : "float32"),
    width,
  };
}

/** Applies a map along a dimension, off the tape. */
function resampleValues(x: Tensor, dim: number, by: Resampling): Tensor {
  const { shape, dtype } = x;
  const target = shape.map((n, d) => (d === dim ? by.output : n));
  if (x.numel() === 0 || by.output === 0) return x.newZeros(target);
  const { index, weight, width } = by.table(x.impl.backend, dtype);
  const { strides, offset, storage } = x.impl;
  const full = [...target, width];
  const spread = (t: Tensor): Tensor =>
    t.view([...shape.map((_, d) => (d === dim ? by.output : 1)), width]).expand(full);
  const map = mapOp(`resample:${weight !== null}:${dtype}`, 8, (b, [base, at, w], { scalars, table }) => {
    const zero = b.lit(0, "i");
    const valid = b.compare("ge", at!, zero);
    const value = table(0, b.add(base!, b.mul(b.select(valid, at!, zero), scalars[0]!)));
    const term = w === undefined ? value : b.mul(value, b.cast(w, b.type(value)));
    return b.select(valid, term, b.lit(0, term));
  });
  const { node } = storage;
  const args = [iota(full, [...strides.map((s, d) => (d === dim ? 0 : s)), 0], offset), argOf(spread(index))];
  if (weight !== null) args.push(argOf(spread(weight)));
  const terms = applyNode(x.impl.backend, map, full, dtype, args, {
    scalars: [strides[dim]!],
    scalarTypes: ["i"],
    tables: [{ node, view: { shape: node.shape, strides: contiguousStrides(node.shape), offset: 0 } }],
  });
  return width === 1 ? terms.squeeze(-1).detach() : terms.sum(-1, false, { dtype });
}

/** Applies maps along dimensions, one after the other, as one entry of the tape. */
export function resample(name: string, x: Tensor, maps: readonly (readonly [dim: number, by: Resampling])[]): Tensor {
  let out = x.detach();
  for (const [dim, by] of maps) out = resampleValues(out, dim, by);
  if (maps.length === 0) out = out.clone();
  const back = maps.map(([dim, by]) => [dim, by.inverse] as const).toReversed();
  record(name, out, [[x, [], (g) => resample(name, g, back)]]);
  return out;
}
