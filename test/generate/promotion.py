"""Writes test/fixtures/promotion.json: the dtypes of binary operations' results in PyTorch.

Needs PyTorch 1.13. Run: python3 test/generate/promotion.py

One string for each operation and pair of operand forms (vector, zero-dimensional tensor, number): a letter for each pair of
dtypes in the order of DTYPES (or kinds of number in the order of NUMBERS), "-" where PyTorch refuses. int64 counts as int32.
"""

import json
import os
import warnings

import torch

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "promotion.json")

LETTERS = {
    torch.bool: "b",
    torch.uint8: "u",
    torch.int32: "i",
    torch.int64: "i",
    torch.float16: "h",
    torch.float32: "f",
    torch.float64: "d",
}
DTYPES = ["bool", "uint8", "int32", "float16", "float32", "float64"]
NUMBERS = [True, 2, 2.5]
OPERATIONS = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "floorDivide": torch.floor_divide,
    "remainder": torch.remainder,
    "fmod": torch.fmod,
    "pow": torch.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "atan2": torch.atan2,
    "eq": torch.eq,
    "lt": torch.lt,
    "bitwiseAnd": torch.bitwise_and,
    "logicalAnd": torch.logical_and,
    "add_": torch.Tensor.add_,
    "mul_": torch.Tensor.mul_,
    "div_": torch.Tensor.div_,
}
NOT_FOR_FLOATS = ["bitwiseAnd"]
TENSORS_ONLY = ["maximum", "minimum", "atan2", "logicalAnd"]


def operand(form, kind, device):
    if form == "number":
        return kind
    shape = (2,) if form == "vector" else ()
    return torch.ones(shape, dtype=getattr(torch, kind), device=device)


def letter(name, first, second):
    operation = OPERATIONS[name]
    for device in ("cpu", "meta"):
        try:
            result = operation(operand(*first, device), operand(*second, device))
        except RuntimeError as error:
            # The CPU has no float16 for some; types can be had without computing.
            if device == "cpu" and "not implemented for 'Half'" in str(error) and name not in NOT_FOR_FLOATS:
                continue
            return "-"
        return LETTERS[result.dtype]
    raise AssertionError("unreachable")


def main():
    warnings.simplefilter("ignore")
    fixture = {}
    for name in OPERATIONS:
        fixture[name] = {}
        for first in ("vector", "scalar"):
            for second in ("vector", "scalar", "number"):
                if second == "number" and name in TENSORS_ONLY:
                    continue
                if name.endswith("_") and first == "scalar" and second == "vector":
                    continue  # refused for the shapes
                kinds = NUMBERS if second == "number" else DTYPES
                fixture[name][f"{first} {second}"] = "".join(
                    letter(name, (first, a), (second, b)) for a in DTYPES for b in kinds
                )
    with open(FIXTURE, "w", encoding="utf-8") as file:
        json.dump(fixture, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
