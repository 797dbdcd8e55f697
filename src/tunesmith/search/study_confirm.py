"""Trainings of the best trials on fresh seeds: the best score of a search is the best of many noisy ones, and flatters itself."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from tunesmith.records import Clock
from tunesmith.search.driver import seed_of
from tunesmith.search.executors import Executor
from tunesmith.search.executors.work import Job
from tunesmith.search.history import score_of

FIRST_SEED = 1_000_000  # trial numbers from here on are nobody's, so that no seed of the search comes again
LEVEL = 0.95


def fresh_scores(
    executor: Executor,
    configs: Sequence[Mapping[str, Any]],
    seeds: int,
    *,
    seed: int,
    max_budget: int,
    place: Path,
    at_once: int,
    seconds: float | None = None,
) -> list[list[float]]:
    """The best score of a full training of each configuration on each of `seeds` fresh seeds; NaN where it failed, and where `seconds` were
    over before.

    The same seeds for each, so that differences can be taken pair by pair. The executor has started.
    """
    jobs = [
        Job(
            number=number,
            trial=FIRST_SEED + number,
            config=config,
            start=0,
            upto=max_budget,
            folder=place / f"{row}-{column}",
            seed=seed_of(seed, FIRST_SEED + column),
        )
        for number, (row, config, column) in enumerate(
            (row, config, column) for row, config in enumerate(configs) for column in range(seeds)
        )
    ]
    best = {job.number: math.nan for job in jobs}
    waiting, under_way = list(reversed(jobs)), 0
    clock = Clock(seconds)
    whole: set[int] = set()
    while (waiting or under_way) and not clock.spent_up:
        while waiting and under_way < at_once:
            job = waiting.pop()
            assert job.folder is not None
            job.folder.mkdir(parents=True, exist_ok=True)
            executor.submit(job)
            under_way += 1
        for report in executor.wait(None if seconds is None else clock.left()):
            for record in report.records:
                score = score_of(record)
                best[report.number] = score if not score >= best[report.number] else best[report.number]
            if report.over:
                under_way -= 1
                whole |= set() if report.failed else {report.number}
    known = {number: score if number in whole else math.nan for number, score in best.items()}
    return [[known[row * seeds + column] for column in range(seeds)] for row in range(len(configs))]


def interval(values: Iterable[float], level: float = LEVEL) -> dict[str, float | None]:
    """Mean, and the interval of Student's t around it; without ends for fewer than two values.

    >>> {name: round(value, 3) for name, value in interval([1.0, 2.0, 3.0]).items()}
    {'mean': 2.0, 'low': -0.484, 'high': 4.484}
    """
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return {"mean": None, "low": None, "high": None}
    if len(known) < 2:
        return {"mean": known[0], "low": None, "high": None}
    from scipy.stats import t

    half = float(t.ppf((1 + level) / 2, len(known) - 1)) * stdev(known) / math.sqrt(len(known))
    return {"mean": fmean(known), "low": fmean(known) - half, "high": fmean(known) + half}


def compared(
    trials: Sequence[tuple[int, float]], scores: Sequence[Sequence[float]], default: Sequence[float] | None
) -> dict[str, Any]:
    """What fresh trainings say: of each trial its scores, how much worse than the search saw it, and its gain on the default.

    `trials`: numbers, and the scores that the search saw. A gain is default - trial, pair by pair: above 0 the trial is better.
    """
    told = []
    for (id, seen), fresh in zip(trials, scores, strict=True):
        row: dict[str, Any] = {"trial": id, "seen": seen, "scores": list(fresh), **interval(fresh)}
        row["flattery"] = None if row["mean"] is None else row["mean"] - seen
        if default is not None:
            row["gain"] = interval(one - other for one, other in zip(default, fresh, strict=True))
        told.append(row)
    known = [row for row in told if row["mean"] is not None]
    return {
        "seeds": len(scores[0]) if scores else 0,
        "trials": told,
        "default": None if default is None else {"scores": list(default), **interval(default)},
        "winner": min(known, key=lambda row: row["mean"])["trial"] if known else None,
    }
