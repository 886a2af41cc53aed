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
export {
  Adadelta,
  Adagrad,
  Adamax,
  ASGD,
  NAdam,
  RAdam,
  RMSprop,
  Rprop,
  type AdadeltaOptions,
  type AdagradOptions,
  type AdamaxOptions,
  type ASGDOptions,
  type NAdamOptions,
  type RAdamOptions,
  type RMSpropOptions,
  type RpropOptions,
} from "./adaptive.ts";
export { LBFGS, type Closure, type LBFGSOptions, type LBFGSState } from "./lbfgs.ts";
export * as lrScheduler from "./lr-scheduler.ts";
