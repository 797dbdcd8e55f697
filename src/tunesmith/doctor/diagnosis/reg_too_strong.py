"""reg.too_strong: what holds the net back outweighs the data.

Sees      in a watched run, together: weights that shrink to a fraction of their start in most layers, or a decay term larger than the
          gradient of the data, or dropout of 0.7 and more with a held loss below the training loss, or noise larger than the gradient,
          added to it between backward and the step; and a loss that stays poor (beside noise three times the gradient it need not).
Matters   the net learns to be small instead of to be right.
Remedies  weaken decay, penalty and dropout, one at a time.
Limits    a penalty written into the loss is seen by the weights alone. Weights before a norm may shrink without harm: the loss must be poor.
Source    vocabulary of reg.too_strong: decay term over gradient above 1 [TDC]; dropout counts together with harm; bounds: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, held_at_chance, late, late_of, number, part, progress, told
from tunesmith.doctor.diagnosis.origins import born
from tunesmith.records import Finding
from tunesmith.runs.history import History

SHRUNK = 0.3  # of the start, in the median layer; assumption
DECAY = 1.0  # decay term over gradient [TDC]
DROPPED = 0.7  # share; assumption
SIGNS, TURNED = (
    0.75,
    0.5,
)  # signs kept and cosine: noise as large as the gradient keeps 0.75 and 0.71, clipping keeps all signs
COMPARED = 200  # signs
LOST = 0.6  # signs kept under noise three times the gradient, whatever the loss says: 1/2 + arctan(1/3) / pi


@rule("reg.too_strong", needs=("loss",))
def reg_too_strong(history: History) -> Iterator[Finding]:
    yield from born(history, "reg.too_strong")
    ran = progress(history)
    if ran is None:
        return
    poor = ran.poor or held_at_chance(history)
    yield from _drowned(history, ran.end, poor)
    if not poor:
        return
    before, now = part(history, "gains"), part(history, "gains_now")
    ratios = [now[name] / before[name] for name in before if before[name] > 0 and name in now]
    shrunk = float(np.median(ratios)) if ratios else 1.0
    settings = part(history, "settings")
    decay = float(settings.get("weight_decay", 0.0))
    norms, gradients = late_of(history, "weight_norm"), late_of(history, "grad_norm")
    shares = [decay * norms[name] / gradients[name] for name in norms if gradients.get(name, 0.0) > 0]
    ratio = float(np.median(shares)) if shares else 0.0
    strong = decay * float(settings.get("lr", 0.0)) * ran.updates if "AdamW" in str(settings.get("name")) else ratio
    if decay > 0 and strong > DECAY and (shrunk < 0.7 or ratio > DECAY):
        yield told(
            "reg.too_strong",
            "warning",
            "decay_strong",
            {"decay": decay, "ratio": strong, "shrunk": shrunk, "end": ran.end},
            confidence=0.85 if shrunk < SHRUNK else 0.7,
            evidence=[
                number("decay_over_gradient", strong, DECAY, "[TDC]"),
                number("weights_over_start", shrunk, SHRUNK, "assumption"),
            ],
            remedies=[advice("weaken")],
            next_probe="without_regularisation",
        )
    elif shrunk < SHRUNK:
        yield told(
            "reg.too_strong",
            "warning",
            "weights_shrink",
            {"shrunk": shrunk, "decay": decay, "end": ran.end},
            confidence=0.75,
            evidence=[
                number("weights_over_start", shrunk, SHRUNK, "assumption"),
                number("loss", ran.end, ran.chance, "a constant answer"),
            ],
            remedies=[advice("weaken")],
            next_probe="without_regularisation",
        )
    dropped, held = float(history.facts.get("dropout") or 0.0), late(history.get("loss", "val"))
    if dropped >= DROPPED and held is not None and held < ran.end:
        yield told(
            "reg.too_strong",
            "warning",
            "dropout_strong",
            {"dropped": dropped, "held": held, "end": ran.end},
            confidence=0.7,
            evidence=[
                number("dropout", dropped, DROPPED, "assumption"),
                number("loss", ran.end, held, "loss of the held part"),
            ],
            remedies=[advice("weaken")],
            next_probe="without_regularisation",
        )


def _drowned(history: History, end: float, poor: bool) -> Iterator[Finding]:
    """The gradient that updates use has little to do with the one of backward."""
    pull = part(history, "pull")
    signs, kept, turned = (pull.get(name, other) for name, other in (("signs", 0), ("kept", 1.0), ("turned", 1.0)))
    if history.facts.get("closure") or signs < COMPARED or kept >= SIGNS or turned >= TURNED:
        return
    yield told(
        "reg.too_strong",
        "warning" if poor or kept < LOST else "note",
        "gradient_drowned",
        {"kept": kept, "turned": turned, "end": end},
        confidence=0.85,
        evidence=[
            number("signs_kept", kept, SIGNS, "noise as large as the gradient"),
            number("cosine", turned, TURNED, "assumption"),
        ],
        remedies=[advice("less_noise")],
        next_probe="without_regularisation",
    )
