"""data.nonfinite: the inputs or targets hold NaN or infinity.

Sees      in a watched run, the batch behind the first loss or gradient that is not finite: which of its rows and columns hold such numbers, in
          training or in evaluation alone, and whether all is finite without them. Where the batch was not seen, inputs or targets that were
          measured and are not finite, followed by a loss that is not. In a log alone it is a candidate, where the loss is no number at first.
Matters   one such row turns all weights into NaN in one update.
Remedies  count them before training; impute, drop, or guard the transform that makes them.
Limits    quiet where the model replaces them itself: its losses stay finite. A loss that is NaN from the start has other causes too (an
          unsafe operation, a rate far off): a log cannot decide.
Source    vocabulary of data.nonfinite: the first tensor that is not finite is the input; benchmarks/nan_births.py.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.origins import born, origins
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.records import Finding
from tunesmith.runs.history import History, Series

INPUTS = ("input_max", "input_mean", "input_std", "target_mean", "target_std")


@rule("data.nonfinite", needs=("loss", "input_max", "input_mean", "input_std", "target_mean", "target_std"))
def data_nonfinite(history: History) -> Iterator[Finding]:
    yield from born(history, "data.nonfinite")
    if origins(history):
        return  # the batch itself was looked at
    lost = _first_bad(history.get("loss", "train") or history.get("loss", ""))
    for name in INPUTS:
        at = _first_bad(history.get(name))
        if at is not None and lost is not None and at <= lost:
            yield told(
                "data.nonfinite",
                "error",
                "data_nonfinite_seen",
                {"name": name, "axis": history.axis, "at": at},
                confidence=0.8,  # assumption: a model that replaces them may lose its loss later for another reason
                evidence=[number(name, float("nan"), at=at), number("loss", float("nan"), at=lost)],
                remedies=[advice("clean_cells")],
                places=[at],
            )
            return


def _first_bad(one: Series | None) -> float | None:
    if one is None or np.isfinite(one.values).all():
        return None
    return float(one.steps[int(np.flatnonzero(~np.isfinite(one.values))[0])])
