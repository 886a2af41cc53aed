/** `tg.utils`: what `torch.utils` offers. */

export { checkpoint, type CheckpointOptions } from "../autograd/checkpoint.ts";
