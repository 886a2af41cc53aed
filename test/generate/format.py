"""Writes test/fixtures/format.json: tensors and what PyTorch prints for them.

Needs PyTorch 1.13 or later. Run: python3 test/generate/format.py
For a wider comparison: python3 test/generate/format.py --count 5000 --seed 7 --out FILE
and the environment FORMAT_FIXTURE=FILE for the test.
"""

import argparse
import json
import math
import os
import random

import torch

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "format.json")
DTYPES = ["float32", "float16", "float64", "int32", "uint8", "bool"]
TORCH = {name: getattr(torch, name) for name in DTYPES}


class Named(torch.autograd.Function):
    """An identity; classes made from it give grad_fn names of any length."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g


def tie(rng):
    """A number with a 5 as its last digit, just after the ones printed at some precision."""
    return rng.choice([-1, 1]) * (2 * rng.randrange(4000) + 1) / 2 ** rng.randint(1, 8)


VALUES = {
    "digits": lambda rng: rng.randrange(-9, 10),
    "integers": lambda rng: rng.randrange(-2000, 2001),
    "large": lambda rng: rng.randrange(-(2**31), 2**31),
    "halves": lambda rng: rng.randrange(-40, 41) / 2,
    "unit": lambda rng: rng.random(),
    "normal": lambda rng: rng.gauss(0, 1),
    "hundreds": lambda rng: rng.uniform(-300, 300),
    "ties": tie,
    "narrow": lambda rng: math.exp(rng.uniform(-3, 3)),
    "wide": lambda rng: rng.choice([-1, 1]) * 10 ** rng.uniform(-8, 9),
    "extreme": lambda rng: rng.choice([-1, 1]) * 10 ** rng.uniform(-44, 38),
    "double": lambda rng: rng.choice([-1, 1]) * 10 ** rng.uniform(-323, 308),
    "ratio": lambda rng: rng.choice([1.0, 2.0, 999.0, 1000.0, 1001.0, 1000.5, -1.0, 1.5, 2000.0]),
    "limit": lambda rng: rng.choice([1e8, 1e8 + 8, 99999992.0, 1e8 - 0.5, 9e7, 2e8]),
    "tiny": lambda rng: rng.choice([1e-4, 0.99e-4, 1.01e-4, 5e-4, 0.05, 1e-5]),
    "powers": lambda rng: rng.choice([-1, 1]) * 10.0 ** rng.randint(-12, 12),
    "nines": lambda rng: rng.choice([9.99995, 99.99995, 9.9999500001, 0.99995, 9.5, 99999.5]) * rng.choice([1, 1e-6, 1e5]),
    "zeros": lambda rng: rng.choice([0.0, -0.0]),
}
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0]


def shape(rng):
    kind = rng.random()
    if kind < 0.07:
        return rng.choice([[0], [0, 3], [2, 0], [0, 0, 2], [1, 0, 4]])
    if kind < 0.18:
        return []
    if kind < 0.45:
        return [rng.choice([1, 2, 3, 4, 7, 12, 30])]
    if kind < 0.75:
        return [rng.randint(1, 5), rng.choice([1, 2, 3, 4, 13])]
    if kind < 0.93:
        return [rng.randint(1, 3), rng.randint(1, 3), rng.randint(1, 4)]
    return [rng.randint(1, 2), 1, rng.randint(1, 3), 2]


def large_shape(rng):
    flat = [[1000], [1001], [25, 41], [3, 400], [400, 3], [1, 2000]]
    return rng.choice(flat + [[7, 7, 21], [6, 6, 40], [11, 10, 10], [2, 3, 4, 50]])


def options(rng):
    result = {}
    if rng.random() < 0.15:
        result["profile"] = rng.choice(["default", "short", "full"])
    if rng.random() < 0.5:
        result["precision"] = rng.choice([0, 1, 2, 3, 6, 8, 17, 30])
    if rng.random() < 0.4:
        result["threshold"] = rng.choice([0, 1, 3, 8, 20])
    if rng.random() < 0.4:
        result["edgeitems"] = rng.choice([1, 2, 4])
    if rng.random() < 0.4:
        result["linewidth"] = rng.choice([1, 20, 40, 79, 81, 120])
    if rng.random() < 0.3:
        result["sci_mode"] = rng.choice([True, False])
    return result


def sequence(rule, count):
    """A long row of numbers as a rule: ((i * multiplier) mod modulus + offset) * scale."""
    return [((i * rule["multiplier"]) % rule["modulus"] + rule["offset"]) * rule["scale"] for i in range(count)]


def fit(value, dtype):
    """A number that the dtype holds."""
    if dtype in ("float32", "float16", "float64"):
        return value
    if math.isnan(value) or math.isinf(value):
        value = 1
    if dtype == "int32":
        return max(-(2**31), min(2**31 - 1, int(value)))
    return abs(int(value)) % (2 if dtype == "bool" else 256)


def number(value, dtype):
    """JSON for a value: shortest digits that the dtype tells apart (the reader rounds float32 to single precision)."""
    if dtype in ("int32", "uint8", "bool"):
        return int(value)
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if dtype == "float32":
        for digits in range(1, 10):
            text = f"{value:.{digits}g}"
            if torch.tensor(float(text), dtype=torch.float32).item() == value:
                value = float(text)
                break
    return int(value) if value == int(value) and abs(value) < 1e15 and math.copysign(1, value) == 1 else value


def case(rng, index):
    result = {}
    dtype = rng.choice(DTYPES + ["float32"] * 6 + ["float64"] * 2)
    big = index % 12 == 5
    size = large_shape(rng) if big else shape(rng)
    count = math.prod(size)
    if big:
        rule = {
            "multiplier": rng.choice([1, 7, 31, 389]),
            "modulus": rng.choice([2, 10, 101, 1009, 100003]),
            "offset": rng.choice([0, -5, -50]),
            "scale": rng.choice([1, 1, 0.5, 0.01, 0.125, 1e-7, 3e4]),
        }
        if dtype not in ("float32", "float16", "float64"):
            rule.update(modulus=2 if dtype == "bool" else 200, offset=-50 if dtype == "int32" else 0, scale=1)
        values = sequence(rule, count)
        result["rule"] = rule
    else:
        draw = VALUES[rng.choice(list(VALUES))]
        special = rng.choice([0, 0, 0, 0.1, 0.3, 1])
        values = [fit(rng.choice(SPECIAL) if rng.random() < special else draw(rng), dtype) for _ in range(count)]
    tensor = torch.tensor(values, dtype=TORCH[dtype]).reshape(size)
    if not big:
        result["data"] = [number(x, dtype) for x in tensor.flatten().tolist()]
    result.update(shape=size, dtype=dtype)
    if tensor.is_floating_point():
        kind = rng.random()
        if kind < 0.2:
            tensor.requires_grad_()
            result["requiresGrad"] = True
        elif kind < 0.45:
            name = rng.choice(["Mul", "Clone", "LinalgVectorNorm", "X" * rng.randint(1, 60)])
            tensor = type(name, (Named,), {}).apply(tensor.requires_grad_())
            result["gradFn"] = f"{name}Backward"
    if rng.random() < 0.1:
        torch.set_default_dtype(torch.float64)
        result["defaultDtype"] = "float64"
    changed = options(rng) if rng.random() < (0.2 if big else 0.4) else {}
    torch.set_printoptions(profile="default")
    torch.set_printoptions(**changed)
    if changed:
        result["options"] = {"sciMode" if key == "sci_mode" else key: value for key, value in changed.items()}
    result["text"] = str(tensor)
    torch.set_default_dtype(torch.float32)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=140)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default=FIXTURE)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    cases = [case(rng, index) for index in range(arguments.count)]
    with open(arguments.out, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
