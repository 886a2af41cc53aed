/** `tg.io`: files of tensors. */

export { loadNpy, loadNpz, saveNpy, saveNpz } from "./npy.ts";
export { loadSafetensors, saveSafetensors } from "./safetensors.ts";
export { loadSnapshot, saveSnapshot } from "./snapshot.ts";
export type { Bytes } from "./bytes.ts";
