"""Writes test/fixtures/models.json: what PyTorch's modules, optimisers and schedulers give for fixed inputs.

Needs PyTorch 1.13 and NumPy. Run: python3 test/generate/models.py
"""

import inspect
import json
import os

import torch
from torch import nn, optim
from torch.optim import lr_scheduler as schedules
from torch.optim import nadam

import ops

# PyTorch 1.13 multiplies the momentum of the coming step in once too often, which later versions mend.
source = inspect.getsource(nadam._single_tensor_nadam).replace("mu_product * mu * mu_next", "mu_product * mu_next")
exec(source, nadam.__dict__)

OUT = os.path.join(os.path.dirname(ops.OUT), "models.json")


def wave(*shape, seed=0.0):
    count = 1
    for n in shape:
        count *= n
    return torch.tensor([float(f"{x:.4g}") for x in torch.sin(torch.arange(count) * 1.7 + seed).tolist()]).reshape(shape)


def tensor(t):
    return {"t": list(t.shape), "d": [float(f"{x:.6g}") for x in t.detach().double().reshape(-1).tolist()]}


def module(make, *inputs, call=None, train=True):
    torch.manual_seed(1)
    net = make().double().train(train)
    state = net.state_dict()
    for i, (key, value) in enumerate(state.items()):
        if value.is_floating_point():
            value.copy_((wave(*value.shape, seed=i) * 0.5 + (1 if "var" in key else 0)).double())
    before = {key: tensor(value) for key, value in state.items()}
    given = [x.double().requires_grad_() for x in inputs]
    out = (call or (lambda m, *xs: m(*xs)))(net, *given)
    outs = ops.leaves(list(out) if isinstance(out, tuple) else [out])
    total = sum((o * ops.weights(o.shape, i)).sum() for i, o in enumerate(outs))
    grads = torch.autograd.grad(total, [*given, *net.parameters()])
    return {
        "state": before,
        "shown": repr(net),
        "inputs": [tensor(x) for x in inputs],
        "out": [tensor(o) for o in outs],
        "inputGrads": [tensor(g) for g in grads[: len(given)]],
        "grads": {name: tensor(g) for (name, _), g in zip(net.named_parameters(), grads[len(given) :])},
    }


MASK = torch.tensor([[False, True, True], [False, False, True], [False, False, False]])


def modules():
    return {
        "linear": module(lambda: nn.Linear(3, 2), wave(4, 3)),
        "bilinear": module(lambda: nn.Bilinear(2, 3, 2), wave(4, 2), wave(4, 3, seed=1)),
        "conv": module(lambda: nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(1, 2), dilation=(1, 2), groups=2, padding_mode="circular"), wave(1, 2, 4, 5)),
        "transposed": module(lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1), wave(1, 2, 3, 3), call=lambda m, x: m(x, output_size=(6, 5))),
        "batch norm": module(lambda: nn.BatchNorm2d(2), wave(3, 2, 2, 2)),
        "batch norm in evaluation": module(lambda: nn.BatchNorm1d(3), wave(4, 3), train=False),
        "attention": module(lambda: nn.MultiheadAttention(4, 2, batch_first=True), wave(2, 3, 4), call=lambda m, x: m(x, x, x, attn_mask=MASK)),
        "encoder": module(lambda: nn.TransformerEncoderLayer(4, 2, dim_feedforward=6, dropout=0.0, norm_first=True, activation="gelu"), wave(3, 2, 4)),
        "encoder, norm last": module(lambda: nn.TransformerEncoderLayer(4, 2, dim_feedforward=6, dropout=0.0, batch_first=True), wave(2, 3, 4), call=lambda m, x: m(x, src_mask=MASK)),
        "rnn": module(lambda: nn.RNN(3, 2, nonlinearity="relu"), wave(4, 2, 3)),
        "lstm": module(lambda: nn.LSTM(3, 2, num_layers=2, bidirectional=True), wave(4, 2, 3)),
        "gru": module(lambda: nn.GRU(3, 2, batch_first=True), wave(2, 4, 3)),
        "lstm cell": module(lambda: nn.LSTMCell(3, 2), wave(2, 3)),
        "gru cell": module(lambda: nn.GRUCell(3, 2), wave(2, 3)),
        "net": module(lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)), wave(2, 1, 4, 4)),
    }


OPTIMISERS = {
    "RMSprop": [dict(), dict(lr=0.02, alpha=0.9, momentum=0.5, centered=True, weight_decay=0.1)],
    "Adagrad": [dict(), dict(lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.3)],
    "Adadelta": [dict(), dict(lr=0.5, rho=0.8, weight_decay=0.1)],
    "Adamax": [dict(), dict(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1)],
    "NAdam": [dict(), dict(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1, momentum_decay=0.1)],
    "RAdam": [dict(lr=0.01), dict(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1)],
    "Rprop": [dict(), dict(lr=0.05, etas=(0.6, 1.3), step_sizes=(1e-3, 0.2))],
    "ASGD": [dict(), dict(lr=0.05, lambd=0.01, alpha=0.6, t0=3, weight_decay=0.1)],
    "SGD": [dict(lr=0.05, momentum=0.9, dampening=0.1, weight_decay=0.1), dict(lr=0.05, momentum=0.9, nesterov=True)],
    "Adam": [dict(lr=0.05, weight_decay=0.1, amsgrad=True)],
    "AdamW": [dict(lr=0.05)],
    "LBFGS": [dict(lr=0.3, max_iter=4, history_size=3), dict(line_search_fn="strong_wolfe", max_iter=6)],
}


def descend(name, options):
    params = [wave(2, 3).double().requires_grad_(), wave(4, seed=2).double().requires_grad_()]
    targets = [wave(2, 3, seed=3).double(), wave(4, seed=4).double()]
    optimiser = getattr(optim, name)(params, **options)

    def closure():
        optimiser.zero_grad()
        loss = sum(((p - t) ** 2).sum() + (p**4).sum() for p, t in zip(params, targets))
        loss.backward()
        return loss

    for _ in range(3 if name == "LBFGS" else 9):
        if name == "LBFGS":
            optimiser.step(closure)
        else:
            closure()
            optimiser.step()
    return {"options": {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}, "out": [tensor(p) for p in params]}


SCHEDULES = {
    "StepLR": lambda o: schedules.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda o: schedules.MultiStepLR(o, [2, 5, 5], 0.5),
    "ExponentialLR": lambda o: schedules.ExponentialLR(o, 0.9),
    "ConstantLR": lambda o: schedules.ConstantLR(o, factor=0.5, total_iters=4),
    "LinearLR": lambda o: schedules.LinearLR(o, start_factor=0.25, total_iters=6),
    "PolynomialLR": lambda o: schedules.PolynomialLR(o, total_iters=7, power=2),
    "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, 5, 0.01),
    "CosineAnnealingWarmRestarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "LambdaLR": lambda o: schedules.LambdaLR(o, lambda e: 0.5 ** (e // 2)),
    "MultiplicativeLR": lambda o: schedules.MultiplicativeLR(o, lambda e: 0.9 if e % 2 else 1.1),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, 0.5, total_steps=14),
    "OneCycleLR in three": lambda o: schedules.OneCycleLR(o, 0.5, total_steps=14, three_phase=True, anneal_strategy="linear"),
    "CyclicLR": lambda o: schedules.CyclicLR(o, 0.1, 0.4, step_size_up=3, step_size_down=2, mode="triangular2"),
    "CyclicLR, exp_range": lambda o: schedules.CyclicLR(o, 0.1, 0.4, step_size_up=3, mode="exp_range", gamma=0.9),
    "SequentialLR": lambda o: schedules.SequentialLR(o, [schedules.ConstantLR(o, factor=0.1, total_iters=2), schedules.ExponentialLR(o, 0.9)], [3]),
    "ChainedScheduler": lambda o: schedules.ChainedScheduler([schedules.ConstantLR(o, factor=0.1, total_iters=2), schedules.ExponentialLR(o, 0.9)]),
    "ReduceLROnPlateau": lambda o: schedules.ReduceLROnPlateau(o, factor=0.5, patience=1, cooldown=1),
}
MEASURES = [5, 4, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2, 2]


def rates(name, make):
    optimiser = optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2, momentum=0.9)
    schedule = make(optimiser)
    result = []
    for measure in MEASURES:
        group = optimiser.param_groups[0]
        result.append([float(f"{group['lr']:.9g}"), float(f"{group['momentum']:.9g}")])
        optimiser.step()
        schedule.step(measure) if name == "ReduceLROnPlateau" else schedule.step()
    return result


if __name__ == "__main__":
    import warnings

    warnings.filterwarnings("ignore")
    everything = {
        "modules": modules(),
        "optimisers": {name: [descend(name, o) for o in options] for name, options in OPTIMISERS.items()},
        "schedules": {name: rates(name, make) for name, make in SCHEDULES.items()},
    }
    with open(OUT, "w") as file:
        body = [f'"{part}":{{\n' + ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in entries.items()) + "\n}" for part, entries in everything.items()]
        file.write("{" + ",\n".join(body) + "}\n")
