"""loss.nonfinite: the loss is no number any more.

Sees      NaN or infinity in the training loss, or in the held loss alone; the first place, the last finite value, whether it recovers.
Matters   from the first update with such a gradient on the weights are no numbers, and everything later is wasted.
Remedies  find the first tensor that is not finite (`watch` names module, direction and step); go back to a checkpoint before it.
Limits    a log shows when, never where; empty cells of a table are no such values. A single value that recovers is a skipped batch.
Source    vocabulary of loss.nonfinite; skipped steps of dynamic loss scaling: Micikevicius et al., arXiv:1710.03740, section 3.2.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.origins import origins
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.records import Finding
from tunesmith.runs.history import History, Series


@rule("loss.nonfinite", needs=("loss",))
def loss_nonfinite(history: History) -> Iterator[Finding]:
    born = [one for one in origins(history) if one["fault"] != "loss.nonfinite"]
    for one in _seen(history):
        yield replace(one, caused_by=str(born[0]["fault"])) if born else one  # seen from inside: no guess


def _seen(history: History) -> Iterator[Finding]:
    own = [one for one in history.all("loss") if one.part in ("train", "") and not np.isfinite(one.values).all()]
    if own:
        yield _finding(min(own, key=lambda one: float(one.steps[_first(one)])), history.axis)
        return
    held = [one for one in history.all("loss") if not np.isfinite(one.values).all()]
    if held:
        one = min(held, key=lambda each: float(each.steps[_first(each)]))
        at = float(one.steps[_first(one)])
        yield told(
            "loss.nonfinite",
            "warning" if np.isfinite(one.values[-1]) else "error",
            "nonfinite_held",
            {"name": one.column or one.name, "axis": history.axis, "at": at},
            confidence=0.97,
            evidence=[number("loss", float("nan"), at=at, where=one.part)],
            remedies=[advice("look_at_preprocessing")],
            places=[at],
        )


def _first(one: Series) -> int:
    return int(np.flatnonzero(~np.isfinite(one.values))[0])


def _finding(one: Series, axis: str) -> Finding:
    first, bad = _first(one), ~np.isfinite(one.values)
    at = float(one.steps[first])
    values = {"name": one.column or one.name, "axis": axis, "at": at, "count": int(bad.sum()), "total": len(one)}
    seen = [number("loss", float(one.values[first]), at=at)]
    remedies = [advice("first_tensor"), advice("back_before", axis=axis, at=at)]
    if np.isfinite(one.values[-1]):
        return told(
            "loss.nonfinite",
            "warning",
            "nonfinite_recovers",
            values,
            confidence=0.9,
            evidence=seen,
            remedies=remedies,
            places=[at],
        )
    if first == 0:
        return told(
            "loss.nonfinite",
            "error",
            "nonfinite_at_once",
            values,
            confidence=0.98,
            evidence=seen,
            remedies=remedies[:1],
            places=[at],
        )
    values["before"] = float(one.values[first - 1])
    return told(
        "loss.nonfinite",
        "error",
        "nonfinite_from",
        values,
        confidence=0.98,
        evidence=seen,
        remedies=remedies,
        places=[at],
    )
