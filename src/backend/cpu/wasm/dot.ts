/** Matrix products as sums of products: for vectors, and for dtypes that have no kernel of their own. */

import type { DType } from "../../../dtype.ts";
import { Builder, valueType } from "../../../graph/builder.ts";
import { fusedKey, type FusedData, type FusedStructure } from "../../../graph/kernel.ts";

/** A `matmul` routine's numbers (see `kernel.ts`) as a fused kernel over [...batch, m, n] that reduces over k. */
export function dotKernel(
  dtype: DType,
  rank: number,
  ints: readonly number[],
): { structure: FusedStructure; data: FusedData } {
  const [m, n, k] = ints as [number, number, number];
  const sizes = ints.slice(3, 3 + rank);
  const [offsetA, rowA, columnA] = ints.slice(3 + rank) as [number, number, number];
  const batchA = ints.slice(6 + rank, 6 + 2 * rank);
  const [offsetB, rowB, columnB] = ints.slice(6 + 2 * rank) as [number, number, number];
  const batchB = ints.slice(9 + 2 * rank);
  const outer = [...sizes, m, n];
  const dense = outer.map((_, d) => outer.slice(d + 1).reduce((a, b) => a * b, 1));
  const kept = outer.map((size, d) => ({ size, d })).filter(({ size }) => size > 1);
  const along = (strides: readonly number[], last: number): number[] => [
    ...kept.map(({ d }) => strides[d]!),
    k === 1 ? 0 : last,
  ];
  const strides = [along([...batchA, rowA, 0], columnA), along([...batchB, 0, columnB], rowB), along(dense, 0)];
  const classes = strides.map((list) => list.map((s) => (s === 0 ? "0" : s === 1 ? "1" : "s")).join(""));
  const b = new Builder();
  const type = valueType(dtype);
  const product = b.mul(b.emit("load", type, [], 0), b.emit("load", type, [], 1));
  const sum = b.emit("reduce", type, [product], "sum");
  const full = (access: number): "row" | "full" => (classes[access]!.endsWith("0") ? "row" : "full");
  const levels = [full(0), full(1), full(0) === "full" || full(1) === "full" ? ("full" as const) : ("row" as const)];
  const content: Omit<FusedStructure, "key"> = {
    kind: "fused",
    outerRank: kept.length,
    innerRank: 1,
    instrs: b.instrs,
    levels: [...levels, "row"],
    buffers: [
      { dtype, mode: "read" },
      { dtype, mode: "read" },
      { dtype, mode: "write" },
    ],
    accesses: classes.map((text, buffer) => ({ buffer, classes: text })),
    stores: [{ access: 2, value: sum }],
    scalars: [],
    usesStatus: false,
  };
  const data: FusedData = {
    outer: kept.map(({ size }) => size),
    inner: [k],
    strides,
    offsets: [offsetA, offsetB, 0],
    scalars: [],
  };
  return { structure: { ...content, key: fusedKey(content) }, data };
}
