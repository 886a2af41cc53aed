/** Who trains, in a run in Node. */

import * as tg from "#tapegrad";
import { ownVersion } from "../support/machine.ts";
import type { ThreadMode } from "../support/options.ts";
import { loadJax, loadTfGpu, loadTfWasm, peerVersion, threadsOf } from "../support/peers.ts";
import { initTapegrad } from "../subjects/all.ts";
import { messageOf, type Device } from "../subjects/subject.ts";
import { startTorch } from "../subjects/torch.ts";
import { startJax } from "./jax.ts";
import { stepping, type TrainerFactory } from "./model.ts";
import { startTapegrad } from "./tapegrad.ts";
import { startTfjs } from "./tfjs.ts";
import { startTorchTraining } from "./torch.ts";

/** Tapegrad first, then the peers, then the ceiling. What cannot be started is reported and left out. */
export async function makeFactories(device: Device, mode: ThreadMode): Promise<TrainerFactory[]> {
  const threads = threadsOf(mode);
  const own = await initTapegrad(device, mode);
  const factories = [false, true].map((compiled): TrainerFactory => ({
    name: `tapegrad${compiled ? " compile" : ""}`,
    library: "tapegrad",
    version: ownVersion(),
    threads: own,
    start: (model, parameters) => stepping(startTapegrad(tg, model, parameters, compiled)),
  }));
  const suffix = device === "cpu" ? "wasm" : "webgpu";
  const add = async (name: string, make: () => Promise<TrainerFactory[]>): Promise<void> => {
    try {
      factories.push(...(await make()));
    } catch (error) {
      console.error(`${name} cannot be started: ${messageOf(error)}`);
    }
  };
  await add("jax-js", async () => {
    const jax = await loadJax(suffix, mode);
    return [false, true].map((jitted) => ({
      name: `jax-js ${suffix}${jitted ? " jit" : ""}`,
      library: "jax-js",
      version: peerVersion("@jax-js/jax"),
      threads,
      start: (model, parameters) => stepping(startJax(jax, model, parameters, jitted)),
    }));
  });
  await add("TensorFlow.js", async () => {
    const tf = device === "cpu" ? await loadTfWasm() : await loadTfGpu();
    return [
      {
        name: `tfjs ${suffix}`,
        library: "tfjs",
        version: peerVersion("@tensorflow/tfjs-core"),
        threads: 1,
        start: (model, parameters) => stepping(startTfjs(tf, model, parameters)),
      },
    ];
  });
  await add("PyTorch", async () => {
    const started = await startTorch(device, threads);
    if (started === null) return [];
    return [
      {
        name: `pytorch ${device === "cpu" ? "cpu" : "cuda"}`,
        library: "pytorch",
        version: started.version,
        threads,
        isCeiling: true,
        start: (model, parameters) => startTorchTraining(started.server, model, parameters),
        close: () => started.server.close(),
      },
    ];
  });
  return factories;
}
