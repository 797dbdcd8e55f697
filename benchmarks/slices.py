"""Groups of rows on which a model is called worse: how often where none is, how often where one is.

`false`: data sets in which no group differs, and the share of them in which some group is called worse; bar: 0.05, which Holm's
correction promises. Each has ten columns cut into quarters and six categories of eight levels, of which those with 30 rows or more are
looked at. `found`: a tenth of the rows, in a category of their own, is made harder (accuracy from .85 to .65, or the scatter of a number
doubled), and the share of data sets in which that group is called worse is told. `ms` is the median time of one data set, on a machine that had
other work to do.
"""

import statistics
import time
from typing import Any

import numpy as np
from tables import markdown

from tunesmith.blocks.metrics.slices import Group, slices

COLUMNS, CATEGORIES = 10, 6
SHARES = (0.4, 0.2, 0.1, 0.1, 0.08, 0.06, 0.04, 0.02)
SETS = {"accuracy": 200, "log_loss": 200, "roc_auc": 60, "rmse": 60}
ROWS = (300, 1500)


def cases() -> list[dict[str, Any]]:
    return [{"metric": name, "rows": rows, "planted": planted, "sets": sets}
            for name, sets in SETS.items() for rows in ROWS for planted in (False, True)]  # fmt: skip


def measure(case: dict[str, Any]) -> dict[str, Any]:
    hits, seconds, looked = 0, [], 0
    for seed in range(case["sets"]):
        rng = np.random.default_rng(seed)
        hard = rng.random(case["rows"]) < 0.1
        kind, truth, said = data(rng, case["metric"], hard if case["planted"] else np.zeros(case["rows"], bool))
        groups = [
            *of_chance(rng, case["rows"]),
            *([Group(by="planted", name="hard", rows=hard)] if case["planted"] else []),
        ]
        began = time.perf_counter()
        found = slices(kind, truth, said, groups, name=case["metric"])
        seconds.append(time.perf_counter() - began)
        looked = len(found)
        hits += any(one.worse and (not case["planted"] or one.by == "planted") for one in found)
    return {"share": hits / case["sets"], "groups": looked, "ms": 1000 * statistics.median(seconds)}


def data(rng: np.random.Generator, metric: str, hard: Any) -> tuple[str, Any, Any]:
    """Truth and predictions; rows that are `hard` are harder."""
    rows = len(hard)
    if metric == "rmse":
        truth = rng.normal(size=rows)
        return "regression", truth, truth + np.where(hard, 2.0, 1.0) * rng.standard_t(5, size=rows)
    truth = (rng.random(rows) < 0.4).astype(int)
    right = rng.random(rows) < np.where(hard, 0.65, 0.85)
    sure = np.where(right, rng.uniform(0.5, 0.98, rows), rng.uniform(0.1, 0.5, rows))
    chance = np.where(truth == 1, sure, 1 - sure)
    return "binary", truth, np.stack([1 - chance, chance], axis=1)


def of_chance(rng: np.random.Generator, rows: int) -> list[Group]:
    """Groups that have nothing to do with the truth."""
    places = [rng.permutation(rows) * 4 // rows for _ in range(COLUMNS)]
    places += [rng.choice(len(SHARES), rows, p=SHARES) for _ in range(CATEGORIES)]
    return [
        Group(by=f"c{i}", name=str(k), rows=place == k)
        for i, place in enumerate(places)
        for k in range(place.max() + 1)
    ]


def table(rows: list[dict[str, Any]]) -> str:
    heads = ["metric", "rows", "groups", "false (of data sets)", "found (of data sets)", "ms"]
    made = []
    for name in SETS:
        for many in ROWS:
            told = {
                row["case"]["planted"]: row
                for row in rows
                if row["case"]["metric"] == name and row["case"]["rows"] == many
            }
            if len(told) < 2:
                continue
            sets = told[False]["case"]["sets"]
            share = [f"{told[planted]['measured']['share']:.3f} ({sets})" for planted in (False, True)]
            numbers = told[False]["measured"]
            made.append([name, str(many), str(numbers["groups"]), *share, f"{numbers['ms']:.0f}"])
    return markdown(heads, made)
