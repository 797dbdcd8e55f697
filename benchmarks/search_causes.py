"""How often does a diagnosed cause end a trial of a search that would have been good?

Random configurations of a `Task` are trained to their end with a cause looked for at every rung, as the default search does, but nobody is
stopped: what the first cause would have ended is compared at the end with all others. Rates are drawn from far too low to far too
high (1e-5 to 10, logarithmic), with batch, optimizer, decay and dropout beside it. The data are tables of scikit-learn and, where a
folder of shared data is (`TUNESMITH_SHARED`), wine quality and bike sharing.

* `ended`: trials with a cause before their end; `good`: those of them whose best score up to their end is in the best half or in the best
  tenth of all trials of the task; `best`: whether one of them is the best of all. What is wanted is 0.
* `epochs`: the share of all epochs that would have been spared.
* `hopeless`: trials that end in the worst quarter with a score that never came halfway from the worst to the best, and the share of
  them that a cause ended: the others a search finds out by their scores.
"""

import csv
import gzip
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tables import by_case, markdown

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data" / "tabular"
BUNDLED = ("digits", "wine", "breast_cancer", "diabetes")
FILES = {"wine_quality": ("wine_quality.csv.gz", "quality"), "bike_sharing": ("bike_sharing_hour.csv.gz", "cnt")}
DROPPED = {"bike_sharing": ("casual", "registered", "instant", "dteday")}
ROWS = 1500  # of a table, at most
CONFIGURATIONS, BLOCKS, EPOCHS = 20, 3, 18
SPACE = {
    "optim.lr": {"type": "float", "low": 1e-5, "high": 10.0, "log": True},
    "optim.name": {"type": "cat", "choices": ["adamw", "sgd", "rmsprop"]},
    "optim.weight_decay": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
    "train.batch_size": {"type": "ord", "choices": [16, 32, 64, 128]},
}


def cases() -> list[dict[str, Any]]:
    files = [name for name, (file, _) in FILES.items() if (SHARED / file).is_file()]
    return [{"task": task, "block": block} for block in range(BLOCKS) for task in (*BUNDLED, *files)]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Of each configuration the scores by epoch, and the first cause with the epoch it was found at."""
    import numpy as np
    import torch

    import tunesmith as ts
    from tunesmith.records import Recipe, Source, TrainingFailed, revise
    from tunesmith.search.freeze_thaw.scale import rungs
    from tunesmith.search.spaces import space_from
    from tunesmith.verbs.search_task import TaskSubject, resolved

    torch.set_num_threads(1)
    place = tempfile.TemporaryDirectory()
    task = ts.Task(**task_of(case["task"], Path(place.name)))
    recipe, _ = resolved(task, revise(Recipe(), {"train.epochs": EPOCHS}, Source("given", "benchmark")))
    subject = TaskSubject(task, recipe)
    space = space_from(SPACE)
    rng = np.random.default_rng([case["block"], *case["task"].encode()])
    found = []
    for _ in range(CONFIGURATIONS):
        config = space.sample(rng)
        with tempfile.TemporaryDirectory() as folder:
            scores: list[float] = []
            cause, at, failed = "", 0, ""
            try:
                for upto in rungs(EPOCHS):
                    start = len(scores)
                    for record in subject.train(
                        config, start=start, upto=upto, folder=Path(folder), seed=0, copy_from=None
                    ):
                        if record is not None:
                            scores.append(float(record["score"]))
                            if record.get("cause") and not cause:
                                cause, at = str(record["cause"]), len(scores)
            except TrainingFailed as error:
                failed = f"{type(error).__name__}: {error}".splitlines()[0]
        found.append({"config": config, "scores": scores, "cause": cause, "at": at, "failed": failed})
    place.cleanup()
    return {"trials": found}


def task_of(name: str, folder: Path) -> dict[str, Any]:
    """The fields of the task; at most `ROWS` rows of the table, drawn once."""
    import numpy as np

    if name in FILES:
        file, target = FILES[name]
        with gzip.open(SHARED / file, "rt", encoding="utf-8", newline="") as stream:
            head, *rows = csv.reader(stream)
    else:
        from sklearn import datasets

        data = getattr(datasets, f"load_{name}")()
        labels = data.target if name == "diabetes" else [f"class {value}" for value in data.target]
        target, head = "target", [*(f"column {place}" for place in range(data.data.shape[1])), "target"]
        rows = [[*map(str, row), str(label)] for row, label in zip(data.data.tolist(), labels, strict=True)]
    drawn = np.random.default_rng(0).permutation(len(rows))[:ROWS]
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *(rows[place] for place in drawn)])
    return {"train": folder / f"{name}.csv", "target": target, "drop": DROPPED.get(name, ())}


def judged(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """What the causes would have done to the trials of one task."""
    trials = [one for one in trials if one["scores"]]
    whole = EPOCHS * len(trials)
    ends = [min([*(score for score in one["scores"] if score == score), float("inf")]) for one in trials]
    order = sorted(range(len(trials)), key=lambda place: (ends[place], place))
    rank = {place: above for above, place in enumerate(order)}
    ended = [place for place, one in enumerate(trials) if one["cause"] and one["at"] < EPOCHS]
    finite = sorted(end for end in ends if end != float("inf"))
    middle = (finite[0] + finite[-1]) / 2
    hopeless = [place for place in rank if rank[place] >= 0.75 * len(trials) and ends[place] > middle]
    return {
        "trials": len(trials),
        "ended": len(ended),
        "half": sum(rank[place] < len(trials) / 2 for place in ended),
        "tenth": sum(rank[place] < len(trials) / 10 for place in ended),
        "best": sum(rank[place] == 0 for place in ended),
        "spared": sum(EPOCHS - trials[place]["at"] for place in ended) / whole,
        "hopeless": len(hopeless),
        "found": sum(place in set(ended) for place in hopeless),
        "causes": Counter(trials[place]["cause"] for place in ended),
    }


def table(rows: Any) -> str:
    found: dict[str, list[dict[str, Any]]] = {}
    for group in by_case(rows):
        found.setdefault(group[-1]["case"]["task"], []).extend(group[-1]["measured"]["trials"])
    lines, sums, causes = [], Counter[str](), Counter[str]()
    for task, trials in found.items():
        got = judged(trials)
        causes += got.pop("causes")
        sums.update({name: value for name, value in got.items() if name != "spared"})
        lines.append([task, *cells(got), f"{100 * got['spared']:.0f} %"])
    lines.append(["all", *cells(sums), ""])
    head = [
        "task",
        "trials",
        "ended",
        "of the best half",
        "of the best tenth",
        "the best",
        "hopeless",
        "of these ended",
    ]
    said = ", ".join(f"`{cause}` {count}" for cause, count in causes.most_common())
    return markdown([*head, "epochs spared"], lines) + f"\n\nCauses: {said or 'none'}."


def cells(got: Any) -> list[str]:
    return [str(got[name]) for name in ("trials", "ended", "half", "tenth", "best", "hopeless", "found")]
