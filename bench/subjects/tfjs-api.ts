/** What is used of TensorFlow.js, which is installed only for the benchmark: its own types are not there otherwise. */

/** A tensor. */
export interface TfTensor {
  readonly shape: number[];
  readonly dtype: string;
  data(): Promise<Float32Array | Int32Array>;
  dispose(): void;
}

/** A trainable tensor. */
export interface TfVariable extends TfTensor {
  assign(value: TfTensor): void;
}

/** An optimiser. */
export interface TfOptimizer {
  applyGradients(gradients: Record<string, TfTensor>): void;
  dispose(): void;
}

type Order = number[];

/** Functions of `@tensorflow/tfjs-core`. */
export interface Tf {
  setBackend(name: string): Promise<boolean>;
  getBackend(): string;
  ready(): Promise<void>;
  env(): { set(flag: string, value: boolean | number): void; getAsync(flag: string): Promise<boolean | number> };
  memory(): { numTensors: number; numBytes: number; numBytesInGPU?: number };
  engine(): { startScope(): void; endScope(): void };
  tidy<T>(fn: () => T): T;
  keep<T extends TfTensor>(t: T): T;
  tensor(data: Float32Array | Int32Array, shape: readonly number[], dtype?: string): TfTensor;
  variable(t: TfTensor, trainable?: boolean, name?: string): TfVariable;
  scalar(value: number): TfTensor;
  ones(shape: readonly number[]): TfTensor;
  zeros(shape: readonly number[]): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  conv2d(x: TfTensor, w: TfTensor, stride: number, padding: number): TfTensor;
  maxPool(x: TfTensor, size: number, stride: number, padding: number): TfTensor;
  add(a: TfTensor, b: TfTensor | number): TfTensor;
  sub(a: TfTensor, b: TfTensor | number): TfTensor;
  mul(a: TfTensor, b: TfTensor | number): TfTensor;
  div(a: TfTensor, b: TfTensor | number): TfTensor;
  maximum(a: TfTensor, b: TfTensor | number): TfTensor;
  neg(a: TfTensor): TfTensor;
  abs(a: TfTensor): TfTensor;
  sqrt(a: TfTensor): TfTensor;
  rsqrt(a: TfTensor): TfTensor;
  square(a: TfTensor): TfTensor;
  tanh(a: TfTensor): TfTensor;
  relu(a: TfTensor): TfTensor;
  softmax(a: TfTensor, axis?: number): TfTensor;
  logSoftmax(a: TfTensor, axis?: number): TfTensor;
  sum(a: TfTensor, axis?: number | number[], keepDims?: boolean): TfTensor;
  mean(a: TfTensor, axis?: number | number[], keepDims?: boolean): TfTensor;
  cumsum(a: TfTensor, axis: number): TfTensor;
  topk(a: TfTensor, k: number, sorted: boolean): { values: TfTensor; indices: TfTensor };
  reverse(a: TfTensor, axis?: number): TfTensor;
  reshape(a: TfTensor, shape: readonly number[]): TfTensor;
  transpose(a: TfTensor, order?: Order): TfTensor;
  slice(a: TfTensor, begin: number[], size: number[]): TfTensor;
  split(a: TfTensor, parts: number, axis: number): TfTensor[];
  gather(a: TfTensor, indices: TfTensor, axis?: number): TfTensor;
  oneHot(indices: TfTensor, depth: number): TfTensor;
  cast(a: TfTensor, dtype: string): TfTensor;
  unsortedSegmentSum(a: TfTensor, indices: TfTensor, segments: number): TfTensor;
  grads(f: (...inputs: TfTensor[]) => TfTensor): (inputs: TfTensor[], dy?: TfTensor) => TfTensor[];
  variableGrads(f: () => TfTensor, variables: TfVariable[]): { value: TfTensor; grads: Record<string, TfTensor> };
  train: { adam(lr: number, beta1: number, beta2: number, epsilon: number): TfOptimizer };
  version_core?: string;
}

/** What is used of `@tensorflow/tfjs-backend-wasm`. */
export interface TfWasm {
  setThreadsCount(count: number): void;
  getThreadsCount(): number;
  setWasmPaths(prefix: string): void;
}
