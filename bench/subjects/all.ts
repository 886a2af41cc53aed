/** The subjects of a run in Node. */

import * as tg from "#tapegrad";
import { provideGpu } from "../support/dawn.ts";
import { ownVersion } from "../support/machine.ts";
import type { ThreadMode } from "../support/options.ts";
import { loadJax, loadOrt, loadTfGpu, loadTfWasm, peerVersion, threadsOf } from "../support/peers.ts";
import { jaxSubject } from "./jax.ts";
import { ortSubject } from "./ort.ts";
import { messageOf, type Device, type Subject } from "./subject.ts";
import { tapegradSubject } from "./tapegrad.ts";
import { tfjsSubject } from "./tfjs.ts";
import { torchSubjects } from "./torch.ts";

/** Starts Tapegrad on a device, with the threads of the mode where it is the CPU; gives their number. */
export async function initTapegrad(device: Device, mode: ThreadMode): Promise<number> {
  const threads = threadsOf(mode);
  await tg.init(device === "webgpu" ? { device, gpu: await provideGpu() } : { device, threads });
  return threads;
}

/** Tapegrad first, then the peers, then the ceiling. What cannot be started is reported and left out. */
export async function makeSubjects(device: Device, mode: ThreadMode): Promise<Subject[]> {
  const threads = threadsOf(mode);
  if (device === "webgpu") await provideGpu();
  const own = await initTapegrad(device, mode);
  const subjects: Subject[] = [false, true].map((compiled) => tapegradSubject(tg, device, ownVersion(), own, compiled));
  const jaxVersion = peerVersion("@jax-js/jax");
  const jaxNote = device === "cpu" && mode === "all" ? "its web workers run as worker threads" : undefined;
  const start = async (name: string, make: () => Promise<Subject[]>): Promise<void> => {
    try {
      subjects.push(...(await make()));
    } catch (error) {
      console.error(`${name} cannot be started: ${messageOf(error)}`);
    }
  };
  await start("jax-js", async () => {
    const jax = await loadJax(device === "cpu" ? "wasm" : "webgpu", mode);
    return [false, true].map((jitted) => jaxSubject(jax, device, jitted, jaxVersion, threads, jaxNote));
  });
  await start("TensorFlow.js", async () => {
    const tf = device === "cpu" ? await loadTfWasm() : await loadTfGpu();
    const note = device === "cpu" && mode === "all" ? "has no threads in Node" : undefined;
    return [tfjsSubject(tf, device, peerVersion("@tensorflow/tfjs-core"), 1, note)];
  });
  await start("ONNX Runtime Web", async () => [ortSubject(await loadOrt(device, mode), device, threads)]);
  await start("PyTorch", () => torchSubjects(device, threads));
  return subjects;
}
