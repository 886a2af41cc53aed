/** The tape has PyTorch's shape: names of its entries and how they hang together, against a fixture that PyTorch made. */

import * as tg from "#tapegrad";
import { slice, type Tensor } from "#tapegrad";
import { loadText } from "../conformance/fixtures.ts";
import { expectEqual, suite, type PortableTest } from "../support/portable.ts";

/** Leaves of the expressions, as in test/generate/grad_fn.py. */
interface Leaves {
  readonly x: Tensor;
  readonly y: Tensor;
  readonly v: Tensor;
  readonly w: Tensor;
  readonly p: Tensor;
  readonly q: Tensor;
  readonly b: Tensor;
  readonly m: Tensor;
  readonly c: Tensor;
  readonly i: Tensor;
  readonly g: Tensor;
  readonly k: Tensor;
}

function leaves(): Leaves {
  const leaf = (...shape: number[]): Tensor => {
    const count = shape.reduce((a, b) => a * b, 1);
    return tg.arange(count).reshape(shape).div(count).add(0.25).requiresGrad_();
  };
  return {
    x: leaf(2, 3),
    y: leaf(2, 3),
    v: leaf(3),
    w: leaf(3, 4),
    p: leaf(4),
    q: leaf(3, 3),
    b: leaf(2, 3, 4),
    m: leaf(4, 2),
    c: tg.ones(2, 3),
    i: tg.tensor([1, 0], { dtype: "int32" }),
    g: tg.tensor([[0, 1], [2, 0]], { dtype: "int32" }), // prettier-ignore
    k: tg.tensor([2, 0], { dtype: "int32" }),
  };
}

function row(x: Tensor, write: (r: Tensor) => void): Tensor {
  const r = x.clone().at(0);
  write(r);
  return r;
}

function base(x: Tensor, write: (r: Tensor) => void): Tensor {
  const copy = x.clone();
  write(copy.at(0));
  return copy;
}

const all = slice(null);

/** What each of PyTorch's expressions is here. */
const EXPRESSIONS: Readonly<Record<string, (leaves: Leaves) => Tensor>> = {
  "x.add(y)": ({ x, y }) => x.add(y),
  "x.add(2)": ({ x }) => x.add(2),
  "x.add(y, alpha=2)": ({ x, y }) => x.add(y, { alpha: 2 }),
  "x.sub(y)": ({ x, y }) => x.sub(y),
  "2 - x": ({ x }) => x.rsub(2),
  "x.mul(y)": ({ x, y }) => x.mul(y),
  "x.mul(2)": ({ x }) => x.mul(2),
  "x.mul(c)": ({ x, c }) => x.mul(c),
  "c.mul(x)": ({ x, c }) => c.mul(x),
  "x.mul(x)": ({ x }) => x.mul(x),
  "x.div(y)": ({ x, y }) => x.div(y),
  "x.div(y, rounding_mode='floor')": ({ x, y }) => x.div(y, { roundingMode: "floor" }),
  "1 / x": ({ x }) => x.reciprocal().mul(1),
  "x.remainder(y)": ({ x, y }) => x.remainder(y),
  "x.fmod(2)": ({ x }) => x.fmod(2),
  "x.pow(2)": ({ x }) => x.pow(2),
  "x.pow(y)": ({ x, y }) => x.pow(y),
  "torch.pow(2, x)": ({ x }) => tg.pow(2, x),
  "x.neg()": ({ x }) => x.neg(),
  "x.abs()": ({ x }) => x.abs(),
  "x.sign()": ({ x }) => x.sign(),
  "x.exp()": ({ x }) => x.exp(),
  "x.expm1()": ({ x }) => x.expm1(),
  "x.log()": ({ x }) => x.log(),
  "x.log2()": ({ x }) => x.log2(),
  "x.log10()": ({ x }) => x.log10(),
  "x.log1p()": ({ x }) => x.log1p(),
  "x.sqrt()": ({ x }) => x.sqrt(),
  "x.rsqrt()": ({ x }) => x.rsqrt(),
  "x.square()": ({ x }) => x.square(),
  "x.reciprocal()": ({ x }) => x.reciprocal(),
  "x.sin()": ({ x }) => x.sin(),
  "x.cos()": ({ x }) => x.cos(),
  "x.tan()": ({ x }) => x.tan(),
  "x.asin()": ({ x }) => x.asin(),
  "x.acos()": ({ x }) => x.acos(),
  "x.atan()": ({ x }) => x.atan(),
  "x.atan2(y)": ({ x, y }) => x.atan2(y),
  "x.sinh()": ({ x }) => x.sinh(),
  "x.cosh()": ({ x }) => x.cosh(),
  "x.tanh()": ({ x }) => x.tanh(),
  "x.sigmoid()": ({ x }) => x.sigmoid(),
  "x.relu()": ({ x }) => x.relu(),
  "F.gelu(x)": ({ x }) => tg.F.gelu(x),
  "F.silu(x)": ({ x }) => tg.F.silu(x),
  "x.erf()": ({ x }) => x.erf(),
  "x.floor()": ({ x }) => x.floor(),
  "x.ceil()": ({ x }) => x.ceil(),
  "x.round()": ({ x }) => x.round(),
  "x.trunc()": ({ x }) => x.trunc(),
  "x.frac()": ({ x }) => x.frac(),
  "x.clamp(0, 1)": ({ x }) => x.clamp(0, 1),
  "x.clamp(min=0)": ({ x }) => x.clamp({ min: 0 }),
  "x.clamp(max=1)": ({ x }) => x.clamp({ max: 1 }),
  "x.clamp_min(0)": ({ x }) => x.clampMin(0),
  "x.maximum(y)": ({ x, y }) => x.maximum(y),
  "x.minimum(y)": ({ x, y }) => x.minimum(y),
  "x.lerp(y, 0.5)": ({ x, y }) => x.lerp(y, 0.5),
  "x.lerp(y, y)": ({ x, y }) => x.lerp(y, y),
  "x.addcmul(y, y)": ({ x, y }) => x.addcmul(y, y),
  "x.addcdiv(y, y)": ({ x, y }) => x.addcdiv(y, y),
  "torch.where(x > 0, x, y)": ({ x, y }) => tg.where(x.gt(0), x, y),
  "x.masked_fill(x > 0, 0)": ({ x }) => x.maskedFill(x.gt(0), 0),
  "x.sum()": ({ x }) => x.sum(),
  "x.sum(1)": ({ x }) => x.sum(1),
  "x.sum(dim=(0, 1))": ({ x }) => x.sum({ dim: [0, 1] }),
  "x.mean()": ({ x }) => x.mean(),
  "x.mean(1)": ({ x }) => x.mean(1),
  "x.prod()": ({ x }) => x.prod(),
  "x.prod(1)": ({ x }) => x.prod(1),
  "x.max()": ({ x }) => x.max(),
  "x.max(1)[0]": ({ x }) => x.max(1)[0],
  "x.min(0)[0]": ({ x }) => x.min(0)[0],
  "x.amax(1)": ({ x }) => x.amax(1),
  "x.amin(1)": ({ x }) => x.amin(1),
  "x.var()": ({ x }) => x.var(),
  "x.var(1)": ({ x }) => x.var(1),
  "x.std()": ({ x }) => x.std(),
  "x.norm()": ({ x }) => x.norm(),
  "x.norm(2, 1)": ({ x }) => x.norm(2, 1),
  "x.logsumexp(1)": ({ x }) => x.logsumexp(1),
  "x.cumsum(0)": ({ x }) => x.cumsum(0),
  "x.cumprod(1)": ({ x }) => x.cumprod(1),
  "x.softmax(1)": ({ x }) => x.softmax(1),
  "x.log_softmax(1)": ({ x }) => x.logSoftmax(1),
  "x.matmul(w)": ({ x, w }) => x.matmul(w),
  "x.mm(w)": ({ x, w }) => x.mm(w),
  "x @ v": ({ x, v }) => x.matmul(v),
  "v @ x.t()": ({ x, v }) => v.matmul(x.t()),
  "v @ v": ({ v }) => v.matmul(v),
  "v.dot(v)": ({ v }) => v.dot(v),
  "x.mv(v)": ({ x, v }) => x.mv(v),
  "b.bmm(b.transpose(1, 2))": ({ b }) => b.bmm(b.transpose(1, 2)),
  "b.matmul(m)": ({ b, m }) => b.matmul(m),
  "b.matmul(b.transpose(1, 2))": ({ b }) => b.matmul(b.transpose(1, 2)),
  "v.outer(v)": ({ v }) => v.outer(v),
  "q.addmm(x.t(), x)": ({ q, x }) => q.addmm(x.t(), x),
  "v.addmv(q, v)": ({ q, v }) => v.addmv(q, v),
  "x.reshape(3, 2)": ({ x }) => x.reshape(3, 2),
  "x.t().reshape(6)": ({ x }) => x.t().reshape(6),
  "x.view(-1)": ({ x }) => x.view(-1),
  "x.flatten()": ({ x }) => x.flatten(),
  "x.permute(1, 0)": ({ x }) => x.permute(1, 0),
  "x.transpose(0, 1)": ({ x }) => x.transpose(0, 1),
  "x.t()": ({ x }) => x.t(),
  "x.T": ({ x }) => x.T,
  "x.unsqueeze(0)": ({ x }) => x.unsqueeze(0),
  "x.unsqueeze(0).squeeze()": ({ x }) => x.unsqueeze(0).squeeze(),
  "x.unsqueeze(0).squeeze(0)": ({ x }) => x.unsqueeze(0).squeeze(0),
  "v.expand(2, 3)": ({ v }) => v.expand(2, 3),
  "x.expand_as(x)": ({ x }) => x.expandAs(x),
  "x.flip(0)": ({ x }) => x.flip(0),
  "x.select(0, 1)": ({ x }) => x.select(0, 1),
  "x.narrow(1, 0, 2)": ({ x }) => x.narrow(1, 0, 2),
  "x[0]": ({ x }) => x.at(0),
  "x[:, 1]": ({ x }) => x.at(all, 1),
  "x[1:]": ({ x }) => x.at(slice(1, null)),
  "x[:, None]": ({ x }) => x.at(all, null),
  "x[..., 0]": ({ x }) => x.at(tg.ellipsis, 0),
  "x[i]": ({ x, i }) => x.at(i),
  "x[:, i]": ({ x, i }) => x.at(all, i),
  "x.diagonal()": ({ x }) => x.diagonal(),
  "x.split(1)[1]": ({ x }) => x.split(1)[1]!,
  "x.chunk(2, 1)[0]": ({ x }) => x.chunk(2, 1)[0]!,
  "x.unbind(0)[1]": ({ x }) => x.unbind(0)[1]!,
  "list(x)[1]": ({ x }) => [...x][1]!,
  "sum(v)": ({ v }) => {
    const [first, ...rest] = v;
    return rest.reduce((a, b) => a.add(b), first!.add(0));
  },
  "x.tril()": ({ x }) => x.tril(),
  "x.triu(1)": ({ x }) => x.triu(1),
  "torch.cat([x, y])": ({ x, y }) => tg.cat([x, y]),
  "torch.cat([x, c, y], 1)": ({ x, y, c }) => tg.cat([x, c, y], 1),
  "torch.stack([x, y])": ({ x, y }) => tg.stack([x, y]),
  "x.index_select(0, i)": ({ x, i }) => x.indexSelect(0, i),
  "x.gather(1, g)": ({ x, g }) => x.gather(1, g),
  "x.scatter(1, g, y)": ({ x, y, g }) => x.scatter(1, g, y),
  "x.scatter_add(1, g, y)": ({ x, y, g }) => x.scatterAdd(1, g, y),
  "x.index_add(0, i, y)": ({ x, y, i }) => x.indexAdd(0, i, y),
  "x.clone()": ({ x }) => x.clone(),
  "x.contiguous()": ({ x }) => x.contiguous(),
  "x.t().contiguous()": ({ x }) => x.t().contiguous(),
  "x.repeat(2, 1)": ({ x }) => x.repeat(2, 1),
  "F.linear(x, w.t(), p)": ({ x, w, p }) => tg.F.linear(x, w.t(), p),
  "F.linear(x, w.t())": ({ x, w }) => tg.F.linear(x, w.t()),
  "F.mse_loss(x, y)": ({ x, y }) => tg.F.mseLoss(x, y),
  "F.cross_entropy(x, k)": ({ x, k }) => tg.F.crossEntropy(x, k),
  "F.layer_norm(x, [3])": ({ x }) => tg.F.layerNorm(x, [3]),
  "F.embedding(i, x)": ({ x, i }) => tg.F.embedding(i, x),
  "x.sin().mul(y).sum()": ({ x, y }) => x.sin().mul(y).sum(),
  "x.mul(2).add(x.exp()).mean()": ({ x }) => x.mul(2).add(x.exp()).mean(),
  "x.clone().mul_(y)": ({ x, y }) => x.clone().mul_(y),
  "x.clone().add_(1).exp_()": ({ x }) => x.clone().add_(1).exp_(),
  "x.clone().zero_()": ({ x }) => x.clone().zero_(),
  "x.clone().fill_(3)": ({ x }) => x.clone().fill_(3),
  "x.clone().copy_(y)": ({ x, y }) => x.clone().copy_(y),
  "x.clone().sigmoid_()": ({ x }) => x.clone().sigmoid_(),
  "x.clone().index_put_([i], y)": ({ x, y, i }) => x.clone().indexPut_([i], y),
  "row(x, lambda r: r.mul_(2))": ({ x }) => row(x, (r) => r.mul_(2)),
  "row(x, lambda r: r.copy_(v))": ({ x, v }) => row(x, (r) => r.copy_(v)),
  "base(x, lambda r: r.mul_(2))": ({ x }) => base(x, (r) => r.mul_(2)),
  "x.div(2)": ({ x }) => x.div(2),
  "x.div(2, rounding_mode='trunc')": ({ x }) => x.div(2, { roundingMode: "trunc" }),
  "x.sub(2)": ({ x }) => x.sub(2),
  "x.remainder(2)": ({ x }) => x.remainder(2),
  "x.fmod(y)": ({ x, y }) => x.fmod(y),
  "x.clamp(y, y)": ({ x, y }) => x.clamp(y, y),
  "x.clamp_min(y)": ({ x, y }) => x.clampMin(y),
  "x.clamp_max(2)": ({ x }) => x.clampMax(2),
  "x.deg2rad()": ({ x }) => x.deg2rad(),
  "x.rad2deg()": ({ x }) => x.rad2deg(),
  "x.exp2()": ({ x }) => x.exp2(),
  "x.lgamma()": ({ x }) => x.lgamma(),
  "x.digamma()": ({ x }) => x.digamma(),
  "x.erfinv()": ({ x }) => x.erfinv(),
  "x.erfc()": ({ x }) => x.erfc(),
  "x.asinh()": ({ x }) => x.asinh(),
  "x.positive()": ({ x }) => x.positive(),
  "torch.where(x > 0, x, 2.0)": ({ x }) => tg.where(x.gt(0), x, 2),
  "x.masked_fill(x > 0, v.sum())": ({ x, v }) => x.maskedFill(x.gt(0), v.sum()),
  "x.clone().fill_(v.sum())": ({ x, v }) => x.clone().fill_(v.sum()),
  "torch.rsub(x, y)": ({ x, y }) => tg.rsub(x, y),
  "x.movedim(0, 1)": ({ x }) => x.movedim(0, 1),
  "x.swapaxes(0, 1)": ({ x }) => x.swapaxes(0, 1),
  "x.mT": ({ x }) => x.mT,
  "x.unflatten(1, [3, 1])": ({ x }) => x.unflatten(1, [3, 1]),
  "x.broadcast_to(2, 2, 3)": ({ x }) => x.broadcastTo(2, 2, 3),
  "torch.hstack([x, y])": ({ x, y }) => tg.hstack([x, y]),
  "torch.vstack([x, y])": ({ x, y }) => tg.vstack([x, y]),
  "torch.dstack([x, y])": ({ x, y }) => tg.dstack([x, y]),
  "x.tile(2)": ({ x }) => x.tile(2),
  "x.nansum()": ({ x }) => x.nansum(),
  "x.take_along_dim(g, 1)": ({ x, g }) => x.takeAlongDim(g, 1),
  "x.scatter(1, g, 2.0)": ({ x, g }) => x.scatter(1, g, 2),
  "b.baddbmm(b, torch.ones(2, 4, 4, dtype=torch.float64))": ({ b }) => b.baddbmm(b, tg.ones(2, 4, 4)),
  "F.nll_loss(x, k)": ({ x, k }) => tg.F.nllLoss(x, k),
  "x.mul(0.5).bernoulli()": ({ x }) => x.mul(0.5).bernoulli(),
  "x.clone().uniform_()": ({ x }) => x.clone().uniform_(),
  "x.clone().normal_()": ({ x }) => x.clone().normal_(),
  "x.clone().t_()": ({ x }) => x.clone().t_(),
  "x.clone().transpose_(0, 1)": ({ x }) => x.clone().transpose_(0, 1),
  "x.clone().unsqueeze_(0)": ({ x }) => x.clone().unsqueeze_(0),
  "x.clone().squeeze_(0)": ({ x }) => x.clone().squeeze_(0),
  "x.round(decimals=1)": ({ x }) => x.round({ decimals: 1 }),
  "x.polygamma(1)": ({ x }) => x.polygamma(1),
  "x[...]": ({ x }) => x.at(tg.ellipsis),
  "x[:]": ({ x }) => x.at(all),
  "x[None]": ({ x }) => x.at(null),
  "x[0:2]": ({ x }) => x.at(slice(0, 2)),
  "x[0, 1]": ({ x }) => x.at(0, 1),
  "x.detach()": ({ x }) => x.detach(),
  "x.max(y)": ({ x, y }) => x.max(y),
  "x.sum_to_size(1, 3)": ({ x }) => x.sumToSize(1, 3),
  "x.split([1, 2], 1)[1]": ({ x }) => x.split([1, 2], 1)[1]!,
  "x.argmax()": ({ x }) => x.argmax(),
  "x.norm(1)": ({ x }) => x.norm(1),
  "x.view_as(y)": ({ x, y }) => x.viewAs(y),
  "x.clone().relu_()": ({ x }) => x.clone().relu_(),
  "x.clone().clamp_(0, 1)": ({ x }) => x.clone().clamp_(0, 1),
  "x.clone().masked_fill_(x > 0, 1.0)": ({ x }) => x.clone().maskedFill_(x.gt(0), 1),
  "x.clone().pow_(2)": ({ x }) => x.clone().pow_(2),
  "x.clone().div_(2)": ({ x }) => x.clone().div_(2),
  "x.pow(0.5)": ({ x }) => x.pow(0.5),
  "x.atan2(c)": ({ x, c }) => x.atan2(c),
  "x.clone().cumsum_(0)": ({ x }) => x.clone().cumsum_(0),
  "x.clone().tril_()": ({ x }) => x.clone().tril_(),
  "x.clone().lerp_(y, 0.5)": ({ x, y }) => x.clone().lerp_(y, 0.5),
  "F.embedding(i, x, padding_idx=0)": ({ x, i }) => tg.F.embedding(i, x, { paddingIdx: 0 }),
  "x.float().double()": ({ x }) => x.half().float(),
};

type Entry = NonNullable<Tensor["gradFn"]>;

/** The tape below an entry, as the fixture writes it. */
function tape(fn: Entry | null, nr = 0): string {
  if (fn === null) return "-";
  if (fn.name === "AccumulateGrad") return "leaf";
  const inputs = fn.nextFunctions.map(([next, n]) => tape(next, n)).join(", ");
  return `${fn.name}${nr === 0 ? "" : `#${nr}`}(${inputs})`;
}

/** Which result of its entry a tensor is: seen from what is computed with it. */
function numberOf(t: Tensor): number {
  return t.gradFn === null ? 0 : t.add(0).gradFn!.nextFunctions[0]![1];
}

/** Batched products are one entry here, where PyTorch expands, reshapes and multiplies. */
const BATCHED = "b.matmul(b.transpose(1, 2))";
const OWN: Readonly<Record<string, string>> = { [BATCHED]: "UnsafeViewBackward0(leaf, TransposeBackward0(leaf))" };

const tests: Record<string, PortableTest> = {};
for (const [expression, compute] of Object.entries(EXPRESSIONS))
  tests[expression] = {
    run: async () => {
      const result = compute(leaves());
      const fixture = JSON.parse(await loadText(new URL("../fixtures/grad-fn.json", import.meta.url))) as Record<
        string,
        string
      >;
      expectEqual(tape(result.gradFn, numberOf(result)), OWN[expression] ?? fixture[expression]);
    },
  };
tests["every expression of the fixture is here"] = {
  devices: ["cpu"],
  run: async () => {
    const fixture = JSON.parse(await loadText(new URL("../fixtures/grad-fn.json", import.meta.url))) as object;
    expectEqual(Object.keys(EXPRESSIONS), Object.keys(fixture));
  },
};

/** One test an expression; the tape is the same on every device, so they run on one. */
export const gradFn = suite("tape", tests, { devices: ["cpu"] });
