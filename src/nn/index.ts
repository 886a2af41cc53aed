/** `tg.nn`: layers and their functions. */

export * as functional from "./functional.ts";
export * as init from "./init.ts";
export * as utils from "./utils.ts";
export { Module, type ForwardHook, type ForwardPreHook, type LoadResult, type StateDict } from "./module.ts";
export { Parameter } from "./parameter.ts";
export * from "./containers.ts";
export * from "./conv.ts";
export {
  Bilinear,
  Embedding,
  EmbeddingBag,
  Flatten,
  Identity,
  Linear,
  Unflatten,
  Upsample,
  type FactoryOptions,
} from "./linear.ts";
export * from "./loss.ts";
export * from "./norm.ts";
export * from "./recurrent.ts";
export * from "./simple.ts";
export * from "./transformer.ts";
