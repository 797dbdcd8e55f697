"""act.saturated: sigmoids or tanhs stay at their ends.

Sees      in a watched run: the share of units of a bounded activation that lie within 1 % of an end on nearly every row, from the first look
          on or later; start weights, scale of the inputs and length of the updates beside it.
Matters   there the slope is nearly zero: what lies below gets no gradient.
Remedies  by the cause: smaller start weights, scaled inputs, a lower rate; a norm before the activation.
Limits    gates are made to be open or shut, and the last layer of a classifier should be sure: gates inside recurrent layers are not looked
          at, and without a loss that is poor a saturated layer is a note.
Source    vocabulary of act.saturated: more than half of the units [SM], [TDC]; the rest: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import (
    advice,
    early_of,
    late_of,
    leap,
    named,
    norm_first,
    number,
    part,
    progress,
    told,
)
from tunesmith.records import Finding
from tunesmith.runs.history import History

HALF = 0.5  # of a layer: vocabulary
LONG = 0.1  # of the weights in one update [TDC]
LARGE = 10.0  # spread of the inputs; assumption
WIDE = 4.0  # start weights over those that keep the scale; assumption: Glorot is 1


@rule("act.saturated", needs=("saturated_fraction",))
def act_saturated(history: History) -> Iterator[Finding]:
    at_start = early_of(history, "saturated_fraction", 1)
    pinned = {name: share for name, share in late_of(history, "saturated_fraction").items() if share > HALF}
    ran = progress(history)
    if not pinned or ran is None:
        return
    worst = max(pinned, key=lambda name: pinned[name])
    began = at_start[worst]
    gains = [float(one) for one in part(history, "gains").values()]
    leaped, wide = leap(history), float(np.median(gains)) if gains else 1.0
    cause, message = None, "pinned_units"
    if part(history, "inputs").get("std", 1.0) > LARGE and not norm_first(history):
        cause, message = "data.unscaled_inputs", "pinned_by_inputs"
    elif began > HALF and wide > WIDE:
        cause, message = "init.bad_scale", "pinned_from_start"
    elif began <= HALF and leaped is not None and leaped > LONG:
        cause, message = "lr.too_high", "pinned_by_leaps"
    yield told(
        "act.saturated",
        "warning" if ran.poor else "note",
        message,
        {
            "share": pinned[worst],
            "began": began,
            "count": len(pinned),
            "names": named(list(pinned)),
            "layer": worst,
            "gain": wide,
        },
        confidence=0.85 if ran.poor else 0.4,
        evidence=[
            number("saturated_fraction", pinned[worst], HALF, "vocabulary of act.saturated", where=worst),
            number("loss", ran.end, ran.chance, "a constant answer"),
        ],
        remedies=[
            advice(
                {"lr.too_high": "lower_rate", "data.unscaled_inputs": "standardise_inputs"}.get(cause or "", "redraw")
            )
        ],
        subject={"layers": list(pinned)},
        caused_by=cause,
    )
