"""Writes test/fixtures/layers.json: samples, as ops.py writes them, of what layers are made of, and of sorting.

Needs PyTorch 1.13 and NumPy. Run: python3 test/generate/layers.py
"""

import os

import ops

ops.OUT = os.path.join(os.path.dirname(ops.OUT), "layers.json")
ops.MAX_SAMPLES = 8
ops.MAX_ELEMENTS = 120
ops.OPS = """
nn.functional.conv1d nn.functional.conv2d nn.functional.conv_transpose1d nn.functional.conv_transpose2d nn.functional.conv_transpose3d
""".split()

if __name__ == "__main__":
    ops.main()
