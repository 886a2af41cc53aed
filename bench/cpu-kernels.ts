/**
 * Speed of the CPU's kernels beside the machine's own: bandwidth of a copy and a register-only loop of multiply-adds, measured in turn with
 * them. `node bench/cpu-kernels.ts [--threads n] [--only name,name]`. Times are medians of wall-clock time with the best in brackets; on a busy
 * machine the best is nearer the truth.
 */

import { parseArgs } from "node:util";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { detectWasm } from "../src/backend/cpu/wasm/detect.ts";
import { ModuleBuilder } from "../src/backend/cpu/wasm/emitter.ts";
import { defaultBackend } from "../src/graph/devices.ts";
import { flushRecorded } from "../src/graph/runtime.ts";

const { values } = parseArgs({ options: { threads: { type: "string", default: "1" }, only: { type: "string" } } });
const only = values.only?.split(",") ?? null;
const SAMPLES = 15;

/** Runs a body until it is optimised, then gives the sorted milliseconds of its samples. */
function sample(body: () => void, repeat: number): number[] {
  for (let i = 0; i < 3 * repeat; i++) body();
  const times = Array.from({ length: SAMPLES }, () => {
    const start = performance.now();
    for (let r = 0; r < repeat; r++) body();
    return (performance.now() - start) / repeat;
  });
  return times.sort((a, b) => a - b);
}

function report(name: string, unit: string, amount: number, body: () => void, repeat = 1): void {
  if (only !== null && !only.some((word) => name.includes(word))) return;
  const times = sample(body, repeat);
  const [best, median] = [times[0]!, times[SAMPLES >> 1]!];
  if (amount / best / 1e6 > 1000) throw new Error(`${name}: nothing was computed`);
  const rate = (ms: number): string => (amount / ms / 1e6).toFixed(1);
  console.log(
    `${name.padEnd(28)} ${median.toFixed(2).padStart(9)} ms ${rate(median).padStart(7)} ${unit}   (best ${best.toFixed(2)} ms, ${rate(best)} ${unit})`,
  );
}

/** A loop of multiply-adds on twelve registers: 96 float32 operations a turn. */
function peak(): (turns: number) => void {
  const module = new ModuleBuilder(false);
  const f = module.function("f", ["i32"]);
  const sums = Array.from({ length: 12 }, (_, i) => {
    const sum = f.local("v128");
    f.copy(sum, f.vector("f32x4", i));
    return sum;
  });
  const [a, b, i] = [f.vector("f32x4", 0.5), f.vector("f32x4", 0.25), f.local("i32")];
  f.forLoop(i, f.args[0]!, 1, () => {
    for (const sum of sums)
      if (detectWasm()?.relaxed === true) f.assign(sum, "f32x4.relaxed_madd", [a, b, sum]);
      else f.assign(sum, "f32x4.add", [sum, f.op("f32x4.mul", [a, b])]);
  });
  for (const sum of sums) f.effect("v128.store", [f.const("i32", 0), sum]);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()), { m: { memory } });
  return instance.exports["f"] as (turns: number) => void;
}

/** Computes a tensor and lets it go. */
const use = (t: Tensor): void => {
  flushRecorded(defaultBackend());
  t.dispose();
};

await tg.init({ device: "cpu", threads: Number(values.threads) });
// Workers start in the background.
for (let i = 0; i < 20; i++) {
  use(tg.ones(2 ** 20).exp());
  await new Promise((resolve) => setTimeout(resolve, 10));
}
console.log(tg.currentDevice().description);

const N = 2 ** 24;
const [from, to] = [new Float32Array(N).fill(1), new Float32Array(N)];
report("copy (typed array)", "GB/s", 8 * N, () => to.set(from));
const loop = peak();
report("multiply-add peak, 1 thread", "GFLOP/s", 96e5, () => loop(1e5), 10);

const x = tg.randn([N]).retain();
const y = tg.randn([N]).retain();
report("add 2^24", "GB/s", 12 * N, () => use(x.add(y)));
report("gelu 2^24", "GB/s", 8 * N, () => use(tg.F.gelu(x)));
report("exp 2^24", "GB/s", 8 * N, () => use(x.exp()));
report("ten-op chain 2^24", "GB/s", 12 * N, () => {
  let z = x;
  for (let i = 0; i < 5; i++) z = z.mul(1.5).add(y);
  use(z);
});
const rows = tg.randn([16384, 256]).retain();
report("softmax 16384x256", "GB/s", 8 * rows.numel(), () => use(rows.softmax(1)));
const normed = tg.randn([16384, 384]).retain();
const [weight, bias] = [tg.ones(384).retain(), tg.zeros(384).retain()];
report("layer norm 16384x384", "GB/s", 8 * normed.numel(), () => use(tg.F.layerNorm(normed, [384], weight, bias)));
report("column sum 16384x384", "GB/s", 4 * normed.numel(), () => use(normed.sum(0)));
const square = tg.randn([4096, 4096]).retain();
report("transpose 4096x4096", "GB/s", 8 * N, () => use(square.t().contiguous()));
report("cumsum 4096x4096", "GB/s", 8 * N, () => use(square.cumsum(1)));
square.dispose();
const many = tg.randn([2 ** 26]).retain();
report("sum 2^26", "GB/s", 4 * 2 ** 26, () => use(many.sum()));
report("max 2^26", "GB/s", 4 * 2 ** 26, () => use(many.max()));
many.dispose();

for (const n of [256, 512, 1024, 2048]) {
  const [a, b] = [tg.randn([n, n]).retain(), tg.randn([n, n]).retain()];
  report(`matmul ${n}`, "GFLOP/s", 2 * n ** 3, () => use(a.matmul(b)), Math.max(1, Math.round(1e8 / n ** 3)));
  if (n === 1024) {
    report("matmul 1024, A^T B^T", "GFLOP/s", 2 * n ** 3, () => use(a.t().matmul(b.t())));
    const [c, d] = [Float64Array.from(await a.data()), Float64Array.from(await b.data())];
    const got = await a.matmul(b).data();
    let worst = 0;
    for (let at = 0; at < n * n; at += 997) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += c[Math.floor(at / n) * n + k]! * d[k * n + (at % n)]!;
      worst = Math.max(worst, Math.abs(got[at]! - sum) / Math.sqrt(n));
    }
    console.log(`  largest error against float64: ${worst.toExponential(1)} sqrt(k)`);
    if (!(worst < 5e-6)) throw new Error("the product is wrong");
  }
}
const [u, v] = [tg.randn([1, 4096]).retain(), tg.randn([4096, 4096]).retain()];
report("vector-matrix 4096", "GB/s", 4 * N, () => use(u.matmul(v)));
report("matrix-vector 4096", "GB/s", 4 * N, () => use(v.matmul(u.t())));
tg.destroy();
