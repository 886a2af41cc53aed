"""Writes test/fixtures/grad-fn.json: for expressions of PyTorch, the tape below the result as text.

    python3 test/generate/grad_fn.py

The text of an entry is its name, with `#n` where the n-th result is meant (and n is not 0), and the entries of its inputs in
parentheses; an input that needs no gradient is `-`, a leaf `leaf`. Needs PyTorch 1.13; names that PyTorch 2 changed are its names.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

EXPRESSIONS = """
x.add(y)
x.add(2)
x.add(y, alpha=2)
x.sub(y)
2 - x
x.mul(y)
x.mul(2)
x.mul(c)
c.mul(x)
x.mul(x)
x.div(y)
x.div(y, rounding_mode='floor')
1 / x
x.remainder(y)
x.fmod(2)
x.pow(2)
x.pow(y)
torch.pow(2, x)
x.neg()
x.abs()
x.sign()
x.exp()
x.expm1()
x.log()
x.log2()
x.log10()
x.log1p()
x.sqrt()
x.rsqrt()
x.square()
x.reciprocal()
x.sin()
x.cos()
x.tan()
x.asin()
x.acos()
x.atan()
x.atan2(y)
x.sinh()
x.cosh()
x.tanh()
x.sigmoid()
x.relu()
F.gelu(x)
F.silu(x)
x.erf()
x.floor()
x.ceil()
x.round()
x.trunc()
x.frac()
x.clamp(0, 1)
x.clamp(min=0)
x.clamp(max=1)
x.clamp_min(0)
x.maximum(y)
x.minimum(y)
x.lerp(y, 0.5)
x.lerp(y, y)
x.addcmul(y, y)
x.addcdiv(y, y)
torch.where(x > 0, x, y)
x.masked_fill(x > 0, 0)
x.sum()
x.sum(1)
x.sum(dim=(0, 1))
x.mean()
x.mean(1)
x.prod()
x.prod(1)
x.max()
x.max(1)[0]
x.min(0)[0]
x.amax(1)
x.amin(1)
x.var()
x.var(1)
x.std()
x.norm()
x.norm(2, 1)
x.logsumexp(1)
x.cumsum(0)
x.cumprod(1)
x.softmax(1)
x.log_softmax(1)
x.matmul(w)
x.mm(w)
x @ v
v @ x.t()
v @ v
v.dot(v)
x.mv(v)
b.bmm(b.transpose(1, 2))
b.matmul(m)
b.matmul(b.transpose(1, 2))
v.outer(v)
q.addmm(x.t(), x)
v.addmv(q, v)
x.reshape(3, 2)
x.t().reshape(6)
x.view(-1)
x.flatten()
x.permute(1, 0)
x.transpose(0, 1)
x.t()
x.T
x.unsqueeze(0)
x.unsqueeze(0).squeeze()
x.unsqueeze(0).squeeze(0)
v.expand(2, 3)
x.expand_as(x)
x.flip(0)
x.select(0, 1)
x.narrow(1, 0, 2)
x[0]
x[:, 1]
x[1:]
x[:, None]
x[..., 0]
x[i]
x[:, i]
x.diagonal()
x.split(1)[1]
x.chunk(2, 1)[0]
x.unbind(0)[1]
list(x)[1]
sum(v)
x.tril()
x.triu(1)
torch.cat([x, y])
torch.cat([x, c, y], 1)
torch.stack([x, y])
x.index_select(0, i)
x.gather(1, g)
x.scatter(1, g, y)
x.scatter_add(1, g, y)
x.index_add(0, i, y)
x.clone()
x.contiguous()
x.t().contiguous()
x.repeat(2, 1)
F.linear(x, w.t(), p)
F.linear(x, w.t())
F.mse_loss(x, y)
F.cross_entropy(x, k)
F.layer_norm(x, [3])
F.embedding(i, x)
x.sin().mul(y).sum()
x.mul(2).add(x.exp()).mean()
x.clone().mul_(y)
x.clone().add_(1).exp_()
x.clone().zero_()
x.clone().fill_(3)
x.clone().copy_(y)
x.clone().sigmoid_()
x.clone().index_put_([i], y)
row(x, lambda r: r.mul_(2))
row(x, lambda r: r.copy_(v))
base(x, lambda r: r.mul_(2))
x.div(2)
x.div(2, rounding_mode='trunc')
x.sub(2)
x.remainder(2)
x.fmod(y)
x.clamp(y, y)
x.clamp_min(y)
x.clamp_max(2)
x.deg2rad()
x.rad2deg()
x.exp2()
x.lgamma()
x.digamma()
x.erfinv()
x.erfc()
x.asinh()
x.positive()
torch.where(x > 0, x, 2.0)
x.masked_fill(x > 0, v.sum())
x.clone().fill_(v.sum())
torch.rsub(x, y)
x.movedim(0, 1)
x.swapaxes(0, 1)
x.mT
x.unflatten(1, [3, 1])
x.broadcast_to(2, 2, 3)
torch.hstack([x, y])
torch.vstack([x, y])
torch.dstack([x, y])
x.tile(2)
x.nansum()
x.take_along_dim(g, 1)
x.scatter(1, g, 2.0)
b.baddbmm(b, torch.ones(2, 4, 4, dtype=torch.float64))
F.nll_loss(x, k)
x.mul(0.5).bernoulli()
x.clone().uniform_()
x.clone().normal_()
x.clone().t_()
x.clone().transpose_(0, 1)
x.clone().unsqueeze_(0)
x.clone().squeeze_(0)
x.round(decimals=1)
x.polygamma(1)
x[...]
x[:]
x[None]
x[0:2]
x[0, 1]
x.detach()
x.max(y)
x.sum_to_size(1, 3)
x.split([1, 2], 1)[1]
x.argmax()
x.norm(1)
x.view_as(y)
x.clone().relu_()
x.clone().clamp_(0, 1)
x.clone().masked_fill_(x > 0, 1.0)
x.clone().pow_(2)
x.clone().div_(2)
x.pow(0.5)
x.atan2(c)
x.clone().cumsum_(0)
x.clone().tril_()
x.clone().lerp_(y, 0.5)
F.embedding(i, x, padding_idx=0)
x.float().double()
""".strip().splitlines()

# PyTorch 2 has ViewBackward0 where 1.13 has ReshapeAliasBackward0. The in-place forms of views, which have numbers of their own that
# changed between versions, count as the others.
RENAMED = {
    "ReshapeAliasBackward0": "ViewBackward0",
    "SqueezeBackward3": "SqueezeBackward1",
    "TBackward1": "TBackward0",
    "TransposeBackward1": "TransposeBackward0",
    "UnsqueezeBackward1": "UnsqueezeBackward0",
}


def row(x, write):
    """A row of a copy, written in place."""
    r = x.clone()[0]
    write(r)
    return r


def base(x, write):
    """A copy, after one of its rows was written in place."""
    copy = x.clone()
    write(copy[0])
    return copy


def leaves():
    def leaf(*shape):
        count = torch.Size(shape).numel()
        return (torch.arange(count, dtype=torch.float64).reshape(shape) / count + 0.25).requires_grad_()

    return {
        "x": leaf(2, 3),
        "y": leaf(2, 3),
        "v": leaf(3),
        "w": leaf(3, 4),
        "p": leaf(4),
        "q": leaf(3, 3),
        "b": leaf(2, 3, 4),
        "m": leaf(4, 2),
        "c": torch.ones(2, 3, dtype=torch.float64),
        "i": torch.tensor([1, 0]),
        "g": torch.tensor([[0, 1], [2, 0]]),
        "k": torch.tensor([2, 0]),
    }


def tape(fn, nr=0):
    if fn is None:
        return "-"
    name = fn.name() if callable(getattr(fn, "name", None)) else type(fn).__name__
    if name.endswith("AccumulateGrad"):
        return "leaf"
    name = RENAMED.get(name, name).removeprefix("torch::autograd::")
    inputs = ", ".join(tape(*edge) for edge in fn.next_functions)
    return f"{name}{f'#{nr}' if nr else ''}({inputs})"


def main():
    result = {}
    for expression in EXPRESSIONS:
        value = eval(expression, {"torch": torch, "F": F, "row": row, "base": base, **leaves()})
        # A result that shares an entry with others says which it is.
        result[expression] = tape(value.grad_fn, value.output_nr)
    text = "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in result.items()) + "\n}\n"
    pathlib.Path(__file__).parent.parent.joinpath("fixtures", "grad-fn.json").write_text(text)


main()
