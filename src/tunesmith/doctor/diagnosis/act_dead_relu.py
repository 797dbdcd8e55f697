"""act.dead_relu: most units of a layer are zero on every row.

Sees      in a watched run: the share of units of a layer that were zero on every row of the last looks (256 rows and more), late in the run;
          whether they were so at the first look, or died later; how long the first updates were, and how large the inputs are.
Matters   a unit that is zero everywhere gets no gradient and does not come back.
Remedies  by the cause: start weights and biases, a lower rate or warm-up, scaled inputs; leaky ReLU or GELU.
Limits    a layer that is half asleep in a net that learns is a note: wide layers afford it. Zero on one batch is not dead. Units that only
          rare rows wake (one-hot inputs) may count as dead.
Source    vocabulary of act.dead_relu: more than half of a layer [SM], [TDC]; long updates: [TDC]; the rest: assumption.
"""

from collections.abc import Iterator

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
from tunesmith.records.finding import Severity
from tunesmith.runs.history import History

HALF = 0.5  # of a layer: vocabulary
NEARLY_ALL = 0.9  # of a layer, through which little can pass; assumption
LONG = 0.1  # of the weights in one update [TDC]
LARGE = 10.0  # spread of the inputs; assumption


@rule("act.dead_relu", needs=("dead_fraction",))
def act_dead_relu(history: History) -> Iterator[Finding]:
    at_start = early_of(history, "dead_fraction", 1)
    dead = {name: share for name, share in late_of(history, "dead_fraction").items() if share > HALF}
    ran = progress(history)
    if not dead or ran is None:
        return
    worst = max(dead, key=lambda name: dead[name])
    began, share = at_start[worst], dead[worst]
    harmed = ran.stuck or (ran.poor and share > NEARLY_ALL)
    severity: Severity = "error" if harmed and share > NEARLY_ALL else "warning" if harmed else "note"
    leaped, inputs = leap(history), part(history, "inputs")
    cause, message = None, "dead_units"
    if inputs.get("std", 1.0) > LARGE and not norm_first(history):
        cause, message = "data.unscaled_inputs", "dead_of_inputs"
    elif began > HALF:
        cause, message = "init.bad_scale", "dead_from_start"
    elif leaped is not None and leaped > LONG:
        cause, message = "lr.too_high", "dead_of_leaps"
    yield told(
        "act.dead_relu",
        severity,
        message,
        {
            "share": share,
            "began": began,
            "count": len(dead),
            "names": named(list(dead)),
            "layer": worst,
            "leap": leaped or 0.0,
        },
        confidence=0.85 if harmed else 0.4,
        evidence=[
            number("dead_fraction", share, HALF, "vocabulary of act.dead_relu", where=worst),
            number("dead_fraction_at_start", began, HALF, "assumption", where=worst),
            number("loss", ran.end, ran.chance, "a constant answer"),
        ],
        remedies=[
            advice(
                {"lr.too_high": "lower_rate", "data.unscaled_inputs": "standardise_inputs"}.get(
                    cause or "", "wake_units"
                )
            )
        ],
        subject={"layers": list(dead)},
        caused_by=cause if cause == "data.unscaled_inputs" else None,
    )
