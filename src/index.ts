export { Tensor, readAll } from "./tensor.ts";
