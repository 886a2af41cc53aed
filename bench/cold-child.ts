/** One cold start, in a process of its own: `cold-child.ts <library> <device>`. Prints one line of JSON. */

import type * as Tapegrad from "#tapegrad";
import { provideGpu } from "./support/dawn.ts";
import { loadJax, loadTfGpu, loadTfWasm } from "./support/peers.ts";
import { startJax } from "./training/jax.ts";
import { mlp, startOf, stepping, type Stepper } from "./training/model.ts";
import { startTapegrad } from "./training/tapegrad.ts";
import { startTfjs } from "./training/tfjs.ts";

/** Seconds from the import of the library on. */
export interface ColdStart {
  /** Until it can be used. */
  readonly loaded: number;
  /** Until the loss of the first training step is known. */
  readonly first: number;
  readonly second: number;
}

const [library, device, bundle] = process.argv.slice(2) as [string, "cpu" | "webgpu", string];
const model = mlp([784, 256, 10], 128);
const parameters = startOf(model);
const batches = [model.makeBatch(1), model.makeBatch(2)] as const;
const gpu = device === "webgpu" ? await provideGpu() : undefined;

async function load(): Promise<Stepper> {
  if (library === "tapegrad") {
    const tg = (await import(bundle)) as typeof Tapegrad;
    await tg.init({ device, ...(gpu === undefined ? {} : { gpu }) });
    return startTapegrad(tg, model, parameters);
  }
  if (library === "tfjs") return startTfjs(await (device === "cpu" ? loadTfWasm() : loadTfGpu()), model, parameters);
  const jax = await loadJax(device === "cpu" ? "wasm" : "webgpu", "one");
  return startJax(jax, model, parameters, library === "jax-js jit");
}

const begin = performance.now();
const trainer = stepping(await load());
const loaded = (performance.now() - begin) / 1e3;
await trainer.train([batches[0]]);
const first = (performance.now() - begin) / 1e3;
await trainer.train([batches[1]]);
const second = (performance.now() - begin) / 1e3 - first;
const result: ColdStart = { loaded, first, second };
console.log(JSON.stringify(result));
process.exit(0);
