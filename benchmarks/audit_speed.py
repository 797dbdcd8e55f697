"""Speed: how long the whole audit takes, and how it grows with the rows.

Each case is a fresh process: reading the data, then every member of the catalogue of audits, as `tunesmith audit` does. `seconds` is wall
time of the audits, `cpu` the processor's, `reading` that of reading, `peak MB` the largest memory of the process, imports and data
included. `growth` is the exponent of a power law through the seconds of Fashion-MNIST at different numbers of rows: 1 is linear, 2 is every
row against every other. The slowest audits are listed below. Datalab (cleanlab 2.9.0) is given the first 50 principal components of the
same pixels and looks for near copies and outliers alone; `seconds` holds both. deepchecks was not run.
The data are not part of the repository: TUNESMITH_SHARED names their folder.
"""

import os
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tables import Row, markdown

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
ROWS = (5000, 10_000, 20_000, 40_000, 60_000)
SLOWEST = 8


def cases() -> list[dict[str, Any]]:
    every: list[dict[str, Any]] = [{"data": "fashion", "rows": rows, "by": "tunesmith"} for rows in ROWS]
    every += [{"data": "adult", "by": "tunesmith"}]
    every += [{"data": "fashion", "rows": rows, "by": "Datalab", "env": "duplicates"} for rows in ROWS[:3]]
    return every


def measure(case: dict[str, Any]) -> dict[str, Any]:
    if case["by"] == "Datalab":
        return datalab(case["rows"])
    from tunesmith.doctor.audits import AUDITS, material_of
    from tunesmith.records import Clock, Task
    from tunesmith.records.check import examine

    if case["data"] == "fashion":
        task = Task(train=fashion(case["rows"]))
    else:
        folder = SHARED / "tabular"
        task = Task(train=folder / "adult_train.csv.gz", test=folder / "adult_test.csv.gz", target="income")
    began = time.perf_counter()
    material = material_of(task)
    reading = time.perf_counter() - began
    began, busy = time.perf_counter(), time.process_time()
    found = examine(AUDITS, material, Clock())
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    slowest = sorted(found.seconds.items(), key=lambda one: -one[1])
    return {
        "seconds": seconds,
        "cpu": cpu,
        "reading": reading,
        "peak MB": peak(),
        "audits": len(found.seconds),
        "broke": sorted(found.failed),
        "by audit": {name: round(spent, 3) for name, spent in slowest},
    }


def fashion(rows: int) -> tuple[np.ndarray, np.ndarray]:
    import gzip

    folder = SHARED / "images" / "fashion_mnist"
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        X = np.frombuffer(file.read(16 + rows * 784), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        return X, np.frombuffer(file.read(8 + rows), np.uint8, offset=8).astype(np.int64)


def datalab(rows: int) -> dict[str, Any]:
    from cleanlab import Datalab
    from sklearn.decomposition import PCA

    X, y = fashion(rows)
    began, busy = time.perf_counter(), time.process_time()
    narrow = PCA(50, random_state=0).fit_transform(X.reshape(rows, -1) / 255.0)
    lab = Datalab(data={"label": y.tolist()}, label_name="label", verbosity=0)
    lab.find_issues(features=narrow, issue_types={"near_duplicate": {}, "outlier": {}})
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - busy, "peak MB": peak()}


def peak() -> float:
    """The largest memory of this process so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(rows: list[Row]) -> str:
    """Medians of each case, the growth, and the slowest audits at most rows."""
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        case = row["case"]
        groups.setdefault((case["by"], case["data"], case.get("rows", 0)), []).append(row)

    def of(group: list[Row], name: str) -> float | None:
        values = [row["measured"][name] for row in group if name in row["measured"]]
        return median(values) if values else None

    numbers = ("seconds", "cpu", "reading", "peak MB")
    lines = [
        [by, data, f"{count:,}" if count else "32,561 + 16,281"]
        + ["" if (value := of(group, name)) is None else f"{value:,.1f}" for name in numbers]
        + [str(len(group))]
        for (by, data, count), group in groups.items()
    ]
    told = [markdown(["by", "data", "rows", *numbers, "rounds"], lines)]
    ours = {count: group for (by, data, count), group in groups.items() if (by, data) == ("tunesmith", "fashion")}
    if len(ours) > 2:
        told += [
            f"Growth of {name}: {np.polyfit(np.log(list(ours)), np.log([of(group, name) for group in ours.values()]), 1)[0]:.2f}."
            for name in ("seconds", "cpu")
        ]
    broke = sorted({name for row in rows for name in row["measured"].get("broke", ())})
    told += [f"Broke: {', '.join(broke)}."] if broke else []
    for (by, data, count), group in groups.items():
        if by == "tunesmith" and (data == "adult" or count == max(ours, default=0)):
            spent = group[-1]["measured"]["by audit"]
            first = list(spent.items())[:SLOWEST]
            told.append(
                f"Slowest audits, {data}: " + ", ".join(f"`{name}` {seconds:.1f} s" for name, seconds in first) + "."
            )
    return "\n\n".join(told)
