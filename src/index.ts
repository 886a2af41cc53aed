/**
 * Tapegrad: PyTorch's eager tensors and autograd in TypeScript, on WebGPU and on the CPU.
 *
 * Importing has no side effects on the host: no device is looked for before `init()`.
 *
 * @packageDocumentation
 */

export { Tensor, readAll, type HookHandle, type NestedValues, type TensorData } from "./tensor.ts";
export type { DType } from "./dtype.ts";
export type { DeviceType } from "./backend/backend.ts";
export * from "./errors.ts";

export {
  init,
  currentDevice,
  synchronize,
  destroy,
  onDeviceLost,
  memory,
  memorySnapshot,
  resetPeakMemory,
  setMemoryBudget,
  type DeviceInfo,
  type DeviceLoss,
  type InitOptions,
  type MemoryInfo,
  type MemoryValue,
} from "./init.ts";
export { scope, type ScopeGuard } from "./scope.ts";
export { memoryTimeline, type MemoryTimeline } from "./timeline.ts";
export { profile, type Profile, type ProfiledDevice, type ProfileOptions, type ProfileRow } from "./profile.ts";
export type { Ceiling } from "./backend/backend.ts";
export type { Timeline, TimelineBuffer, TimelineStep, TimelineValue } from "./graph/timeline.ts";
export type { Phase } from "./graph/phases.ts";
export { isDebugModeEnabled, setDebugMode } from "./graph/site.ts";
export type { LiveValue, ValueOwner } from "./graph/figures.ts";
export {
  restore,
  snapshot,
  type Restored,
  type SavedTensor,
  type SavedValue,
  type Snapshot,
  type SnapshotState,
  type Stateful,
} from "./snapshot.ts";
export { setPrintOptions, getPrintOptions, type PrintOptions, type PrintSettings } from "./format.ts";

export {
  arange,
  asTensor,
  empty,
  emptyLike,
  eye,
  full,
  fullLike,
  linspace,
  logspace,
  ones,
  onesLike,
  tensor,
  zeros,
  zerosLike,
  type NestedArray,
  type NumericArray,
  type TensorOptions,
} from "./ops/creation.ts";
export {
  bernoulli,
  getRngState,
  manualSeed,
  normal,
  rand,
  randint,
  randLike,
  randn,
  randnLike,
  randperm,
  seed,
  setRngState,
  type RandomState,
} from "./random.ts";

export * from "./functions/unary.ts";
export { max, min } from "./functions/reduce.ts";
export { where } from "./functions/where.ts";
export * from "./functions/inplace.ts";
export { isFloatingPoint, isTensor, numel } from "./functions/query.ts";
export { resultType, type Operand } from "./ops/elementwise.ts";
export {
  add,
  addcdiv,
  addcmul,
  atan2,
  atan2 as arctan2,
  clamp,
  clamp as clip,
  clampMax,
  clampMin,
  div,
  div as divide,
  div as trueDivide,
  floorDivide_ as floorDivide,
  fmod,
  lerp,
  maximum,
  minimum,
  mul,
  mul as multiply,
  pow,
  remainder,
  rsub,
  sub,
  sub as subtract,
  type RoundingMode,
} from "./ops/arithmetic.ts";
export {
  bitwiseAnd,
  bitwiseLeftShift,
  bitwiseOr,
  bitwiseRightShift,
  bitwiseXor,
  eq,
  ge,
  ge as greaterEqual,
  gt,
  gt as greater,
  le,
  le as lessEqual,
  logicalAnd,
  logicalOr,
  logicalXor,
  lt,
  lt as less,
  maskedFill,
  ne,
  ne as notEqual,
} from "./ops/compare.ts";
export {
  all,
  amax,
  amin,
  any,
  argmax,
  argmin,
  countNonzero,
  logsumexp,
  mean,
  nansum,
  norm,
  prod,
  std,
  stdMean,
  sum,
  var_ as var,
  varMean,
  type Dims,
  type ValuesIndices,
} from "./ops/reduce.ts";
export { multinomial } from "./ops/multinomial.ts";
export { polygamma } from "./ops/polygamma.ts";
export { round } from "./ops/round.ts";
export { cumprod, cumsum, tril, triu } from "./ops/scan.ts";
export { addmm, addmv, baddbmm, bmm, dot, matmul, mm, mv, outer, outer as ger } from "./ops/matmul.ts";
export {
  broadcastTo,
  chunk,
  clone,
  detach,
  diagonal,
  expand,
  expandAs,
  flatten,
  flip,
  isSameSize,
  movedim,
  movedim as moveaxis,
  narrow,
  permute,
  ravel,
  reshape,
  reshapeAs,
  select,
  split,
  splitWithSizes,
  squeeze,
  sumToSize,
  t,
  transpose,
  transpose as swapaxes,
  transpose as swapdims,
  unbind,
  unflatten,
  unsqueeze,
  view,
  viewAs,
} from "./ops/structure.ts";
export {
  atleast1d,
  atleast2d,
  atleast3d,
  cat,
  cat as concat,
  cat as concatenate,
  dstack,
  hstack,
  repeat,
  stack,
  tile,
  vstack,
  vstack as rowStack,
} from "./ops/join.ts";
export {
  at,
  ellipsis,
  gather,
  indexAdd,
  indexPut,
  indexSelect,
  scatter,
  scatterAdd,
  sliceOf as slice,
  takeAlongDim,
  type Index,
  type Slice,
} from "./ops/indexing.ts";
export { conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d, convTranspose3d, type PerDim } from "./ops/conv.ts";
export {
  argsort,
  bincount,
  bucketize,
  cummax,
  cummin,
  histc,
  kthvalue,
  median,
  mode,
  msort,
  nanmedian,
  searchsorted,
  sort,
  topk,
  unique,
  uniqueConsecutive,
  type UniqueOptions,
  type UniqueResult,
} from "./ops/sort.ts";
export { softmax, logSoftmax } from "./ops/composite/softmax.ts";
export {
  copysign,
  floatPower,
  fmax,
  fmin,
  gcd,
  heaviside,
  hypot,
  lcm,
  ldexp,
  logaddexp,
  logaddexp2,
  logit,
  mvlgamma,
  nanToNum,
  signbit,
  xlogy,
} from "./ops/special.ts";
export {
  blockDiag,
  broadcastTensors,
  cartesianProd,
  columnStack,
  diag,
  diagEmbed,
  diagflat,
  diagonalScatter,
  dsplit,
  fliplr,
  flipud,
  hsplit,
  indexCopy,
  indexFill,
  meshgrid,
  repeatInterleave,
  roll,
  rot90,
  selectScatter,
  sliceScatter,
  take,
  tensorSplit,
  vsplit,
} from "./ops/movement.ts";
export { combinations, trilIndices, triuIndices, vander } from "./ops/triangle.ts";
export { addbmm, addr, cross, inner, kron, tensordot } from "./ops/products.ts";
export { einsum } from "./ops/einsum.ts";
export {
  aminmax,
  corrcoef,
  cov,
  cumulativeTrapezoid,
  diff,
  isclose,
  logcumsumexp,
  nanmean,
  trace,
  trapezoid,
  trapezoid as trapz,
} from "./ops/statistics.ts";
export { cdist, cosineSimilarity, dist, pairwiseDistance, pdist, renorm } from "./ops/composite/distance.ts";
export { allclose, argwhere, equal, maskedSelect, nonzero } from "./ops/dynamic.ts";
export { celu, prelu, rrelu, selu, threshold } from "./ops/composite/activation.ts";

export * as autograd from "./autograd/index.ts";
export * as special from "./special/index.ts";
export * as utils from "./utils/index.ts";
export * as func from "./func/index.ts";
export {
  enableGrad,
  inferenceMode,
  isGradEnabled,
  isInferenceModeEnabled,
  noGrad,
  setGradEnabled,
  type ModeGuard,
} from "./autograd/mode.ts";
export { graph, type GraphEdge, type GraphNode, type GraphOptions, type TapeGraph } from "./autograd/graph.ts";
export * as nn from "./nn/index.ts";
export * as F from "./nn/functional.ts";
export * as optim from "./optim/index.ts";
export * as data from "./data/index.ts";
export {
  areDeterministicAlgorithmsEnabled,
  kernelChoices,
  loadKernelChoices,
  useDeterministicAlgorithms,
  type KernelChoices,
} from "./determinism.ts";
export { compile, type Compiled, type CompileStats } from "./compile.ts";
export { compareDevices, warmup, type DeviceComparison, type DeviceDifference } from "./compare.ts";
export { fromImage, toImageData, type FromImageOptions, type ImageSource, type Pixels } from "./image.ts";
export * as io from "./io/index.ts";
