/** Matrix products. */

import { ErrorMeter, samplePositions } from "./reference.ts";
import { by, bytesOf, normal, product, type Workload } from "./workload.ts";

interface Product {
  readonly batch?: readonly number[];
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA?: boolean;
  readonly quick?: boolean;
  readonly name?: string;
  /** The second operand has no batch dimensions. */
  readonly bound?: "compute" | "memory";
}

function matmul({
  batch = [],
  m,
  k,
  n,
  transposeA = false,
  quick = false,
  name,
  bound = "compute",
}: Product): Workload {
  const inputs = [normal([...batch, ...(transposeA ? [k, m] : [m, k])]), normal([...batch, k, n])];
  const batches = product(batch);
  return {
    id: `matmul-${name ?? by(m, k, n)}`,
    title: `${batches > 1 ? `${batches} x (` : ""}[${m}, ${k}]${transposeA ? " (stored transposed)" : ""} @ [${k}, ${n}]${batches > 1 ? ")" : ""}`,
    task: { op: "matmul", transposeA },
    inputs,
    flops: 2 * batches * m * k * n,
    bytes: bytesOf(inputs, [[...batch, m, n]]),
    bound,
    quick,
    check([a, b], [out]) {
      const meter = new ErrorMeter();
      for (const at of samplePositions(batches * m * n, 200)) {
        const j = at % n;
        const i = Math.floor(at / n) % m;
        const base = Math.floor(at / (m * n));
        let sum = 0;
        let size = 0;
        for (let p = 0; p < k; p++) {
          const term = a![base * m * k + (transposeA ? p * m + i : i * k + p)]! * b![base * k * n + p * n + j]!;
          sum += term;
          size += Math.abs(term);
        }
        meter.note(out?.[at], sum, 1e-5 * size);
      }
      return meter.worst;
    },
  };
}

/** Square ones, awkward ones, those of a transformer's layers forward and backward, batched ones, and a vector. */
export const matmuls: readonly Workload[] = [
  ...[256, 512, 1024, 2048, 4096, 8192].map((n) =>
    matmul({ m: n, k: n, n, name: `${n}`, quick: n === 256 || n === 1024 }),
  ),
  matmul({ m: 1000, k: 1003, n: 997, quick: true }),
  matmul({ m: 16384, k: 384, n: 1152 }),
  matmul({ m: 384, k: 16384, n: 1536, transposeA: true, name: "384x16384x1536-T" }),
  matmul({ batch: [384], m: 256, k: 64, n: 256, name: "batched-384x256x64x256" }),
  matmul({ m: 1, k: 4096, n: 4096, name: "vector-4096", bound: "memory", quick: true }),
];
