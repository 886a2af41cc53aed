/** `tg.func`: what `torch.func` offers. Transforms of functions, which compose to any order. */

export { vmap, type Dims, type VmapOptions } from "./vmap.ts";
export {
  grad,
  gradAndValue,
  hessian,
  jacfwd,
  jacrev,
  jvp,
  valueAndGrad,
  vjp,
  type Argnums,
  type ByArgnums,
} from "./transforms.ts";
export type { TensorTree } from "./tree.ts";
