/** Float16 on the host, for which TypeScript has no types yet. */

/** As far as it is used here, a Float16Array reads like any other array of numbers. */
export interface HalfArray extends Iterable<number> {
  readonly [index: number]: number;
  readonly length: number;
  readonly buffer: ArrayBuffer;
  readonly byteOffset: number;
  readonly byteLength: number;
}

type HalfArrayType = new (data: Iterable<number> | ArrayBuffer) => HalfArray;

const { Float16Array } = globalThis as { Float16Array?: HalfArrayType };

/** Rounds to float16, or shows the bytes of a buffer as float16. Throws in an engine without Float16Array. */
export function toHalf(data: Iterable<number> | ArrayBuffer): HalfArray {
  if (Float16Array === undefined) throw new Error("this engine has no Float16Array, which float16 rows need");
  return new Float16Array(data);
}
