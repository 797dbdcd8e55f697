"""A pretrained start on few rows: which of the ways to use it helps, and by how much over a net drawn anew.

The built-in `cnn` of width 16 is trained on 8,000 pictures of five classes of Fashion-MNIST (tops, trousers, dresses, coats, shirts; 6 epochs,
its defaults), a seed each. From its weights nets begin that tell the other five apart (pullovers, sandals, trainers, bags, boots), from 50,
200 and 1,000 rows, for 20 epochs in batches of 16 at one rate, 3e-3, tested on 4,000 others. Test error, mean of three seeds (of the rows,
the weights and the order), with the difference to the net drawn anew seed by seed, its standard error, and seconds of the processor for
a training.

* `anew`: the same net, drawn anew; the same shape.
* `frozen`: the head alone is trained. `all`: everything, at one rate. `slower body`: at a tenth of the head's.
* `layer decay`: each layer at .7 of the rate of the one above. `unfrozen`: a layer every 2 epochs from the head down; with `slower body` too.
* `all, no dropout`: as `all`, without the dropout of .1 before the head.

The pictures are not part of the repository: TUNESMITH_SHARED names their folder.
"""

import math
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tables import Row, markdown

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
IMAGES = SHARED / "images" / "fashion_mnist"
SEEDS, PICTURES, TESTED = 3, 8000, 4000
SIZES = (50, 200, 1000)
FIRST = (0, 1, 3, 4, 6)
SLOWER = {"optim.rates": {"body": 0.1}}
UNFROZEN = {"model.freeze": "body", "model.unfreeze_every": 2}
WAYS: dict[str, dict[str, Any]] = {
    "anew": {"model.pretrained": None},
    "frozen": {"model.freeze": "body"},
    "all": {},
    "slower body": SLOWER,
    "layer decay": {"optim.layer_decay": 0.7},
    "unfrozen": UNFROZEN,
    "unfrozen, slower body": {**UNFROZEN, **SLOWER},
    "all, no dropout": {"model.dropout": 0.0},
}
COMMON = {"eval.bootstrap": 0, "run.watch": False, "data.val": 0.0, "model.width": 16, "train.threads": 1}
LATER = {"train.epochs": 20, "train.batch_size": 16, "optim.lr": 3e-3}


def cases() -> list[dict[str, Any]]:
    return [{"seed": seed} for seed in range(SEEDS)]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Trains a body, and from it nets in each way: error and seconds by rows and way."""
    import torch

    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        place = Path(folder) / "body"
        body(case["seed"], place)
        return {f"{rows} {way}": started(rows, way, case["seed"], place) for rows in SIZES for way in WAYS}


def pictures() -> tuple[Any, Any]:
    """All training pictures of Fashion-MNIST and their labels."""
    from tunesmith.data.idx import read_idx

    return read_idx(IMAGES / "train-images-idx3-ubyte.gz"), read_idx(IMAGES / "train-labels-idx1-ubyte.gz")


def body(seed: int, place: Path) -> None:
    """The run whose weights are begun from."""
    import numpy as np

    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    x, y = pictures()
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(y, FIRST)))[:PICTURES]
    recipe = {**COMMON, "train.seed": seed, "train.epochs": 6, "data.test": 0.0}
    ts.fit(ts.Task("cnn", (x[chosen], y[chosen])), recipe, folder=place, display=QuietDisplay())


def started(rows: int, way: str, seed: int, place: Path) -> list[float]:
    """The share of the test rows that is wrong, and seconds of the processor."""
    import numpy as np

    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    x, y = pictures()
    order = np.random.default_rng(100 + seed).permutation(np.flatnonzero(~np.isin(y, FIRST)))
    train, test = order[:rows], order[-TESTED:]
    task = ts.Task("cnn", train=(x[train], y[train]), test=(x[test], y[test]))
    recipe = {**COMMON, **LATER, "train.seed": seed, "model.pretrained": str(place), **WAYS[way]}
    began = time.process_time()
    run = ts.fit(task, recipe, display=QuietDisplay())
    return [1 - float(run.scores["parts"]["test"]["scores"]["accuracy"]), time.process_time() - began]


def table(rows: list[Row]) -> str:
    told = [row["measured"] for row in rows]
    lines = []
    for size in SIZES:
        for way in WAYS:
            errors, seconds = zip(*(one[f"{size} {way}"] for one in told), strict=True)
            anew = [one[f"{size} anew"][0] for one in told]
            lines.append(
                [
                    str(size),
                    way,
                    f"{statistics.mean(errors):.3f}",
                    *beside(errors, anew),
                    f"{statistics.mean(seconds):.1f}",
                ]
            )
    return markdown(["rows", "way", "test error", "against anew", "standard error", "seconds"], lines)


def beside(errors: Sequence[float], anew: Sequence[float]) -> tuple[str, str]:
    """The mean difference, seed by seed, and its standard error."""
    gaps = [one - other for one, other in zip(errors, anew, strict=True)]
    if not any(gaps):
        return "", ""
    return f"{statistics.mean(gaps):+.3f}", f"{statistics.stdev(gaps) / math.sqrt(len(gaps)):.3f}"
