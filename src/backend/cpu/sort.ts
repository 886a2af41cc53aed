/** The order of rows of elements in JavaScript: stable, NaN last. */

import { fromHalf, type DType, type HostArray } from "../../dtype.ts";

/** Rows up to this length are sorted by insertion. */
const SHORT = 24;
/** Bits of a digit of the radix sort. */
const DIGIT = 11;
const BINS = 2 ** DIGIT;

/** See `sort` in kernel.ts. */
export function sortRows(
  descending: boolean,
  rank: number,
  ints: readonly number[],
  dtype: DType,
  [input, out]: readonly HostArray[],
): void {
  const length = ints[0]!;
  const sizes = ints.slice(1, 1 + rank);
  const step = ints[1 + rank]!;
  const strides = ints.slice(2 + rank, 2 + 2 * rank);
  const offset = ints[2 + 2 * rank]!;
  const wanted = ints[3 + 2 * rank] ?? length;
  const rows = sizes.reduce((a, b) => a * b, 1);
  const wide = dtype === "float64";
  const makeKeys = keyMaker(dtype, descending);
  // Keys of 32 bits; of float64 the upper and the lower half.
  const high = new Uint32Array(length);
  const low = wide ? new Uint32Array(length) : null;
  const order = new Int32Array(length);
  const other = new Int32Array(length);
  const at = new Array<number>(rank).fill(0);
  let start = offset;
  for (let row = 0; row < rows; row++) {
    makeKeys(input!, start, step, high, low);
    for (let i = 0; i < length; i++) order[i] = i;
    if (length <= SHORT) insertion(order, high, low);
    else {
      if (low !== null) radix(order, other, low);
      radix(order, other, high);
    }
    (out as Int32Array).set(wanted < length ? order.subarray(0, wanted) : order, row * wanted);
    for (let d = rank - 1; d >= 0; d--) {
      start += strides[d]!;
      if (++at[d]! < sizes[d]!) break;
      start -= strides[d]! * sizes[d]!;
      at[d] = 0;
    }
  }
}

type KeyMaker = (input: HostArray, start: number, step: number, high: Uint32Array, low: Uint32Array | null) => void;

/** Writes keys whose order as unsigned numbers is the elements'. */
function keyMaker(dtype: DType, descending: boolean): KeyMaker {
  const flip = descending ? 0xffffffff : 0;
  if (dtype === "float64") return doubleKeys(flip);
  if (dtype === "int32" || dtype === "uint8" || dtype === "bool")
    return (input, start, step, high) => {
      for (let i = 0, at = start; i < high.length; i++, at += step) high[i] = input[at]! ^ 0x80000000 ^ flip;
    };
  const value = new Float32Array(1);
  const bits = new Uint32Array(value.buffer);
  const half = dtype === "float16";
  return (input, start, step, high) => {
    for (let i = 0, at = start; i < high.length; i++, at += step) {
      // Adding zero makes -0 zero.
      const x = (half ? fromHalf(input[at]!) : input[at]!) + 0;
      value[0] = x;
      const b = bits[0]!;
      high[i] = (x !== x ? 0xffffffff : b & 0x80000000 ? ~b : b | 0x80000000) ^ flip;
    }
  };
}

function doubleKeys(flip: number): KeyMaker {
  const value = new Float64Array(1);
  const bits = new Uint32Array(value.buffer);
  const [lowWord, highWord] = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? [0, 1] : [1, 0];
  return (input, start, step, high, low) => {
    for (let i = 0, at = start; i < high.length; i++, at += step) {
      const x = input[at]! + 0;
      value[0] = x;
      const h = bits[highWord]!;
      const l = bits[lowWord]!;
      const negative = (h & 0x80000000) !== 0;
      high[i] = (x !== x ? 0xffffffff : negative ? ~h : h | 0x80000000) ^ flip;
      low![i] = (x !== x ? 0xffffffff : negative ? ~l : l) ^ flip;
    }
  };
}

function insertion(order: Int32Array, high: Uint32Array, low: Uint32Array | null): void {
  for (let i = 1; i < order.length; i++) {
    const place = order[i]!;
    let j = i;
    for (; j > 0; j--) {
      const before = order[j - 1]!;
      const h = high[before]! - high[place]!;
      if (h < 0 || (h === 0 && (low === null || low[before]! <= low[place]!))) break;
      order[j] = before;
    }
    order[j] = place;
  }
}

/** Sorts `order` by the keys of its entries, keeping the order of equal ones. */
function radix(order: Int32Array, other: Int32Array, keys: Uint32Array): void {
  let [from, to] = [order, other];
  for (let shift = 0; shift < 32; shift += DIGIT) {
    const starts = new Int32Array(BINS + 1);
    for (let i = 0; i < keys.length; i++) starts[((keys[i]! >>> shift) & (BINS - 1)) + 1]!++;
    if (starts.includes(keys.length)) continue; // all have the same digit
    for (let b = 0; b < BINS; b++) starts[b + 1]! += starts[b]!;
    for (let i = 0; i < from.length; i++) {
      const place = from[i]!;
      to[starts[(keys[place]! >>> shift) & (BINS - 1)]!++] = place;
    }
    [from, to] = [to, from];
  }
  if (from !== order) order.set(from);
}
