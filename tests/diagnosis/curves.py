"""Made curves of trainings: noisy courses of the usual shapes, sound and sick, as histories."""

from typing import Any

import numpy as np

from tunesmith.doctor.diagnosis import RULES
from tunesmith.records import Finding
from tunesmith.runs.history import Floats, History, Series, series

SEEDS = range(8)


def noisy(course: Floats, noise: float, seed: int = 0) -> Floats:
    """A course times a noise that is a share of it."""
    return course * (1 + noise * np.random.default_rng(seed).standard_normal(len(course)))


def times(count: int) -> Floats:
    return np.linspace(0, 1, count)


def falling(
    count: int = 40, start: float = 2.3, floor: float = 0.3, pace: float = 6.0, noise: float = 0.02, seed: int = 0
) -> Floats:
    """Exponential, down to a floor."""
    return noisy(floor + (start - floor) * np.exp(-pace * times(count)), noise, seed)


def power(count: int = 40, start: float = 2.3, exponent: float = 0.5, noise: float = 0.02, seed: int = 0) -> Floats:
    """A power law of the epoch, as language models learn."""
    return noisy(start * (1 + np.arange(count)) ** -exponent, noise, seed)


def flat(count: int = 40, level: float = 0.693, noise: float = 0.003, seed: int = 0) -> Floats:
    return noisy(np.full(count, level), noise, seed)


def straight(count: int = 20, start: float = 2.3, end: float = 2.0, noise: float = 0.001, seed: int = 0) -> Floats:
    return noisy(np.linspace(start, end, count), noise, seed)


def plateau_then_drop(
    count: int = 60, level: float = 0.693, at: float = 0.6, noise: float = 0.003, seed: int = 0
) -> Floats:
    """Nothing for long, then all at once: parity, copying, some recurrent tasks."""
    return noisy(level / (1 + np.exp(30 * (times(count) - at))) + 0.02, noise, seed)


def rising_after(
    count: int = 40,
    best: float = 0.5,
    at: float = 0.3,
    start: float = 1.0,
    end: float = 0.9,
    noise: float = 0.01,
    seed: int = 0,
) -> Floats:
    """Down to a best, then up: the held loss of an overfitted net."""
    t = times(count)
    down, up = (
        best + (start - best) * np.clip(1 - t / at, 0, None) ** 2,
        (end - best) * np.clip((t - at) / (1 - at), 0, None),
    )
    return noisy(down + up, noise, seed)


def double_descent(count: int = 60, noise: float = 0.01, seed: int = 0) -> Floats:
    """Down, up, and down below the first valley."""
    t = times(count)
    return noisy(0.3 + 0.7 * np.exp(-6 * t) + 0.5 * np.exp(-(((t - 0.4) / 0.12) ** 2)), noise, seed)


def late_generalisation(count: int = 80, noise: float = 0.01, seed: int = 0) -> Floats:
    """A held loss that stays high long after training is done, then falls."""
    return noisy(0.1 + 2.5 / (1 + np.exp(25 * (times(count) - 0.7))), noise, seed)


def warm_restarts(count: int = 60, cycles: int = 4, noise: float = 0.01, seed: int = 0) -> tuple[Floats, Floats]:
    """Loss and rate that saw-tooth together, lower from cycle to cycle."""
    phase = (np.arange(count) % (count // cycles)) / (count // cycles)
    rate = 0.05 + 0.95 * (1 + np.cos(np.pi * phase)) / 2
    level = 2.0 * np.exp(-2.5 * np.arange(count) // (count // cycles) / cycles * 2) + 0.1
    return noisy(level * (1 + 0.5 * rate), noise, seed), 0.1 * rate


def with_spike(course: Floats, at: int, height: float, width: int = 4) -> Floats:
    found = course.copy()
    found[at : at + width] += height * np.exp(-np.arange(width) / max(1, width / 3))
    return found


def history(
    axis: str = "epoch",
    terms: dict[str, Any] | None = None,
    resumed: tuple[float, ...] = (),
    facts: Any = None,
    **curves: Any,
) -> History:
    """A history of curves by name: `train`, `val`, `lr`, `updates` (train loss by step), `accuracy`, `auc`, `r2`, `wer` (held), or a quantity."""
    made: list[Series] = []
    for name, values in curves.items():
        found = np.asarray(values, float)
        at = np.arange(len(found), dtype=float)
        if name in ("train", "updates"):
            made.append(series("loss", at, found, part="train", per="epoch" if name == "train" else "update"))
        elif name == "val":
            made.append(
                series("loss", at * _spread(curves, found), found, part="val", per="evaluation", column="val_loss")
            )
        elif name in ("accuracy", "auc", "r2", "wer", "f1"):
            made.append(
                series(name, at * _spread(curves, found), found, part="val", per="evaluation", column=f"val_{name}")
            )
        elif name.startswith("train_"):
            made.append(series(name.removeprefix("train_"), at, found, part="train", per="epoch"))
        else:
            made.append(series(name, at * _spread(curves, found), found))
    made += [
        series("loss", np.arange(len(values)), values, part="train", per="epoch", where=term)
        for term, values in (terms or {}).items()
    ]
    return History(curves=tuple(made), reader="made", axis=axis, resumed=resumed, facts=facts or {})  # type: ignore[arg-type]


def _spread(curves: dict[str, Any], values: Floats) -> float:
    """Steps between the points of a curve that is sparser than the updates."""
    return len(curves["updates"]) / len(values) if "updates" in curves else 1.0


def found(fault: str, run: History) -> list[Finding]:
    """What one rule says of a run."""
    return list(RULES[fault].look(run))


def loud(fault: str, run: History) -> bool:
    """Whether a rule says more than a note."""
    return any(one.severity != "note" for one in found(fault, run))
