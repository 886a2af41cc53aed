"""Writes test/fixtures/numpy-print.json: arrays and what NumPy prints for them.

Needs NumPy 1.22 or later. Run: python3 test/generate/numpy_print.py
For a wider comparison: python3 test/generate/numpy_print.py --count 5000 --seed 7 --out FILE
and the environment NUMPY_PRINT_FIXTURE=FILE for the test.
"""

import argparse
import json
import math
import os
import random

import numpy as np

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "numpy-print.json")

FLOATS = {
    "digits": lambda rng: float(rng.randrange(-9, 10)),
    "integers": lambda rng: float(rng.randrange(-2000, 2001)),
    "cents": lambda rng: rng.randrange(-9000, 9000) / 100,
    "unit": lambda rng: rng.random(),
    "normal": lambda rng: rng.gauss(0, 1),
    "ties": lambda rng: (2 * rng.randrange(2000) + 1) / 2 ** rng.randint(6, 12),
    "nines": lambda rng: rng.choice([0.999999999, 9.9999999996, 99.5, 0.99999999499]) * rng.choice([1, 1e-5, 1e7]),
    "wide": lambda rng: rng.choice([-1, 1]) * 10 ** rng.uniform(-8, 9),
    "extreme": lambda rng: rng.choice([-1, 1]) * 10 ** rng.uniform(-323, 308),
    "ratio": lambda rng: rng.choice([1.0, 999.0, 1000.0, 1001.0, 1000.5, -1.0, 1.5]),
    "limit": lambda rng: rng.choice([1e8, 1e8 - 1, 2e8, 9.5e7, 1e-4, 0.99e-4, 2e-4]),
    "powers": lambda rng: rng.choice([-1, 1]) * 10.0 ** rng.randint(-20, 20),
    "zeros": lambda rng: rng.choice([0.0, -0.0]),
}
INTEGERS = {
    "digits": lambda rng: rng.randrange(0, 10),
    "signed": lambda rng: rng.randrange(-2000, 2001),
    "large": lambda rng: rng.randrange(-(2**52), 2**52),
}
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0]


def shape(rng):
    kind = rng.random()
    if kind < 0.04:
        return rng.choice([[0], [0, 3], [2, 0]])
    if kind < 0.16:
        return []
    if kind < 0.5:
        return [rng.choice([1, 2, 3, 4, 7, 12, 30])]
    if kind < 0.85:
        return [rng.randint(1, 5), rng.choice([1, 2, 3, 4, 14, 20])]
    return [rng.randint(1, 3), rng.randint(1, 3), rng.randint(1, 4)]


def number(value):
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return int(value) if value == int(value) and abs(value) < 1e15 and math.copysign(1, value) == 1 else value


def case(rng, index):
    if index % 25 == 10:
        # A long array is a rule: i * step.
        size = rng.choice([[1000], [1001], [40, 26], [3, 400], [400, 3], [7, 8, 20], [2, 500], [1, 2, 600]])
        step = rng.choice([1, 0.5, 0.001, 0.1, -3.25])
        values = [i * step for i in range(math.prod(size))]
        result = {"step": step, "shape": size, "kind": "int" if step == 1 else "float"}
    else:
        size = shape(rng)
        integers = rng.random() < 0.2
        draw = INTEGERS[rng.choice(list(INTEGERS))] if integers else FLOATS[rng.choice(list(FLOATS))]
        special = 0 if integers else rng.choice([0, 0, 0, 0.1, 0.3, 1])
        values = [rng.choice(SPECIAL) if rng.random() < special else draw(rng) for _ in range(math.prod(size))]
        result = {"data": [number(x) for x in values], "shape": size, "kind": "int" if integers else "float"}
    result["text"] = str(np.array(values, dtype=np.int64 if result["kind"] == "int" else np.float64).reshape(size))
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default=FIXTURE)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    cases = [case(rng, index) for index in range(arguments.count)]
    with open(arguments.out, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
