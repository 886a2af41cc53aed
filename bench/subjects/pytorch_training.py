"""The benchmark's models in PyTorch."""

import numpy as np
import torch
import torch.nn.functional as F


def attend(q, k, v):
    """Causal attention, by PyTorch's own kernel where it has one."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    length, width = q.shape[-2:]
    mask = torch.full((length, length), float("-inf"), device=q.device).triu(1)
    return (q @ k.transpose(-1, -2) / width**0.5 + mask).softmax(-1) @ v


def forward(model, p, x):
    if model["kind"] == "mlp":
        return F.relu(x @ p["w0"] + p["b0"]) @ p["w1"] + p["b1"]
    if model["kind"] == "cnn":
        first = F.max_pool2d(F.relu(F.conv2d(x, p["conv1"], p["bias1"], padding=1)), 2)
        second = F.max_pool2d(F.relu(F.conv2d(first, p["conv2"], p["bias2"], padding=1)), 2)
        return second.flatten(1) @ p["w"] + p["b"]
    sizes = model["gpt"]
    batch, length, width, heads = model["batch"], sizes["length"], sizes["width"], sizes["heads"]

    def norm(t, name):
        return F.layer_norm(t, (width,), p[name + "w"], p[name + "b"])

    h = F.embedding(x, p["tokens"]) + p["positions"]
    for i in range(sizes["layers"]):
        q, k, v = (
            t.reshape(batch, length, heads, width // heads).transpose(1, 2)
            for t in (norm(h, f"{i}.norm1") @ p[f"{i}.qkv"]).chunk(3, -1)
        )
        h = h + attend(q, k, v).transpose(1, 2).reshape(batch, length, width) @ p[f"{i}.out"]
        h = h + F.gelu(norm(h, f"{i}.norm2") @ p[f"{i}.up"], approximate="tanh") @ p[f"{i}.down"]
    return (norm(h, "norm") @ p["head"]).reshape(-1, sizes["vocabulary"])


class Trainer:
    def __init__(self, device, model, files, adamw):
        self.device, self.model = device, model
        self.p = {}
        for spec, file in zip(model["parameters"], files):
            value = torch.from_numpy(np.fromfile(file, dtype="float32")).reshape(spec["shape"])
            self.p[spec["name"]] = value.to(device).requires_grad_()
        self.optimizer = torch.optim.AdamW(
            self.p.values(),
            lr=adamw["lr"],
            betas=(adamw["beta1"], adamw["beta2"]),
            eps=adamw["eps"],
            weight_decay=adamw["weightDecay"],
        )

    def step(self, x, y):
        loss = F.cross_entropy(forward(self.model, self.p, x.to(self.device)), y.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss
