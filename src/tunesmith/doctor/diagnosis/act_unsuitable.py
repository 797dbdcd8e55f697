"""act.unsuitable: activations that a net of this depth cannot learn with.

Sees      in a watched run, together: many sigmoids or tanhs in a row, or ten and more plain ReLUs, without norms between; gradients that fade
          from the last to the first layer (below a hundredth) or activations that do, at the first look; and a loss that did not get on.
Matters   the lower half of the net never learns.
Remedies  ReLU or GELU inside, norms, residual branches.
Limits    whether it is the activations or the start weights is for an exchange of either to say: weights of the usual size point here.
Source    vocabulary of act.unsuitable; Glorot and Bengio, AISTATS 2010; counts and bound: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, early_of, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

BOUNDED = ("Sigmoid", "Tanh", "Hardsigmoid", "Softsign")
FADED = 1e-2
GONE = 1e-6  # in a net that learns all the same, with its upper layers; assumption
MANY_BOUNDED, MANY_RELU = 3, 8  # layers; assumption
USUAL = (0.3, 3.0)  # start weights over the square root of the inputs of a unit


@rule("act.unsuitable", needs=("gradient_std", "activation_std"))
def act_unsuitable(history: History) -> Iterator[Finding]:
    ran = progress(history)
    kinds = list((history.facts.get("activations") or {}).values())
    bounded, plain = sum(kind in BOUNDED for kind in kinds), sum(kind == "ReLU" for kind in kinds)
    normed = any("Norm" in str(kind) for _, kind in history.facts.get("layers") or ())
    if ran is None or normed or not (bounded >= MANY_BOUNDED or plain >= MANY_RELU) or ran.early:
        return
    gains = [float(one) for one in part(history, "gains").values()]
    if gains and not USUAL[0] < float(np.median(gains)) < USUAL[1]:
        return
    back = list(early_of(history, "gradient_std").values())
    forth = list(early_of(history, "activation_std", 1).values())
    fades = {
        "gradient_first_over_last": back[0] / back[-1] if len(back) >= 3 and back[-1] > 0 else 1.0,
        "activation_last_over_first": forth[-1] / forth[0] if len(forth) >= 3 and forth[0] > 0 else 1.0,
    }
    name = min(fades, key=lambda each: fades[each])
    if fades[name] > (FADED if ran.stuck or ran.poor else GONE):
        return
    kind = "ReLU" if plain >= MANY_RELU else next(each for each in kinds if each in BOUNDED)
    yield told(
        "act.unsuitable",
        "warning",
        "activations_unfit",
        {"kind": kind, "count": max(bounded, plain), "fade": fades[name], "loss": ran.end},
        confidence=0.8,
        evidence=[
            number(name, fades[name], FADED, "assumption"),
            number("loss", ran.end, ran.chance, "a constant answer"),
        ],
        remedies=[advice("other_activation"), advice("residual")],
        next_probe="other_activation",
    )
