"""What do more workers cost and bring? The default search with 1, 2 and 4 workers, each twice with random delays injected.

Time is counted in budget units, so the order in which trainings finish on the clock must change nothing: both runs of a seed are compared
trial by trial. *Loss*: regret after 5, 10 and 20 full trainings (all workers together) less that of one worker at the same epochs, on
recorded curves (`benchmarks/search.md` says what regret is); with more workers a decision knows less. *Speed-up*: seconds of one worker over
seconds of this many for 600 units of training that sleep 30 ms each, in processes of a pool, and of `local`, which trains one after the other.
"""

import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import mean, median
from typing import Any

import search as harness_of

WORKERS = (1, 2, 4)
SEEDS = 5
POINTS = (5, 10, 20)
NAP = 0.03  # seconds a unit


def cases() -> list[dict[str, Any]]:
    regrets = [
        {"kind": "regret", "bench": bench, "workers": workers, "env": "search-own"}
        for bench in (*harness_of.SUR, *harness_of.OWN)
        for workers in WORKERS
    ]
    speeds = [
        {"kind": "speed", "executor": executor, "workers": workers, "env": "search-own"}
        for executor in ("pool", "local")
        for workers in WORKERS
    ]
    return [*regrets, *speeds]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    return speed(case) if case["kind"] == "speed" else regrets(case)


def speed(case: dict[str, Any]) -> dict[str, Any]:
    from tunesmith.search import Real
    from tunesmith.search.ask import Search
    from tunesmith.search.driver import drive
    from tunesmith.search.subjects import subject_of

    search = Search({"x": Real(-1, 1)}, 6, total=600, sampler="random", budget="full", workers=case["workers"])
    began = time.perf_counter()
    drive(search, subject_of(napping), case["executor"], case["workers"])
    return {"seconds": round(time.perf_counter() - began, 3), "units": search.trials.spent}


def napping(config: dict[str, Any]) -> Iterator[float]:
    while True:
        time.sleep(NAP)
        yield config["x"] ** 2


def regrets(case: dict[str, Any]) -> dict[str, Any]:
    bench, (low, middle) = harness_of.bench_of(case["bench"], harness_of.harness("benchlib"))
    found = []
    for seed in range(SEEDS):
        twice = [searched(bench, case["workers"], seed, delay) for delay in (2 * seed, 2 * seed + 1)]
        scores = [best_after(twice[0][1], point * bench.max_fid) for point in POINTS]
        same = trials_of(twice[0][0]) == trials_of(twice[1][0])
        found.append({"same": same, "regret": [(score - low) / (middle - low) for score in scores]})
    return {"runs": found}


def searched(bench: Any, workers: int, seed: int, delay: int) -> "tuple[Any, list[tuple[int, float]]]":
    """The search, and the best score after so many units, in the order in which they were told of."""
    from tunesmith.search.ask import Search
    from tunesmith.search.driver import drive
    from tunesmith.search.subjects import subject_of

    nap = random.Random(delay)

    def trained(config: dict[str, Any]) -> Iterator[dict[str, float]]:
        for record in bench.curve(config, seed):
            time.sleep(nap.uniform(0, 0.002))
            yield {"score": record["val_err"]}

    trace: list[tuple[int, float]] = []

    def show(search: Any) -> None:
        if search.best is not None:
            trace.append((search.trials.spent, search.trials.value(search.best.id)))

    search = Search(bench.space, bench.max_fid, total=20 * bench.max_fid, prior=bench.prior, seed=seed, workers=workers)
    drive(search, subject_of(trained), "local", workers, show=show)
    return search, trace


def trials_of(search: Any) -> list[Any]:
    return [(dict(trial.change), [record["score"] for record in trial.records], trial.state) for trial in search.trials]


def best_after(trace: Sequence[tuple[int, float]], units: int) -> float:
    return min(score for spent, score in trace if spent <= units)


def table(rows: Sequence[Any]) -> str:
    from tables import markdown

    parts: list[str] = []
    by_workers: dict[int, list[list[float]]] = {}
    same: dict[int, list[bool]] = {}
    for row in rows:
        case = row["case"]
        if case["kind"] == "regret":
            by_workers.setdefault(case["workers"], []).extend(run["regret"] for run in row["measured"]["runs"])
            same.setdefault(case["workers"], []).extend(run["same"] for run in row["measured"]["runs"])
    lines = []
    for workers, found in sorted(by_workers.items()):
        lost = [mean(one[place] for one in found) - mean(one[place] for one in by_workers[1]) for place in range(3)]
        lines.append(
            [str(workers), f"{sum(same[workers])} of {len(same[workers])}"]
            + [f"{mean(one[place] for one in found):.3f} ({lost[place]:+.3f})" for place in range(3)]
        )
    if lines:
        parts.append(
            markdown(["workers", "identical twice", *(f"regret at {point} (loss)" for point in POINTS)], lines)
        )
    speeds: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        if row["case"]["kind"] == "speed":
            speeds.setdefault((row["case"]["executor"], row["case"]["workers"]), []).append(row["measured"]["seconds"])
    lines = [
        [executor, str(workers), f"{median(seconds):.2f}", f"{median(speeds[executor, 1]) / median(seconds):.2f}"]
        for (executor, workers), seconds in sorted(speeds.items())
    ]
    if lines:
        parts.append(markdown(["executor", "workers", "seconds", "speed-up"], lines))
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
