"""data.nonfinite: the inputs or targets hold NaN or infinity.

Sees      inputs or targets that `watch` measured and that are not finite. In a log it is a candidate alone, where the loss is no number from
          its first value on.
Matters   one such row turns all weights into NaN in one update.
Remedies  count them before training; impute, drop, or guard the transform that makes them.
Limits    a loss that is NaN from the start has other causes too (an unsafe operation, a rate far off): a log cannot decide.
Source    vocabulary of data.nonfinite: the first tensor that is not finite is the input.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

INPUTS = ("input_max", "input_mean", "input_std", "target_mean", "target_std")


@rule("data.nonfinite", needs=("input_max", "input_mean", "input_std", "target_mean", "target_std"))
def data_nonfinite(history: History) -> Iterator[Finding]:
    for name in INPUTS:
        one = history.get(name)
        if one is not None and not np.isfinite(one.values).all():
            at = float(one.steps[int(np.flatnonzero(~np.isfinite(one.values))[0])])
            yield told(
                "data.nonfinite",
                "error",
                "data_nonfinite_seen",
                {"name": name, "axis": history.axis, "at": at},
                confidence=0.97,
                evidence=[number(name, float("nan"), at=at)],
                remedies=[advice("clean_cells")],
                status="confirmed",
                places=[at],
            )
            return
