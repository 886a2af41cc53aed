"""Writes test/fixtures/ops.json: samples of PyTorch's operator test database with values, gradients and second gradients.

Inputs are float32 values; PyTorch computes in float64, so the expected numbers are exact to about nine digits.
Needs PyTorch 1.13 and NumPy. Run: python3 test/generate/ops.py
"""

import json
import math
import os
import sys
import types

stub = types.ModuleType("expecttest")
stub.TestCase = type("TestCase", (), {})
stub.ACCEPT = False
sys.modules["expecttest"] = stub

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "ops.json")
MAX_SAMPLES = 10
MAX_ELEMENTS = 160
# Operations of many options take more samples.
LIMITS = {}

OPS = """
abs acos acosh add addcdiv addcmul addmm addmv all amax amin any argmax argmin asin asinh atan atan2 atanh baddbmm bitwise_and
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor bmm broadcast_to cat ceil chunk clamp clamp_max clamp_min clone
contiguous cos cosh count_nonzero cumprod cumsum deg2rad diagonal div dot dstack eq erf erfc erfinv exp exp2 expand expand_as expm1 flatten
flip floor floor_divide fmod frac gather ge gt hstack index_add index_put index_select isfinite isinf isnan isneginf isposinf le lerp lgamma log log10 log1p log2
log_softmax logical_and logical_not logical_or logical_xor logsumexp lt masked_fill matmul max maximum mean min minimum mm
movedim mul mv nansum narrow ne neg nn.functional.cross_entropy nn.functional.embedding nn.functional.gelu nn.functional.layer_norm
nn.functional.linear nn.functional.mse_loss nn.functional.nll_loss nn.functional.relu nn.functional.silu norm outer permute positive pow prod rad2deg ravel
reciprocal remainder repeat reshape reshape_as round rsqrt rsub scatter scatter_add select sigmoid sign sin sinh softmax split
split_with_sizes sqrt square squeeze stack std std_mean sub sum sum_to_size t T mT take_along_dim tan tanh tile transpose tril triu true_divide
trunc unbind unflatten unsqueeze var var_mean view view_as vstack where __getitem__ atleast_1d atleast_2d atleast_3d
addbmm addr aminmax argwhere block_diag broadcast_tensors cartesian_prod cdist column_stack combinations copysign corrcoef cov cross
cumulative_trapezoid diag diag_embed diagflat diagonal_scatter diff digamma dist dsplit einsum fliplr flipud float_power fmax fmin gcd heaviside
hsplit hypot i0 index_copy index_fill inner isclose kron lcm ldexp logaddexp logaddexp2 logcumsumexp logit masked_select meshgrid mvlgamma
nan_to_num nanmean nonzero put renorm repeat_interleave roll rot90 select_scatter signbit sinc take tensor_split tensordot trace trapezoid
tril_indices triu_indices unfold vsplit xlogy polygamma
nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits nn.functional.celu nn.functional.cosine_embedding_loss
nn.functional.cosine_similarity nn.functional.elu nn.functional.gaussian_nll_loss nn.functional.glu nn.functional.hardshrink
nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardtanh nn.functional.hinge_embedding_loss nn.functional.huber_loss
nn.functional.kl_div nn.functional.l1_loss nn.functional.leaky_relu nn.functional.logsigmoid nn.functional.margin_ranking_loss
nn.functional.mish nn.functional.multi_margin_loss nn.functional.multilabel_margin_loss nn.functional.multilabel_soft_margin_loss
nn.functional.pairwise_distance nn.functional.pdist nn.functional.poisson_nll_loss nn.functional.prelu
nn.functional.relu6 nn.functional.selu nn.functional.smooth_l1_loss nn.functional.soft_margin_loss nn.functional.softmin
nn.functional.softplus nn.functional.softshrink nn.functional.softsign nn.functional.tanhshrink nn.functional.threshold
nn.functional.triplet_margin_loss special.entr special.erfcx special.i0e special.i1 special.i1e special.log_ndtr special.ndtr special.ndtri
special.xlog1py
""".split()

INTEGER = {"bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "gcd", "lcm", "tril_indices", "triu_indices"}


def number(x, digits):
    if isinstance(x, bool):
        return x
    if isinstance(x, int):
        return x
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    text = f"{x:.{digits}g}"
    value = float(text)
    return int(value) if value == int(value) and abs(value) < 1e15 and not (value == 0 and math.copysign(1, value) < 0) else value


def single(x):
    if math.isnan(x) or math.isinf(x):
        return number(x, 9)
    value = float(str(np.float32(x)))
    return int(value) if value == int(value) and abs(value) < 1e15 and not (value == 0 and math.copysign(1, value) < 0) else value


NAMES = {torch.float32: "float32", torch.float64: "float32", torch.int64: "int32", torch.int32: "int32", torch.bool: "bool",
         torch.uint8: "uint8", torch.float16: "float16", torch.int16: "int32", torch.int8: "int32"}


def encode_tensor(t, inputs):
    if t._is_zerotensor():
        t = torch.zeros(t.shape, dtype=t.dtype)
    flat = t.detach().reshape(-1).tolist()
    data = [single(x) if inputs and isinstance(x, float) else number(x, 10) for x in flat]
    result = {"t": list(t.shape), "dt": NAMES[t.dtype], "d": data}
    if inputs and t.requires_grad:
        result["g"] = True
    return result


def encode(value):
    if isinstance(value, torch.Tensor):
        return encode_tensor(value, True)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return number(value, 17)
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    if isinstance(value, torch.dtype):
        return {"dtype": NAMES[value]}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    raise TypeError(f"cannot encode {type(value)}")


def promote(value):
    """The same argument with float64 tensors of the float32 values."""
    if isinstance(value, torch.Tensor):
        return value.detach().to(torch.float64).requires_grad_(value.requires_grad) if value.dtype == torch.float32 else value
    if isinstance(value, (list, tuple)):
        return type(value)(promote(v) for v in value)
    if value is torch.float32:
        return torch.float64
    return value


def leaves(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in leaves(v)]
    if isinstance(value, dict):
        return [t for v in value.values() for t in leaves(v)]
    return []


def outputs(value):
    return [t for t in leaves(list(value) if isinstance(value, (list, tuple)) else value)]


def weights(shape, seed):
    count = int(np.prod(shape)) if len(shape) else 1
    values = [((i * 7 + seed * 3) % 11 - 5) / 8 + 0.0625 for i in range(count)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def sample(op, given):
    args = [promote(given.input), *[promote(a) for a in given.args]]
    kwargs = {k: promote(v) for k, v in given.kwargs.items()}
    result = {"args": [encode(given.input), *[encode(a) for a in given.args]], "kwargs": {k: encode(v) for k, v in given.kwargs.items()}}
    value = op.op(*args, **kwargs)
    outs = outputs(value)
    if any(o.is_complex() for o in outs):
        return None
    result["out"] = [encode_tensor(o, False) for o in outs]
    wrt = [t for t in leaves([args, kwargs]) if t.requires_grad]
    roots = [o for o in outs if o.requires_grad]
    if not wrt or not roots:
        return result
    total = sum((o * weights(o.shape, i)).sum() for i, o in enumerate(outs) if o.requires_grad)
    grads = torch.autograd.grad(total, wrt, create_graph=True, allow_unused=True)
    result["grads"] = [None if g is None else encode_tensor(g, False) for g in grads]
    again = [(i, g) for i, g in enumerate(grads) if g is not None and g.requires_grad]
    if op.supports_gradgrad and again:
        second = sum((g * weights(g.shape, i + 5)).sum() for i, g in again)
        grads2 = torch.autograd.grad(second, wrt, allow_unused=True)
        result["grads2"] = [None if g is None else encode_tensor(g, False) for g in grads2]
    return result


def pick(samples, limit):
    small = [s for s in samples if all(t.numel() <= MAX_ELEMENTS for t in leaves([s.input, s.args, s.kwargs]))]
    if not small:
        # Elementwise operations come with samples of 20 by 20: a part of them serves as well.
        small = []
        for s in samples:
            if isinstance(s.input, torch.Tensor) and s.input.dim() == 2 and not leaves([s.args, s.kwargs]):
                s.input = s.input.detach()[:6, :9].contiguous().requires_grad_(s.input.requires_grad)
                small.append(s)
    if not small:
        small = sorted(samples, key=lambda s: sum(t.numel() for t in leaves([s.input, s.args, s.kwargs])))[:3]
    if len(small) <= limit:
        return small
    step = (len(small) - 1) / (limit - 1)
    return [small[round(i * step)] for i in range(limit)]


def main():
    everything = []
    known = {}
    for op in op_db:
        if op.name not in known or op.variant_test_name == "":
            known.setdefault(op.name, []).append(op)
    for name in OPS:
        variants = known.get(name)
        if variants is None:
            print("not in the database:", name)
            continue
        torch.manual_seed(0)
        np.random.seed(0)
        result = []
        for op in variants:
            dtype = torch.int32 if name in INTEGER else torch.float32
            differentiable = op.supports_autograd and name not in INTEGER
            try:
                given = pick(list(op.sample_inputs("cpu", dtype, requires_grad=differentiable)), LIMITS.get(name, MAX_SAMPLES))
            except Exception as error:
                print("no samples:", name, error)
                continue
            for one in given:
                try:
                    encoded = sample(op, one)
                except Exception as error:
                    print("skipped a sample:", name, str(error).split("\n")[0][:120])
                    continue
                if encoded is not None:
                    if op.variant_test_name:
                        encoded["variant"] = op.variant_test_name
                    result.append(encoded)
        body = ",\n".join(json.dumps(one, separators=(",", ":")) for one in result)
        everything.append(f'"{name}":[\n{body}\n]')
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w") as file:
        file.write("{" + ",\n".join(everything) + "}\n")


if __name__ == "__main__":
    main()
