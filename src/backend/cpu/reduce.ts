/** Reductions in JavaScript, block by block. */

import type { ReduceKind, ValueType } from "../../graph/kernel.ts";
import type { Block } from "./primitives.ts";

/** A reduction in progress. */
export interface Reducer {
  start(): void;
  /** Takes in the first `n` values of the operand's block. */
  take(n: number): void;
  result(): number;
}

/** A reduction of a block's values, of type `from`. Single precision is summed in double; double with Neumaier's compensation. */
export function reducerOf(kind: ReduceKind, from: ValueType, block: Block): Reducer {
  const isFloat = from === "f" || from === "d";
  switch (kind) {
    case "sum":
      return from === "d" ? compensated(block) : fold(block, 0, isFloat ? plus : wrappedPlus);
    case "prod":
      return fold(block, 1, isFloat ? times : Math.imul);
    case "max":
      return fold(block, isFloat ? -Infinity : -0x80000000, larger);
    case "min":
      return fold(block, isFloat ? Infinity : 0xffffffff, smaller);
    case "any":
      return fold(block, 0, (a, b) => a | b);
    case "all":
      return fold(block, 1, (a, b) => a & b);
    case "argmax":
      return place(block, (x, best) => x > best);
    case "argmin":
      return place(block, (x, best) => x < best);
  }
}

const plus = (a: number, b: number): number => a + b;
const wrappedPlus = (a: number, b: number): number => (a + b) | 0;
const times = (a: number, b: number): number => a * b;
const larger = (a: number, b: number): number => (b > a || b !== b ? b : a);
const smaller = (a: number, b: number): number => (b < a || b !== b ? b : a);

function fold(block: Block, identity: number, combine: (a: number, b: number) => number): Reducer {
  let total = identity;
  return {
    start: () => (total = identity),
    take(n) {
      let sum = total;
      for (let i = 0; i < n; i++) sum = combine(sum, block[i]!);
      total = sum;
    },
    result: () => total,
  };
}

function compensated(block: Block): Reducer {
  let total = 0;
  let rest = 0;
  return {
    start: () => (total = rest = 0),
    take(n) {
      for (let i = 0; i < n; i++) {
        const x = block[i]!;
        const sum = total + x;
        if (sum - sum === 0) rest += Math.abs(total) >= Math.abs(x) ? total - sum + x : x - sum + total;
        total = sum;
      }
    },
    result: () => total + rest,
  };
}

/** Number of the first best value; of the first NaN, if there is one. */
function place(block: Block, isBetter: (x: number, best: number) => boolean): Reducer {
  let count = 0;
  let found = 0;
  let best = 0;
  return {
    start: () => (count = found = best = 0),
    take(n) {
      for (let i = 0; i < n; i++, count++) {
        const x = block[i]!;
        if (count === 0 || (best === best && (isBetter(x, best) || x !== x))) {
          best = x;
          found = count;
        }
      }
    },
    result: () => found,
  };
}
