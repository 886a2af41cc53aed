/** Attention, which a GPU does in tiles, against products and a softmax in float64: values, gradients of both orders, masks, edges. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite, type PortableTest } from "../support/portable.ts";

const { F } = tg;

/** A test in which attention is one kernel on every device: the CPU and software adapters would compose it. */
function fused(body: () => Promise<void>, timeout = 120_000): PortableTest {
  const run = async (): Promise<void> => {
    const limits = tg.zeros(1).impl.backend.limits as { fusesAttention?: ((width: number) => boolean) | undefined };
    const before = limits.fusesAttention;
    limits.fusesAttention = (width) => width <= 128;
    try {
      await body();
    } finally {
      limits.fusesAttention = before;
    }
  };
  return { run, timeout };
}

/** Irregular numbers between -1 and 1. */
function values(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919 + seed * 104729) % 2003) / 1001.5 - 1);
}

interface Case {
  readonly query: readonly number[];
  readonly key: readonly number[];
  readonly value: readonly number[];
  readonly isCausal?: boolean;
  readonly scale?: number;
  readonly mask?: { readonly kind: "bool" | "float"; readonly shape: readonly number[] };
  /** Whether operands lie with the heads behind the positions, as layers give them. */
  readonly isTurned?: boolean;
}

/** A leaf that requires grad, and what is seen of it: a tensor of this shape. */
function leaf(shape: readonly number[], seed: number, isTurned: boolean, options: tg.TensorOptions) {
  const turned = isTurned && shape.length >= 3;
  const count = shape.reduce((n, s) => n * s, 1);
  const x = tg.tensor(Float64Array.from(values(count, seed)), { shape: [...shape], ...options });
  if (!turned) {
    const root = x.requiresGrad_();
    return { root, seen: root };
  }
  const root = x.transpose(-2, -3).contiguous().detach().requiresGrad_();
  return { root, seen: root.transpose(-2, -3) };
}

function maskOf(c: Case, device: "cpu" | undefined, dtype: "float32" | "float64"): Tensor | null {
  if (c.mask === undefined) return null;
  const { kind, shape } = c.mask;
  const count = shape.reduce((n, s) => n * s, 1);
  const data = Float64Array.from(values(count, 5));
  const place = device === undefined ? {} : { device };
  if (kind === "float") return tg.tensor(data, { shape: [...shape], dtype, ...place });
  // The first key is always allowed.
  const width = shape[shape.length - 1]!;
  return tg
    .tensor(
      data.map((x, i) => (i % width === 0 || x > -0.3 ? 1 : 0)),
      { shape: [...shape], ...place },
    )
    .ne(0);
}

/** By the definition. */
function composed(c: Case, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | null): Tensor {
  const width = q.shape[q.dim() - 1]!;
  let scores = q.matmul(k.transpose(-2, -1)).mul(c.scale ?? 1 / Math.sqrt(width));
  const [l, s] = scores.shape.slice(-2) as [number, number];
  if (c.isCausal === true) scores = scores.maskedFill(tg.ones(l, s, { device: "cpu" }).triu(1).ne(0), -Infinity);
  if (mask !== null)
    scores = mask.dtype === "bool" ? scores.maskedFill(mask.logicalNot(), -Infinity) : scores.add(mask);
  return scores.softmax(-1).matmul(v);
}

async function compare(c: Case, secondOrder = false): Promise<void> {
  const shapes = [c.query, c.key, c.value];
  const isTurned = c.isTurned === true;
  const run = async (
    attend: (q: Tensor, k: Tensor, v: Tensor) => Tensor,
    options: tg.TensorOptions,
  ): Promise<number[][]> => {
    const leaves = shapes.map((shape, i) => leaf(shape, i + 1, isTurned, options));
    const roots = leaves.map((x) => x.root);
    const [q, k, v] = leaves.map((x) => x.seen) as [Tensor, Tensor, Tensor];
    const out = attend(q, k, v);
    const g = tg.tensor(Float64Array.from(values(out.numel(), 9)), { shape: [...out.shape], ...options });
    const first = tg.autograd.grad(out.mul(g).sum(), roots, { createGraph: secondOrder });
    const results = [out, ...first] as Tensor[];
    if (secondOrder) {
      const total = first
        .map((x, i) =>
          x
            .mul(x)
            .sum()
            .mul(i + 1),
        )
        .reduce((a, b) => a.add(b));
      results.push(...tg.autograd.grad(total, roots));
    }
    return Promise.all(results.map(async (x) => Array.from(await x.detach().contiguous().data(), Number)));
  };
  const scale = c.scale === undefined ? {} : { scale: c.scale };
  const mask = maskOf(c, undefined, "float32");
  const got = await run(
    (q, k, v) => F.scaledDotProductAttention(q, k, v, { attnMask: mask, isCausal: c.isCausal ?? false, ...scale }),
    { dtype: "float32" },
  );
  const wideMask = maskOf(c, "cpu", "float64");
  const wanted = await run((q, k, v) => composed(c, q, k, v, wideMask), { dtype: "float64", device: "cpu" });
  const names = ["output", "by query", "by key", "by value", "second by query", "second by key", "second by value"];
  wanted.forEach((expected, i) => expectClose(got[i], expected, { rtol: 2e-4, atol: 2e-5 }, names[i]));
}

/** Query, key and value of equal sizes. */
function same(...shape: number[]): Pick<Case, "query" | "key" | "value"> {
  return { query: shape, key: shape, value: shape };
}

/** Scaled dot-product attention. */
export const attention = suite("attention", {
  "of one tile": fused(() => compare(same(5, 8))),
  "of several tiles and batches": fused(() => compare(same(2, 3, 40, 8))),
  causal: fused(() => compare({ ...same(2, 37, 8), isCausal: true })),
  "causal, with heads behind positions": fused(() => compare({ ...same(2, 3, 20, 8), isCausal: true, isTurned: true })),
  "of more queries than keys": fused(() => compare({ query: [2, 45, 8], key: [2, 19, 8], value: [2, 19, 8] })),
  "of more keys than queries, causal": fused(() =>
    compare({ query: [17, 8], key: [39, 8], value: [39, 8], isCausal: true }),
  ),
  "of widths that are no multiple of four": fused(() =>
    compare({ query: [2, 18, 5], key: [2, 21, 5], value: [2, 21, 7] }),
  ),
  "of heads of different widths": fused(() => compare({ query: [9, 40], key: [17, 40], value: [17, 12] }), 240_000),
  "of heads wider than any tile": fused(() => compare(same(9, 132))),
  "of a single key": fused(() => compare({ query: [3, 8], key: [1, 8], value: [1, 8] })),
  "with a scale": fused(() => compare({ ...same(20, 8), scale: 0.7 })),
  "with batches that are broadcast": fused(() =>
    compare({ query: [3, 2, 18, 8], key: [2, 21, 8], value: [1, 2, 21, 8] }),
  ),
  "with a bool mask": fused(() => compare({ ...same(2, 2, 19, 8), mask: { kind: "bool", shape: [2, 1, 19, 19] } })),
  "with a bool mask, causal": fused(() =>
    compare({ ...same(2, 2, 19, 8), isCausal: true, mask: { kind: "bool", shape: [19, 19] } }),
  ),
  "with a mask that is added": fused(() => compare({ ...same(2, 2, 20, 8), mask: { kind: "float", shape: [20, 20] } })),
  "with one row of a mask for all": fused(() =>
    compare({ ...same(2, 2, 20, 8), mask: { kind: "float", shape: [1, 20] } }),
  ),
  "composed, as a device without the kernel does": () => compare({ ...same(2, 11, 8), isCausal: true }),

  "derivatives of second order": fused(async () => {
    await compare({ ...same(2, 11, 8), isCausal: true }, true);
    await compare({ ...same(2, 2, 7, 8), mask: { kind: "bool", shape: [7, 7] } }, true);
  }),

  "a mask that requires grad gets one": fused(async () => {
    const q = tg.tensor(values(48, 1), { shape: [6, 8] });
    const mask = tg.zeros(6, 6).requiresGrad_();
    F.scaledDotProductAttention(q, q, q, mask)
      .mul(tg.tensor(values(48, 3), { shape: [6, 8] }))
      .sum()
      .backward();
    const sums = await mask.grad!.sum(-1).data();
    expectClose(sums, [0, 0, 0, 0, 0, 0]);
    ensure((await mask.grad!.abs().max().item()) > 1e-3, "the gradient is not zero");
  }),

  "a query that may see nothing gets NaN, and the others their numbers": fused(async () => {
    const q = tg.tensor(values(40 * 8, 1), { shape: [40, 8] });
    const allowed = tg.ones(40, 40).ne(0);
    allowed.at(3).fill_(false);
    const got = await F.scaledDotProductAttention(q, q, q, allowed).toArray();
    const free = await F.scaledDotProductAttention(q, q, q).toArray();
    (got as number[][]).forEach((row, i) =>
      i === 3
        ? ensure(row.every(Number.isNaN), `row 3 is ${row.join(", ")}`)
        : expectClose(row, (free as number[][])[i]),
    );
  }),

  "NaN and infinity go where the softmax brings them": fused(async () => {
    const data = values(20 * 8, 1);
    data[5 * 8] = NaN;
    const q = tg.tensor(data, { shape: [20, 8] });
    const k = tg.tensor(values(20 * 8, 2), { shape: [20, 8] });
    const got = (await F.scaledDotProductAttention(q, k, k).toArray()) as number[][];
    got.forEach((row, i) => ensure(row.every(Number.isNaN) === (i === 5), `row ${i} is ${row.join(", ")}`));
    const far = tg.full([20, 8], 1e4);
    const peaked = await F.scaledDotProductAttention(far, tg.eye(20, 8).mul(1e4), k, { scale: 1 }).data();
    ensure(Array.from(peaked).every(Number.isFinite), "large scores stay finite");
  }),

  "of nothing": fused(async () => {
    expectEqual(
      (await F.scaledDotProductAttention(tg.ones(0, 3, 4), tg.ones(0, 3, 4), tg.ones(0, 3, 4)).data()).length,
      0,
    );
    expectEqual(F.scaledDotProductAttention(tg.ones(0, 4), tg.ones(3, 4), tg.ones(3, 2)).shape, [0, 2]);
  }),

  "changed results and inputs are noticed": fused(async () => {
    const q = tg.tensor(values(48, 1), { shape: [6, 8] }).requiresGrad_();
    const out = F.scaledDotProductAttention(q, q.detach(), q.detach(), { isCausal: true });
    const before = await out.data();
    out.detach().mul_(2);
    expectClose(
      await out.data(),
      Array.from(before, (x) => 2 * x),
    );
    await expectThrows(() => out.sum().backward(), "modified by an inplace operation");
  }),

  "under vmap": fused(async () => {
    const q = tg.tensor(values(3 * 10 * 8, 1), { shape: [3, 10, 8] });
    const each = tg.func.vmap((x: Tensor) => F.scaledDotProductAttention(x, x, x, { isCausal: true }))(q);
    const whole = F.scaledDotProductAttention(q, q, q, { isCausal: true });
    expectClose(await each.data(), await whole.data());
  }),
});
