"""PyTorch as a subject: a server that reads one JSON command a line and answers each with one line."""

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from pytorch_training import Trainer, attend


def conv(x, w, task):
    return F.conv2d(x, w, stride=task["stride"], padding=task["padding"])


def with_gradients(f, inputs, g):
    leaves = [t.detach().requires_grad_() for t in inputs]
    y = f(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, g)]


def adamw(p, g, m, r, task):
    keep, size, beta1, beta2, root, eps = (task[name] for name in ("keep", "size", "beta1", "beta2", "root", "eps"))
    mean = m * beta1 + g * (1 - beta1)
    square = r * r * beta2 + g * g * (1 - beta2)
    return [p * keep - mean * size / (square.sqrt() * root + eps), mean, square]


def tiny(x, task):
    for i in range(task["count"]):
        x = x * 0.999 if i % 2 == 0 else x + 0.001
    return x


def table_gradient(index, g, task):
    table = torch.zeros(task["vocabulary"], g.shape[1], device=g.device, dtype=g.dtype, requires_grad=True)
    return torch.autograd.grad(F.embedding(index, table), table, g)


OPERATIONS = {
    "matmul": lambda a, b, task: [(a.mT if task["transposeA"] else a) @ b],
    "conv2d": lambda x, w, task: [conv(x, w, task)],
    "conv2dBackward": lambda x, w, g, task: with_gradients(lambda a, b: conv(a, b, task), [x, w], g),
    "add": lambda x, y, task: [x + y],
    "gelu": lambda x, task: [F.gelu(x, approximate="tanh")],
    "biasAdd": lambda x, b, task: [x + b],
    "chain": lambda x, y, task: [(((x * 1.5 + 0.5).relu() * y - x).abs().add(1).sqrt() * 0.5).maximum(y)],
    "adamw": adamw,
    "softmax": lambda x, task: [x.softmax(1)],
    "layerNorm": lambda x, w, b, task: [F.layer_norm(x, x.shape[1:], w, b)],
    "layerNormBackward": lambda x, w, b, g, task: with_gradients(
        lambda p, q, r: F.layer_norm(p, p.shape[1:], q, r), [x, w, b], g
    ),
    "sum": lambda x, task: [x.sum()],
    "cumsum": lambda x, task: [x.cumsum(0)],
    "sort": lambda x, task: [x.sort().values],
    "topk": lambda x, task: [x.topk(task["k"]).values],
    "attention": lambda q, k, v, task: [attend(q, k, v)],
    "attentionBackward": lambda q, k, v, g, task: with_gradients(attend, [q, k, v], g),
    "embeddingBackward": table_gradient,
    "tiny": lambda x, task: [tiny(x, task)],
}


class Server:
    def __init__(self, device, threads):
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self.device = device
        self.inputs = []
        self.task = {}
        self.half = False

    def prepare(self, task, half):
        self.task = task
        self.half = half
        return {}

    def load(self, files, shapes, types):
        self.inputs = [
            torch.from_numpy(np.fromfile(f, dtype=t)).reshape(s).to(self.device)
            for f, s, t in zip(files, shapes, types)
        ]
        if self.half:
            self.inputs = [t.half() if t.is_floating_point() else t for t in self.inputs]
        self.synchronize()
        return {}

    def call(self):
        return list(OPERATIONS[self.task["op"]](*self.inputs, task=self.task))

    def run(self, repeat):
        start = time.perf_counter()
        for _ in range(repeat):
            results = self.call()
        value = results[-1].flatten()[0].item()
        self.synchronize()
        return {"seconds": time.perf_counter() - start, "value": value}

    def outputs(self, files):
        for result, file in zip(self.call(), files):
            result.float().cpu().numpy().tofile(file)
        return {}

    def unload(self):
        self.inputs = []
        return {}

    def start(self, model, files, adamw):
        self.trainer = Trainer(self.device, model, files, adamw)
        return {}

    def train(self, batches):
        """Steps on batches that lie in files; reading the files is not counted."""
        kind = "int32" if self.trainer.model["kind"] == "gpt" else "float32"
        shape = self.trainer.model["xShape"]
        data = [
            (
                torch.from_numpy(np.fromfile(x, dtype=kind)).reshape(shape),
                torch.from_numpy(np.fromfile(y, dtype="int32").astype("int64")),
            )
            for x, y in batches
        ]
        start = time.perf_counter()
        for x, y in data:
            loss = self.trainer.step(x, y)
        value = loss.item()
        self.synchronize()
        return {"seconds": time.perf_counter() - start, "loss": value}

    def synchronize(self):
        if self.device == "cuda":
            torch.cuda.synchronize()


def main():
    device, threads = sys.argv[1], int(sys.argv[2])
    server = Server(device, threads)
    name = torch.cuda.get_device_name() if device == "cuda" else torch.__config__.show()
    print(json.dumps({"version": torch.__version__, "cuda": torch.cuda.is_available(), "name": name}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        method = command.pop("do")
        try:
            answer = getattr(server, method)(**command)
        except Exception as error:  # The benchmark shows what is missing.
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


main()
