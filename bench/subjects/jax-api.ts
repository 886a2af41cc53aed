/** What is used of jax-js, which is installed only for the benchmark: its own types are not there otherwise. */

/** An array. Functions consume their arguments: `ref` is for whoever goes on using one. */
export interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: number[];
  readonly dtype: string;
  astype(dtype: string): JaxArray;
  data(): Promise<Float32Array | Int32Array>;
  blockUntilReady(): Promise<JaxArray>;
  dispose(): void;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  neg(): JaxArray;
  reshape(shape: number | readonly number[]): JaxArray;
  transpose(order?: readonly number[]): JaxArray;
  slice(...ranges: readonly (number | readonly [number, number] | readonly [])[]): JaxArray;
  sum(axis?: number | readonly number[] | null, options?: { keepdims?: boolean }): JaxArray;
  mean(axis?: number | readonly number[] | null, options?: { keepdims?: boolean }): JaxArray;
}

/** Nested arrays of arrays. */
export type JaxTree = JaxArray | readonly JaxTree[] | { readonly [name: string]: JaxTree };

type Unary = (x: JaxArray) => JaxArray;
type Binary = (x: JaxArray, y: JaxArray | number) => JaxArray;

/** Functions of `@jax-js/jax`. */
export interface Jax {
  init(...devices: string[]): Promise<string[]>;
  defaultDevice(device?: string): string;
  blockUntilReady<T>(tree: T): Promise<T>;
  jit<A extends readonly JaxTree[], R extends JaxTree>(f: (...args: A) => R): (...args: A) => R;
  vjp(
    f: (...args: JaxArray[]) => JaxArray,
    primals: readonly JaxArray[],
  ): readonly [JaxArray, ((g: JaxArray) => readonly JaxArray[]) & { dispose(): void }];
  valueAndGrad<P extends JaxTree, A extends readonly JaxTree[]>(
    f: (first: P, ...rest: A) => JaxArray,
  ): (first: P, ...rest: A) => readonly [JaxArray, P];
  readonly tree: { dispose(tree: JaxTree): void; ref<T extends JaxTree>(tree: T): T };
  readonly numpy: {
    array(data: Float32Array | Int32Array, options?: { shape?: readonly number[] }): JaxArray;
    zeros(shape: readonly number[], options?: { dtype?: string }): JaxArray;
    matmul: (a: JaxArray, b: JaxArray) => JaxArray;
    matrixTranspose: Unary;
    swapaxes(x: JaxArray, a: number, b: number): JaxArray;
    abs: Unary;
    sqrt: Unary;
    square: Unary;
    reciprocal: Unary;
    maximum: Binary;
    cumsum(x: JaxArray, axis?: number): JaxArray;
    sort(x: JaxArray, axis?: number): JaxArray;
    take(x: JaxArray, index: JaxArray, axis?: number): JaxArray;
    split(x: JaxArray, parts: number, axis?: number): JaxArray[];
    max(x: JaxArray, axis?: number | readonly number[]): JaxArray;
  };
  readonly lax: {
    conv(x: JaxArray, w: JaxArray, strides: number[], padding: [number, number][]): JaxArray;
    topK(x: JaxArray, k: number): [JaxArray, JaxArray];
    reduceWindow(x: JaxArray, f: (x: JaxArray) => JaxArray, window: number[], strides?: number[]): JaxArray;
    stopGradient: Unary;
  };
  readonly nn: {
    relu: Unary;
    gelu(x: JaxArray, options?: { approximate?: boolean }): JaxArray;
    softmax(x: JaxArray, axis?: number): JaxArray;
    logSoftmax(x: JaxArray, axis?: number): JaxArray;
    oneHot(x: JaxArray, classes: number): JaxArray;
    dotProductAttention(q: JaxArray, k: JaxArray, v: JaxArray, options: { isCausal: boolean }): JaxArray;
  };
}
