"""Many small nets trained together, against one after the other: the time of a step of all of them.

`sequential` is the fastest plain loop of torch for one net, run for each trial in turn: rows shuffled once an epoch and cut by
views, autograd, and torch's optimizer with `fused=True`. `stacked` is a group of `train_batched` with all it does in an epoch:
order and batches of each trial, rates, losses, the look for what is not finite. Both train the same trials, each with a rate,
decay and seed of its own, by AdamW (or SGD with momentum), on scikit-learn's digits: rows of 64, pictures of 8 by 8, or of 28 by 28.

    mlp      64-64-10, batches of 32
    own      the same as a module of its own, which the stack knows nothing of and leaves to `torch.func.vmap`
    residual the built-in `mlp` of width 64: two residual blocks, layer norm, dropout 0.2; batches of 32
    wide     64-512-512-10, batches of 256: bound by arithmetic
    cnn      two convolutions (8 and 16 channels) with pooling and a linear layer on 8 by 8, batches of 32
    pictures the same on 28 by 28, batches of 64

`ratio` is sequential by stacked, pair by pair, each pair an epoch of both in turn; process CPU time on a CPU, wall time on a GPU.
`said` is what `pays` says from 20 steps. `off` is the largest ‖stacked - alone‖ / ‖alone‖ of the weights of a trial after the
epochs of all pairs in single precision; a wild trial's weights differ more, as rounding grows in it. Bars, mlp on one core: 5 with
8 trials, 8 with 32; and never below 1 where `pays` says yes.

The last table is what `LARGEST_GROUPED_MAP` rests on: forward and backward of a convolution 8 to 16 of 8 trials and 32 rows, as one
convolution in groups and trial after trial, by the side of the map.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tables import by_case, markdown
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.training.batched import BatchedTrial, Group, pays, train_batched

PAIRS, WARM = 9, 1
FEWER = {"residual": 5, "cnn": 5, "wide": 3, "pictures": 3}  # pairs, where an epoch takes seconds
BATCH = {"mlp": 32, "own": 32, "residual": 32, "wide": 256, "cnn": 32, "pictures": 64}
SIDES = (4, 8, 10, 14, 28)
BARS = {("mlp", "adamw", 8): 5, ("mlp", "adamw", 32): 8, ("mlp", "sgd", 8): 5, ("mlp", "sgd", 32): 8}


def cases() -> list[dict[str, Any]]:
    found = [trained("mlp", trials, optimizer) for optimizer in ("adamw", "sgd") for trials in (2, 8, 32)]
    found += [trained(task, trials) for trials in (2, 8) for task in ("residual", "cnn")]
    found += [trained(task, 8) for task in ("own", "wide", "pictures")]
    found += [{"row": "convolution", "side": side} for side in SIDES]
    if torch.cuda.is_available():
        return found + [trained(task, trials, device="cuda") for task in ("mlp", "cnn") for trials in (8, 32, 128)]
    print("no GPU: its cases are left out", file=sys.stderr)
    return found


def trained(task: str, trials: int, optimizer: str = "adamw", device: str = "cpu") -> dict[str, Any]:
    return {
        "row": "training",
        "task": task,
        "trials": trials,
        "optimizer": optimizer,
        "device": device,
        "pairs": FEWER.get(task, PAIRS),
    }


def measure(case: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(1)
    if case["row"] == "convolution":
        return convolutions(case["side"])
    group, alone = group_of(case), Sequential(case)
    said = pays(group)
    clock = clock_of(case["device"])
    together, single, ratios = [], [], []
    for pair in range(WARM + case["pairs"]):
        ways = (group.train_epoch, alone.train_epoch)
        took = [0.0, 0.0]
        for place in (0, 1) if pair % 2 else (1, 0):
            begun = clock()
            ways[place]()
            took[place] = clock() - begun
        if pair >= WARM:
            together.append(took[0])
            single.append(took[1])
            ratios.append(took[1] / took[0])
    steps = len(group.wanted)
    return {
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "stacked us": 1e6 * statistics.median(together) / steps,
        "sequential us": 1e6 * statistics.median(single) / steps,
        "said": said.gain,
        "pays": said.pays,
        "off": max(off(group.unstack(k), model) for k, model in enumerate(alone.models)),
        "steps": group.step,
        "gpu": torch.cuda.get_device_name() if case["device"] == "cuda" else "",
    }


def clock_of(device: str) -> Callable[[], float]:
    if device == "cpu":
        return time.process_time

    def clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return clock


def trials_of(case: dict[str, Any]) -> list[BatchedTrial]:
    """Rates from 1e-4 to 3e-3 by AdamW, from 1e-3 to 0.03 by SGD; every fourth without decay."""
    low, high = (1e-4, 3e-3) if case["optimizer"] == "adamw" else (1e-3, 0.03)
    rates = np.geomspace(low, high, case["trials"])
    return [
        BatchedTrial(id=k, lr=float(rate), seed=k, weight_decay=0.01 * (k % 4), momentum=0.9)
        for k, rate in enumerate(rates)
    ]


def group_of(case: dict[str, Any]) -> Group:
    inputs, labels = digits(case["task"])
    return train_batched(
        lambda: net(case["task"]),
        trials_of(case),
        inputs,
        labels,
        loss="cross_entropy",
        batch_size=BATCH[case["task"]],
        epochs=WARM + case["pairs"],
        optimizer=case["optimizer"],
        device=case["device"],
    )


class Sequential:
    """The trials one after the other, each an epoch at a time."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.batch_size = BATCH[case["task"]]
        self.inputs, self.labels = (part.to(case["device"]) for part in digits(case["task"]))
        self.models, self.optimizers, self.orders, self.random = [], [], [], []
        for trial in trials_of(case):
            torch.manual_seed(trial.seed)
            model = net(case["task"]).to(case["device"]).train()
            self.random.append(torch.get_rng_state())
            self.models.append(model)
            self.optimizers.append(optimizer_of(case["optimizer"], model, trial))
            self.orders.append(torch.Generator().manual_seed(trial.seed))

    def train_epoch(self) -> list[Tensor]:
        told = []
        for k in range(len(self.models)):
            torch.set_rng_state(self.random[k])
            told.append(self._epoch(self.models[k], self.optimizers[k], self.orders[k]))
            self.random[k] = torch.get_rng_state()
        return told

    def _epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, orders: torch.Generator) -> Tensor:
        order = torch.randperm(len(self.inputs), generator=orders).to(self.inputs.device)
        inputs, labels = self.inputs[order].split(self.batch_size), self.labels[order].split(self.batch_size)
        losses = []
        for x, y in zip(inputs, labels, strict=True):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean()


def optimizer_of(name: str, model: nn.Module, trial: BatchedTrial) -> torch.optim.Optimizer:
    shared = {"lr": trial.lr, "weight_decay": trial.weight_decay, "fused": True}
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=trial.momentum, **shared)
    return torch.optim.AdamW(model.parameters(), **shared)


def net(task: str) -> nn.Module:
    if task == "mlp":
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    if task == "own":
        return Own(net("mlp"))
    if task == "wide":
        return nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    if task == "residual":
        return residual()
    side = 2 if task == "cnn" else 7
    first = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16 * side * side, 10))


class Own(nn.Module):
    """A net of somebody's own."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def residual() -> nn.Module:
    from tunesmith.blocks import models
    from tunesmith.data.spec import Plain
    from tunesmith.records import Recipe, revise

    recipe = revise(Recipe(), {"model.width": 64, "model.depth": 2})
    return models.build("mlp", recipe, {"x": Plain((64,))}, 10, "multiclass")


def digits(task: str) -> tuple[Tensor, Tensor]:
    """1797 digits in [0, 1]: rows of 64, pictures of 8 by 8, or those made 28 by 28."""
    from sklearn.datasets import load_digits

    found = load_digits()
    inputs = torch.from_numpy((found.images / 16).astype(np.float32))
    if task in ("cnn", "pictures"):
        inputs = inputs[:, None]
        if task == "pictures":
            inputs = functional.interpolate(inputs, size=(28, 28), mode="bilinear", align_corners=False)
    else:
        inputs = inputs.flatten(1)
    return inputs, torch.from_numpy(found.target.astype(np.int64))


def off(found: dict[str, Tensor], model: nn.Module) -> float:
    """‖found - alone‖ / ‖alone‖ of all weights taken as one vector."""
    alone = {name: value.double() for name, value in model.named_parameters()}
    difference = sum(float((found[name].double() - value).square().sum().detach()) for name, value in alone.items())
    return (difference / sum(float(value.square().sum().detach()) for value in alone.values())) ** 0.5


def convolutions(side: int) -> dict[str, Any]:
    from tunesmith.training.batched.layers import Stack, build, convolution
    from tunesmith.training.batched.rows import Rows

    torch.manual_seed(0)
    layers = [nn.Conv2d(8, 16, 3, padding=1) for _ in range(8)]
    rows = Rows.of([dict(layer.named_parameters()) for layer in layers], layers[0].weight)
    layer = build(layers, "", Stack(rows, Rows.of([{} for _ in layers], layers[0].weight), {}, []))
    x, dy = torch.randn(8, 32, 8, side, side), torch.randn(8, 32, 16, side, side)
    took: dict[str, list[float]] = {"grouped": [], "trial after trial": []}
    with torch.no_grad():
        for turn in range(2 + 4 * PAIRS):
            for way, largest in (("grouped", side * side), ("trial after trial", 0)):
                convolution.LARGEST_GROUPED_MAP = largest
                begun = time.process_time()
                for _ in range(3):
                    layer.forward(x, True)
                    layer.backward(dy, True)
                if turn >= 2:
                    took[way].append((time.process_time() - begun) / 3)
    return {f"{way} us": 1e6 * statistics.median(each) for way, each in took.items()}


def table(rows: Any) -> str:
    groups = by_case(rows)
    of_training = [group for group in groups if group[0]["case"]["row"] == "training"]
    lines = [training_line(group) for group in of_training]
    header = [
        "task",
        "optimizer",
        "trials",
        "device",
        "ratio",
        "range",
        "bar",
        "said",
        "stacked us",
        "sequential us",
        "off",
    ]
    sides = [
        [str(group[-1]["case"]["side"])]
        + [f"{median(group, f'{way} us'):,.0f}" for way in ("grouped", "trial after trial")]
        for group in groups
        if group[0]["case"]["row"] == "convolution"
    ]
    return "\n\n".join([markdown(header, lines), markdown(["side", "grouped us", "trial after trial us"], sides)])


def training_line(group: Any) -> list[str]:
    case = group[0]["case"]
    bar = BARS.get((case["task"], case["optimizer"], case["trials"]), "") if case["device"] == "cpu" else ""
    lowest = min(row["measured"]["lowest"] for row in group)
    highest = max(row["measured"]["highest"] for row in group)
    verdict = "pays" if all(row["measured"]["pays"] for row in group) else "does not pay"
    return [
        case["task"],
        case["optimizer"],
        str(case["trials"]),
        group[-1]["measured"]["gpu"] or "CPU",
        f"{median(group, 'ratio'):.1f}",
        f"{lowest:.1f} to {highest:.1f}",
        str(bar),
        f"{median(group, 'said'):.1f}, {verdict}",
        f"{median(group, 'stacked us'):,.0f}",
        f"{median(group, 'sequential us'):,.0f}",
        f"{max(row['measured']['off'] for row in group):.1g}",
    ]


def median(group: Any, number: str) -> float:
    return statistics.median(row["measured"][number] for row in group)
