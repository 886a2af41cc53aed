"""Writes test/fixtures/layers.json: samples, as ops.py writes them, of what layers are made of, and of sorting.

Needs PyTorch 1.13 and NumPy. Run: python3 test/generate/layers.py
"""

import os

import ops

ops.OUT = os.path.join(os.path.dirname(ops.OUT), "layers.json")
ops.MAX_SAMPLES = 8
ops.MAX_ELEMENTS = 120
ops.LIMITS = {"nn.functional.interpolate": 40, "nn.functional.pad": 24, "nn.functional.conv_transpose3d": 2}
ops.INTEGER = ops.INTEGER | {"bincount"}
MAX_RESULTS = 256
LARGE = {"nn.functional.conv_transpose3d"}
ops.OPS = """
nn.functional.conv1d nn.functional.conv2d nn.functional.conv_transpose1d nn.functional.conv_transpose2d nn.functional.conv_transpose3d
nn.functional.max_pool1d nn.functional.max_pool2d nn.functional.max_pool3d nn.functional.avg_pool1d nn.functional.avg_pool2d
nn.functional.avg_pool3d nn.functional.adaptive_avg_pool1d nn.functional.adaptive_avg_pool2d nn.functional.adaptive_avg_pool3d
nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool2d nn.functional.adaptive_max_pool3d nn.functional.max_unpool1d
nn.functional.max_unpool2d nn.functional.max_unpool3d nn.functional.pad nn.functional.interpolate nn.functional.unfold
nn.functional.pixel_shuffle nn.functional.pixel_unshuffle nn.functional.upsample_bilinear nn.functional.upsample_nearest
argsort bucketize cummax cummin histc kthvalue median mode msort nanmedian searchsorted sort topk unique unique_consecutive bincount
nn.functional.batch_norm nn.functional.group_norm nn.functional.instance_norm nn.functional.local_response_norm nn.functional.normalize
nn.functional.embedding_bag
""".split()

encode = ops.sample


def sample(op, given):
    """A sample, unless its results are many."""
    result = encode(op, given)
    large = result is not None and any(len(t["d"]) > MAX_RESULTS for t in result["out"])
    return None if large and op.name not in LARGE else result


ops.sample = sample

if __name__ == "__main__":
    ops.main()
