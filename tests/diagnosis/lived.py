"""Histories as a watch would leave them, made by hand, and what a rule says of them."""

import math
from typing import Any

import numpy as np

from tunesmith.doctor.diagnosis import RULES
from tunesmith.records import Finding
from tunesmith.runs.history import History, Series, series

STEPS = 200
CHANCE = math.log(4)  # of the made runs: four classes, even


def falling(start: float = 1.4, end: float = 0.1, steps: int = STEPS, noise: float = 0.02) -> np.ndarray:
    """A loss that gets on."""
    course = end + (start - end) * np.exp(-5 * np.arange(steps) / steps)
    return course + noise * np.random.default_rng(0).standard_normal(steps)


def flat(level: float = CHANCE, steps: int = STEPS, noise: float = 0.01) -> np.ndarray:
    """A loss that does not."""
    return level + noise * np.random.default_rng(1).standard_normal(steps)


def lived(
    loss: Any = None, *, val: Any = None, layers: dict[str, dict[str, Any]] | None = None, **facts: Any
) -> History:
    """A run of a loss a step; `layers` holds, by quantity and layer, values spread evenly over the run."""
    losses = falling() if loss is None else np.asarray(loss, float)
    curves: list[Series] = [series("loss", np.arange(1, len(losses) + 1), losses, part="train", per="update")]
    if val is not None:
        curves.append(
            series(
                "loss", np.linspace(len(losses) / len(val), len(losses), len(val)), val, part="val", per="evaluation"
            )
        )
    for quantity, by_layer in (layers or {}).items():
        for layer, values in by_layer.items():
            places = np.linspace(1, len(losses), len(values))
            curves.append(series(quantity, places, values, where=layer))
    known: dict[str, Any] = {
        "watched": True,
        "updates": len(losses),
        "made": len(losses),
        "backwards": len(losses),
        "windows": len(losses),
        "finished": True,
    }
    return History(curves=tuple(curves), reader="own", facts=known | facts)


def answers(kind: str = "classes", **told: Any) -> dict[str, Any]:
    """What was seen of outputs and targets of a sound run."""
    usual: dict[str, Any] = {
        "kind": kind,
        "width": 4 if kind == "classes" else 1,
        "batches": 20,
        "rows": 32,
        "values": 2560,
        "output_low": -3.0,
        "output_high": 3.0,
        "row_sum_gap": 6.0,
        "column_sum_gap": 60.0,
        "normaliser_gap": 4.0,
        "target_low": 0.0,
        "target_high": 3.0 if kind == "classes" else 1.0,
        "target_mean": 0.0,
        "target_std": 1.0,
        "form": "cross_entropy" if kind == "classes" else "mse",
        "pairing": "rows",
        "scale": 1.0,
        "scale_spread": 0.0,
        "per_rows": False,
        "halves": 1.0,
        "halves_low": 1.0,
        "halves_high": 1.0,
        "output_shape": [32, 4],
        "target_shape": [32],
        "chance": CHANCE,
    }
    if kind == "classes":
        usual |= {
            "labels": 4,
            "label_shares": {str(label): 0.25 for label in range(4)},
            "answered": {str(label): 0.25 for label in range(4)},
        }
    return usual | told


def inputs(**told: Any) -> dict[str, Any]:
    """What was seen of the inputs of a sound run."""
    usual: dict[str, Any] = {
        "kind": "numbers",
        "shape": [32, 10],
        "batches": 70,
        "rows": 2000,
        "mean": 0.0,
        "std": 1.0,
        "low": -4.0,
        "high": 4.0,
        "columns": 10,
        "constant": 0,
        "spread_ratio": 2.0,
        "offset": 0.1,
        "std_low": 0.8,
        "std_high": 1.2,
        "row_outlier": 4.0,
        "row_wild": 0.0,
        "row_length_ratio": 2.0,
        "large": 0.0,
        "blank": 0.0,
        "linked": 20.0,
        "linked_chance": 4.4,
        "linked_share": 0.6,
    }
    return usual | told


def said(fault: str, history: History) -> list[Finding]:
    """What the rule of a fault says; each sentence can be read in both languages."""
    found = list(RULES[fault].look(history))
    for finding in found:
        assert finding.fault == fault
        assert finding.evidence or finding.values
        for language in ("en", "zh"):
            assert finding.text(language)
            assert [remedy.text(language) for remedy in finding.remedies]
    return found


def gravity(fault: str, history: History) -> str:
    """The gravest severity of what a rule says; "" for silence."""
    order = ("error", "warning", "note")
    return min((finding.severity for finding in said(fault, history)), key=order.index, default="")
