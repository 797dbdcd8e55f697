"""What is odd about the rows of a task but can be lived with, as findings."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.finding import Severity

IMBALANCE = 10.0  # rows of the largest class for each of the smallest

WEIGH = Remedy(title="data.weigh_classes", safety=Safety.RISKY, change={"loss.class_weights": "balanced"})
UNIQUE = Remedy(title="data.drop_duplicates", safety=Safety.ADVICE)


def repeated_rows(units: Array, target: Array | None) -> list[Finding]:
    """Rows whose inputs equal those of an earlier row, and how many of them disagree about the target."""
    again = np.flatnonzero(units != np.arange(len(units)))
    if not len(again):
        return []
    differ = 0
    if target is not None and target.ndim == 1:
        differ = int((target[again] != target[units[again]]).sum())
    share = len(again) / len(units)
    values = {"count": len(again), "share": share, "differ": differ}
    return [
        _note(
            "data.duplicates",
            "data.equal_rows",
            values,
            "share of rows",
            share,
            0.0,
            UNIQUE,
            {"rows": again[:100].tolist()},
        )
    ]


def shared_with_test(count: int, rows: int, part: str) -> list[Finding]:
    """Rows of a given part that are also trained on."""
    if not count:
        return []
    values = {"count": count, "part": part, "share": count / max(1, rows)}
    return [_note("data.duplicates", "data.rows_in_both", values, "rows", float(count), 0.0)]


def missing_targets(count: int, rows: int, name: str) -> list[Finding]:
    """Rows left out for want of a target."""
    if not count:
        return []
    values = {"count": count, "rows": rows, "source": name}
    return [_note("data.missing", "data.missing_targets", values, "rows", float(count), 0.0)]


def class_shares(counts: Array, classes: Sequence[Any]) -> list[Finding]:
    """Classes that are far apart in size, and classes with one row or none to train on."""
    found = []
    present = counts[counts > 0]
    ratio = float(present.max() / present.min()) if len(present) else 1.0
    if ratio > IMBALANCE:
        rare = classes[int(np.argmin(np.where(counts > 0, counts, counts.max() + 1)))]
        common = classes[int(counts.argmax())]
        values = {"common": str(common), "rare": str(rare), "most": int(present.max()), "least": int(present.min())}
        found.append(_note("data.class_imbalance", "data.class_imbalance", values, "ratio", ratio, IMBALANCE, WEIGH))
    cases: tuple[tuple[int, str, Severity], ...] = (
        (1, "data.single_row_class", "note"),
        (0, "data.untrained_class", "warning"),
    )
    for count, message, severity in cases:
        few = [str(classes[int(index)]) for index in np.flatnonzero(counts == count)]
        if few:
            shown = ", ".join(few[:5]) + (" …" if len(few) > 5 else "")
            found.append(
                Finding(
                    fault="data.class_imbalance",
                    severity=severity,
                    message=message,
                    values={"classes": shown, "count": len(few)},
                    evidence=(Evidence(name="training rows", value=float(count), threshold=2.0),),
                    status="confirmed",
                    subject={"classes": few},
                )
            )
    return found


def _note(
    fault: str,
    message: str,
    values: dict[str, Any],
    name: str,
    value: float,
    threshold: float,
    remedy: Remedy | None = None,
    subject: dict[str, Any] | None = None,
) -> Finding:
    return Finding(
        fault=fault,
        severity="note",
        message=message,
        values=values,
        evidence=(Evidence(name=name, value=value, threshold=threshold),),
        remedies=() if remedy is None else (remedy,),
        status="confirmed",
        subject=subject or {},
    )
