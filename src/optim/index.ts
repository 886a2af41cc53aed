/** `tg.optim`: optimisers. */

export {
  Optimizer,
  type GivenGroup,
  type OptimizerState,
  type ParamGroup,
  type Parameters,
  type ParamState,
} from "./optimizer.ts";
export { SGD, type SGDOptions } from "./sgd.ts";
export { Adam, AdamW, type AdamOptions } from "./adam.ts";
