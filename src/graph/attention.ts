/**
 * The numbers of the routine `attention`, named. With s = scale * query @ key.T + mask and statistic[i] = log sum over j of exp(s[i, j]):
 *
 * - pass "forward": out[i] = sum over j of exp(s[i, j] - statistic[i]) value[j], then the statistics.
 * - pass "query" (a gradient): sum over j of ds[i, j] key[j] scale, where p = exp(s - statistic), ds = p (grad @ value.T - delta) and
 *   delta[i] = sum of grad[i] out[i].
 * - pass "keyValue" (two gradients, one behind the other): sum over i of ds[i, j] query[i] scale, and sum over i of p[i, j] grad[i].
 *
 * No matrix of weights is ever in memory: it is found again tile by tile. The formulas are those of FlashAttention-2 (Dao, 2023).
 */

/** How a matrix of each batch lies: element offset, strides of rows and columns and of the batch dimensions. */
export interface AttentionSide {
  readonly offset: number;
  readonly row: number;
  readonly column: number;
  readonly batch: readonly number[];
}

export type AttentionPass = "forward" | "query" | "keyValue";
/** A bool mask is true where attention is allowed, a float one is added. */
export type AttentionMask = "none" | "bool" | "float";

/** What has to be compiled. */
export interface AttentionAttrs {
  readonly pass: AttentionPass;
  readonly mask: AttentionMask;
  /** Number of batch dimensions. */
  readonly rank: number;
}

/** One call: query [...sizes, queries, width], key [...sizes, keys, width], value [...sizes, keys, valueWidth]. */
export interface Attention {
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
  readonly valueWidth: number;
  /** Query i sees the keys up to i + reach: 0 if it is causal, else at least the number of keys. */
  readonly reach: number;
  readonly sizes: readonly number[];
  readonly query: AttentionSide;
  readonly key: AttentionSide;
  readonly value: AttentionSide;
  /** Gradient of the result; null in the forward pass. */
  readonly grad: AttentionSide | null;
  /** Over queries and keys. */
  readonly mask: AttentionSide | null;
}

const SIDES = ["query", "key", "value", "grad", "mask"] as const;

/** The numbers in the order in which the routine takes them. */
export function packAttention(a: Attention): number[] {
  const sides = SIDES.flatMap((name) => {
    const side = a[name];
    return side === null ? [] : [side.offset, side.row, side.column, ...side.batch];
  });
  return [a.queries, a.keys, a.width, a.valueWidth, a.reach, ...a.sizes, ...sides];
}

/** What `packAttention` packed. */
export function unpackAttention(ints: readonly number[], attrs: AttentionAttrs): Attention {
  const { rank } = attrs;
  const [queries, keys, width, valueWidth, reach] = ints as [number, number, number, number, number];
  let at = 5 + rank;
  const side = (): AttentionSide => {
    const [offset, row, column] = ints.slice(at, at + 3) as [number, number, number];
    at += 3 + rank;
    return { offset, row, column, batch: ints.slice(at - rank, at) };
  };
  const [query, key, value] = [side(), side(), side()];
  const grad = attrs.pass === "forward" ? null : side();
  const mask = attrs.mask === "none" ? null : side();
  const sizes = ints.slice(5, 5 + rank);
  return { queries, keys, width, valueWidth, reach, sizes, query, key, value, grad, mask };
}

/**
 * Elements that a statistic takes behind the results of the forward pass: in float16 it is the sum of two numbers, as one would be too
 * coarse.
 */
export function statisticParts(dtype: string): number {
  return dtype === "float16" ? 2 : 1;
}
