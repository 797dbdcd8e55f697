"""Learning without labels on Fashion-MNIST, small: which rules collapse, how early that is told, and what a linear classifier makes of the rest.

10,000 training pictures without labels, an encoder of three convolutions with batch norm (16, 32 and 64 channels, stride 2, 256 numbers
out), projections of 64 through one hidden layer with batch norm behind both, Adam(1e-3) with a cosine, 500 updates of 128 pictures. Views:
mirrored, shifted, turned, cut out, twice as far as is usual. Each 5 updates two views of 512 held pictures are looked at: `told` says at which update
`collapse.representation` was told, or taken back; a tenth of the training is update 50. `spread` is the normalised spread over 1/√D,
`rank` the effective rank of the projections, both at the last look, `rank at start` before training.

A linear classifier on the frozen encoder is fitted to 5,000 of the training pictures with their labels, and to 200 of them, and scored on 5,000
test pictures: beside the pixels themselves and the same encoder untrained. The standard error of one accuracy is .005. A probe standardises its
columns, so it shows what a collapse has cost, not that it happened. Weights are those after the last update, not the best.
The pictures are read from the folder that TUNESMITH_SHARED names. Seconds are of updates and looks, on a machine that others used too;
`looks` is their share.
"""

import os
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from tables import markdown
from torch import Tensor, nn

import tunesmith as ts
from tunesmith.data.idx import read_idx
from tunesmith.generative import embed, linear_probe
from tunesmith.generative.embedding.findings import stands_at
from tunesmith.generative.embedding.looks import look_of
from tunesmith.generative.embedding.plan import planned
from tunesmith.records import Recipe, revise
from tunesmith.training.session import seeded

ANYWHERE = True
SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
SEEDS, STEPS, EVERY = range(3), 500, 5
ROWS, HELD, LABELLED, FEW, TEST = 10_000, 2000, 5000, 200, 5000
VIEW = {"view": "flip+shift+affine+cutout", "strength": 1.0}  # usual is half
HARNESS = {"train.batch_size": 128, "eval.every": EVERY}
METHODS: dict[str, dict[str, Any] | None] = {  # None: nothing is trained
    "SimSiam, no stop-gradient": {"rule": "simsiam", "stop_gradient": False},
    "SimSiam": {"rule": "simsiam"},
    "VICReg": {"rule": "vicreg"},
    "Barlow Twins": {"rule": "barlow_twins"},
    "BYOL": {"rule": "byol", "momentum": 0.99},
    "InfoNCE": {"rule": "info_nce", "settings": {"temperature": 0.2}},
    "untrained": None,
    "pixels": None,
}


def cases() -> list[dict[str, Any]]:
    return [{"seed": seed, "method": method, "steps": STEPS} for seed in SEEDS for method in METHODS]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """The accuracy of the probe, every look, what was told, and seconds."""
    torch.set_num_threads(1)
    rules = METHODS[case["method"]]
    train, held, labelled, test = data(case["seed"])
    if case["method"] == "pixels":
        return probed(nn.Flatten(), labelled, test)
    task = ts.Embedding(encoder=encoder, data=train, held=held, **VIEW, **(rules or {}))
    recipe = revise(Recipe(), HARNESS | {"train.steps": case["steps"], "train.seed": case["seed"]})
    with seeded(case["seed"]):
        plan = planned(task, recipe)
        if rules is None:
            return probed(plan.state.model.encoder, labelled, test)
        state, looking, began = plan.state, 0.0, time.perf_counter()
        for step in range(case["steps"]):
            state.position = 0  # rows are drawn anew at each update: there is no epoch
            plan.rates.set(step)
            plan.update(state, plan.feed.window(state), lambda *_: True)
            state.step += 1
            if state.step % EVERY == 0:
                before = time.perf_counter()
                plan.judge(state)
                looking += time.perf_counter() - before
        spent = time.perf_counter() - began
    looks = [look_of(look) for look in state.progress["looks"]]
    start, now = plan.judge.case.start, looks[-1]
    told = stands_at(looks, plan.judge.case, state.progress["look_losses"])
    return probed(state.model.encoder, labelled, test) | {
        "told": told,
        "looks": [[look.step, look.rank, look.shared, look.common] for look in looks],
        "spread": now.normalised_spread * now.dimensions**0.5,
        "raw": now.raw_spread / start.raw_spread,
        "rank": now.effective_rank,
        "rank_at_start": start.effective_rank,
        "shared": now.shared,
        "seconds": spent,
        "looking": looking / spent,
    }


def data(seed: int) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Pictures to train on, held ones for the looks, some of the first with labels, and test pictures with theirs."""
    (pictures, labels), (others, names) = (part(name) for name in ("train", "t10k"))
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))
    rows, held = order[:ROWS], order[ROWS : ROWS + HELD]
    some = rows[:LABELLED]
    return pictures[rows], pictures[held], (pictures[some], labels[some]), (others[:TEST], names[:TEST])


def part(name: str) -> tuple[Tensor, Tensor]:
    place = SHARED / "images" / "fashion_mnist"
    pictures, labels = (read_idx(place / f"{name}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    return torch.from_numpy(pictures.copy())[:, None].float() / 255, torch.from_numpy(labels.copy()).long()


def encoder() -> nn.Module:
    """(N, 1, 28, 28) to (N, 256)."""
    layers: list[nn.Module] = []
    for before, after in ((1, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())


def probed(net: nn.Module, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """The accuracy of a linear classifier on what a net makes of pictures, of many labels and of few."""
    (rows, labels), (others, names) = ((embed(net, pictures), told) for pictures, told in (train, test))
    whole, few = (linear_probe(rows[:count], labels[:count], others, names) for count in (LABELLED, FEW))
    return {"accuracy": whole.accuracy, "accuracy_few": few.accuracy}


def table(rows: list[dict[str, Any]]) -> str:
    """One line for each method."""
    good = [row for row in rows if "error" not in row]
    heads = [
        "",
        "runs",
        "accuracy %",
        f"of {FEW} labels",
        "told",
        "spread",
        "raw spread",
        "rank",
        "rank at start",
        "seconds",
        "looks",
    ]
    lines = [line(method, [row for row in good if row["case"]["method"] == method]) for method in METHODS]
    return markdown(heads, [one for one in lines if one])


def line(method: str, rows: list[dict[str, Any]]) -> list[str]:
    """A row of the table: mean ± deviation over the seeds."""
    if not rows:
        return []
    found = [row["measured"] for row in rows]
    scores = [spread([100 * one[name] for one in found], 1) for name in ("accuracy", "accuracy_few")]
    first = [method, str(len(rows)), *scores]
    if "told" not in found[0]:
        return [*first, *[""] * 7]
    said = [
        ", ".join(f"{word(message)} at {step}" for step, message in one["told"]) if one["told"] else "nothing"
        for one in found
    ]
    return [
        *first,
        "; ".join(said),
        *(spread([one[name] for one in found], digits) for name, digits in NUMBERS),
        f"{100 * mean(one['looking'] for one in found):.0f} %",
    ]


NUMBERS = (("spread", 2), ("raw", 2), ("rank", 1), ("rank_at_start", 1), ("seconds", 0))


def word(message: str) -> str:
    """
    >>> word("embedding.few")
    'few dimensions'
    """
    return {
        "embedding.one": "one direction",
        "embedding.few": "few dimensions",
        "embedding.shrinks": "shrinking",
        "embedding.returned": "taken back",
    }[message]


def spread(values: list[float], digits: int) -> str:
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")
