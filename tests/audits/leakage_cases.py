"""Honest tables, and what the audits of leakage, groups, time, shift and usefulness say of a task."""

import numpy as np
import polars as pl

from tunesmith.doctor.audits import AUDITS, material_of
from tunesmith.records.check import examine
from tunesmith.records.clock import Clock

MINE = (
    "leakage_copy",
    "leakage_sum",
    "leakage_strong",
    "leakage_identifier",
    "leakage_missing",
    "leakage_pixels",
    "future_leak",
    "group_leak",
    "shift",
    "shift_prepared",
    "shift_labels",
    "reused_test",
    "usefulness",
    "redundancy",
    "poor_features",
)


def looked(task, *names):
    found = examine(AUDITS, material_of(task), Clock(), names or MINE)
    assert not found.failed, found.failed
    return list(found)


def loud(findings):
    return [finding for finding in findings if finding.severity != "note"]


def table(seed=0, rows=800):
    """Honest columns, a class and a number that depend on them, neither exactly."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, rows))
    colour = rng.choice(["red", "green", "blue"], rows)
    y = 2 * a - b + (colour == "red") + rng.normal(size=rows)
    frame = pl.DataFrame({"a": a, "b": b * 10 + 3, "c": c, "colour": colour})
    return frame, y, np.where(y > 0.4, "yes", "no"), rng
