"""grad.exploding: gradients grow out of all scale.

Sees      in a watched run, together: the length of the gradient far above what it was in the first looks (a hundred times and more), or at
          the first looks far larger in the first layer than in the last; and a loss that rose, is not finite, or stands far above a
          constant answer.
Matters   a single step throws the weights away.
Remedies  by the cause: a lower rate, start weights, scaled inputs and targets; clipping where only few steps are so.
Limits    the gradient of a net that starts at zero grows, and so does that of a loss nearing a sharp place: without harm to the loss nothing
          is said.
Source    vocabulary of grad.exploding: first over last above 70 [AT]; growth of a hundred: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, early_of, late, number, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

GROWN = 100.0  # times the first looks; assumption
DEEP = 70.0  # first over last layer [AT]
ABOVE = 3.0  # times the loss of a constant answer, or of the start; assumption


@rule("grad.exploding", needs=("grad_norm",))
def grad_exploding(history: History) -> Iterator[Finding]:
    ran, whole = progress(history), history.get("grad_norm", where="")
    if ran is None or whole is None or len(whole.finite) < 4:
        return
    values = whole.finite.values
    began, now = float(np.median(values[:3])), late(whole, 0.3) or 0.0
    broken = not np.isfinite(whole.values[-2:]).all() or not np.isfinite(ran.end)
    harmed = (
        broken or ran.end > ABOVE * max(ran.start, 1e-12) or (ran.chance is not None and ran.end > ABOVE * ran.chance)
    )
    if harmed and began > 0 and (now > GROWN * began or float(values.max()) > GROWN * GROWN * began):
        yield told(
            "grad.exploding",
            "error",
            "gradient_grew",
            {"began": began, "now": now, "highest": float(values.max()), "loss": ran.end},
            confidence=0.8,
            evidence=[
                number("grad_norm", now, GROWN * began, "assumption"),
                number("loss", ran.end, ABOVE * ran.start, "assumption"),
            ],
            remedies=[advice("lower_rate"), advice("clip")],
            next_probe="rate_sweep",
        )
        return
    by_layer = list(early_of(history, "gradient_std").values())
    if len(by_layer) >= 3 and by_layer[-1] > 0 and by_layer[0] > DEEP * by_layer[-1] and harmed:
        yield told(
            "grad.exploding",
            "warning",
            "gradient_grows_by_depth",
            {"ratio": by_layer[0] / by_layer[-1], "layers": len(by_layer), "loss": ran.end},
            confidence=0.7,
            evidence=[number("gradient_first_over_last", by_layer[0] / by_layer[-1], DEEP, "[AT]")],
            remedies=[advice("redraw"), advice("clip")],
        )
