"""What augmentation does on small real data, and what a batch of it costs.

Test error of a built-in network trained as long with each change as without, at the usual strength 0.5, the mean of three seeds (of
the training rows, the weights and the order), with the difference to `none` seed by seed, and its standard error.

* `digits`: 300 of scikit-learn's digits, 8 × 8, tested on 1,000 others; a `cnn` of width 16, 25 epochs in batches of 32.
* `clothes`: 500 of the shipped Fashion-MNIST pictures, tested on 1,000 others; a `cnn` of width 16, 12 epochs in batches of 32.
* `digits, long` and `clothes, long`: the same for 120 and 60 epochs.
* `wine`, `cancer`: 60 of scikit-learn's rows, tested on the others; an `mlp`, 40 epochs.
* `diabetes`: 100 rows, tested on the others; an `mlp`, 40 epochs; the error is 1 - R².
* `messages`: 200 of the shipped messages, tested on 700 others; a `bag` of words, 15 epochs.

Time of a batch of 128 pictures of 3 × 32 × 32, floating, one thread, medians of 21 in turn: ours and kornia's change of the same kind, which
also draws for each picture of its own.
"""

import math
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tables import Row, markdown

SEEDS, ROUNDS, BATCH = 3, 21, 128
ALONE = ("shift", "flip", "affine", "colour", "cutout", "cutmix", "mixup")
TRIED: dict[str, tuple[str, ...]] = {
    "digits": ("none", *ALONE, "shift+affine", "shift+affine+mixup"),
    "clothes": ("none", *ALONE, "flip+shift", "flip+shift+cutout", "flip+shift+mixup"),
    "digits, long": ("none", "shift", "affine", "mixup"),
    "clothes, long": ("none", "flip", "mixup", "flip+shift"),
    "wine": ("none", "noise", "mixup", "noise+mixup"),
    "cancer": ("none", "noise", "mixup", "noise+mixup"),
    "diabetes": ("none", "noise", "mixup", "noise+mixup"),
    "messages": ("none", "token_dropout", "token_swap", "token_dropout+token_swap"),
}
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "digits": ("cnn", {"train.epochs": 25, "train.batch_size": 32, "model.width": 16}),
    "clothes": ("cnn", {"train.epochs": 12, "train.batch_size": 32, "model.width": 16}),
    "digits, long": ("cnn", {"train.epochs": 120, "train.batch_size": 32, "model.width": 16}),
    "clothes, long": ("cnn", {"train.epochs": 60, "train.batch_size": 32, "model.width": 16}),
    "wine": ("mlp", {"train.epochs": 40}),
    "cancer": ("mlp", {"train.epochs": 40}),
    "diabetes": ("mlp", {"train.epochs": 40}),
    "messages": ("bag", {"train.epochs": 15}),
}
ROWS = {"digits": (300, 1000), "clothes": (500, 1000), "wine": (60, 118), "cancer": (60, 509), "diabetes": (100, 342)}
ROWS |= {"messages": (200, 700), "digits, long": ROWS["digits"], "clothes, long": ROWS["clothes"]}
TIMED = ("flip", "shift", "affine", "colour", "cutout", "cutmix", "mixup")


def cases() -> list[dict[str, Any]]:
    errors = [{"data": data, "augment": name} for data, names in TRIED.items() for name in names]
    return errors + [{"time": name, "env": "augment"} for name in TIMED]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    if "time" in case:
        return timed(case["time"])
    began = time.process_time()
    errors = [error(case["data"], case["augment"], seed) for seed in range(SEEDS)]
    return {"errors": errors, "seconds": time.process_time() - began}


def error(data: str, name: str, seed: int) -> float:
    """Of the test rows: the share that is wrong, or 1 - R²."""
    import numpy as np

    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    x, y = whole(data.partition(",")[0])
    order = np.random.default_rng(seed).permutation(len(x))
    first, then = ROWS[data]
    train, test = order[:first], order[first : first + then]
    model, recipe = RECIPES[data]
    task = ts.Task(model, train=(x[train], y[train]), test=(x[test], y[test]))
    about = {"data.augment": name, "data.val": 0.0, "train.seed": seed, "eval.bootstrap": 0, "run.watch": False}
    run = ts.fit(task, {**recipe, **about}, display=QuietDisplay())
    scores = run.scores["parts"]["test"]["scores"]
    return 1 - float(scores["r2" if data == "diabetes" else "accuracy"])


def whole(data: str) -> tuple[Any, Any]:
    import numpy as np
    from sklearn import datasets

    from tunesmith.testing.healthy import data as shipped

    if data == "clothes":
        x, y = shipped.fashion()
        return x[:, 0].byte().numpy(), y.numpy()
    if data == "messages":
        words, labels = shipped.messages()
        return np.array([" ".join(one) for one in words], object), labels.numpy()
    if data == "digits":
        found = datasets.load_digits()
        return (found.images / 16 * 255).astype(np.uint8), found.target
    loaded = {"wine": datasets.load_wine, "cancer": datasets.load_breast_cancer, "diabetes": datasets.load_diabetes}
    found = loaded[data]()
    return found.data, found.target


def timed(name: str) -> dict[str, Any]:
    """Milliseconds of a batch, ours and kornia's in turn."""
    import torch

    x, y = torch.rand(BATCH, 3, 32, 32), torch.arange(BATCH) % 10
    both = [ours(name, x, y), theirs(name, x, y)]
    for one in both * 3:
        one()
    found: list[list[float]] = [[], []]
    for turn in range(ROUNDS):
        for which in (0, 1) if turn % 2 else (1, 0):
            began = time.process_time()
            both[which]()
            found[which].append(1000 * (time.process_time() - began))
    return {"ms": statistics.median(found[0]), "kornia ms": statistics.median(found[1])}


def ours(name: str, x: Any, y: Any) -> Callable[[], Any]:
    import torch

    from tunesmith.training.augment import AUGMENTATIONS

    member, generator = AUGMENTATIONS[name], torch.Generator().manual_seed(0)
    if member.mixes:
        return lambda: member.function(x, y, generator, 1.0, classes=10)
    return lambda: member.function(x, generator, 0.5)


def theirs(name: str, x: Any, y: Any) -> Callable[[], Any]:
    import kornia.augmentation as kornia

    made: dict[str, Callable[[], Any]] = {
        "flip": lambda: kornia.RandomHorizontalFlip(p=0.5),
        "shift": lambda: kornia.RandomCrop((32, 32), padding=3, padding_mode="replicate", p=1.0),
        "affine": lambda: kornia.RandomAffine(15, scale=(0.85, 1.15), shear=7.5, padding_mode="border", p=1.0),
        "colour": lambda: kornia.ColorJitter(0.4, 0.4, 0.4, p=1.0),
        "cutout": lambda: kornia.RandomErasing((0.25, 0.25), (1.0, 1.0), p=1.0),
        "cutmix": lambda: kornia.RandomCutMixV2(p=1.0, data_keys=["input", "class"], use_correct_lambda=True),
        "mixup": lambda: kornia.RandomMixUpV2(p=1.0, data_keys=["input", "class"]),
    }
    change = made[name]()
    return (lambda: change(x, y)) if "mix" in name else lambda: change(x)


def table(rows: list[Row]) -> str:
    found: dict[str, dict[str, list[float]]] = {data: {} for data in TRIED}
    for row in rows:
        if "data" in row["case"]:
            found[row["case"]["data"]][row["case"]["augment"]] = row["measured"]["errors"]
    lines = [
        [data, name, f"{statistics.mean(errors):.3f}", *beside(errors, by_name["none"])]
        for data, by_name in found.items()
        for name, errors in by_name.items()
        if "none" in by_name
    ]
    costs = [
        [row["case"]["time"], f"{ms:.2f}", f"{peer:.2f}", f"{ms / peer:.2f}"]
        for row in rows
        if "time" in row["case"]
        for ms, peer in [(row["measured"]["ms"], row["measured"]["kornia ms"])]
    ]
    heading = ["data", "augment", "test error", "against none", "standard error"]
    return markdown(heading, lines) + "\n\n" + markdown(["a batch", "ms", "kornia ms", "ratio"], costs)


def beside(errors: list[float], without: list[float]) -> tuple[str, str]:
    """The mean difference, seed by seed, and its standard error."""
    gaps = [one - other for one, other in zip(errors, without, strict=True)]
    if not any(gaps):
        return "", ""
    return f"{statistics.mean(gaps):+.3f}", f"{statistics.stdev(gaps) / math.sqrt(len(gaps)):.3f}"
