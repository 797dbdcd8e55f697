"""init.bad_scale: start weights, or biases, of a wrong scale.

Sees      in a watched run, together: the size of the start weights against the inputs of a unit (far below or above those of He and Glorot),
          or how the spread of activations grows or shrinks from layer to layer at the first look, or units asleep from the start; and a
          loss that starts many times above a constant answer, or stays at it. Or a single layer within the net that is far larger than the
          others, gives outputs as large and is followed by no norm: queries and keys of such a size attend to one place alone.
Matters   too small, nothing comes through and the loss stands at the constant answer; too large, the first outputs are absurd.
Remedies  He weights before ReLU, Glorot before tanh; norm layers.
Limits    nets with norms stand nearly any scale, and small start weights that a good optimizer makes up for are no finding: the loss must
          show it. Tables and recurrent layers have scales of their own.
          A large last layer shows in the loss alone; large weights of a net that begins below a constant answer were learnt.
Source    vocabulary of init.bad_scale: std(w) sqrt(fan_in) far from 1 to sqrt 2; geometric course [TDC]; bounds: assumption.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import Progress, advice, early_of, norm_first, number, part, progress, told
from tunesmith.doctor.diagnosis.origins import born
from tunesmith.records import Finding
from tunesmith.runs.history import History

SMALL, LARGE = 0.2, 4.0  # of the usual start weights: torch's own layers have 0.58, He 1.41; assumption
TINY, BEHIND = (
    0.03,
    1e-2,
)  # far below any rule, with a first layer that hardly moves: counts in a net that learns; assumption
THROUGH = 1e-2  # least to largest spread of activations over the layers at the start; assumption
START = 3.0  # times the loss of a constant answer; assumption
LOUD = 10.0  # spread of the inputs that explains as much; assumption
BOUNDED, FLAT_AT = (
    ("Sigmoid", "Tanh"),
    4.0,
)  # spread of what goes into them, where most of it lies on their flat ends; assumption
APART = 4.0  # times the median of all layers: a single large layer; assumption
SOLVED = 0.5  # of the loss of a constant answer, below which the weights come from a training; assumption
ASLEEP = 0.5  # of a layer's units at the first look


@rule("init.bad_scale", needs=("loss",))
def init_bad_scale(history: History) -> Iterator[Finding]:
    yield from born(history, "init.bad_scale")
    ran = progress(history)
    gains = [float(one) for one in part(history, "gains").values() if one > 0]
    if ran is None or not gains or any(part(history, "alike").values()):
        return
    middle = float(np.median(gains))
    spreads = [value for value in early_of(history, "activation_std", 1).values() if value > 0]
    course = spreads[-1] / max(spreads) if len(spreads) >= 3 else 1.0
    asleep = list(early_of(history, "dead_fraction", 1).values())
    kinds = list((history.facts.get("activations") or {}).values())
    pinned = sum(kind in BOUNDED for kind in kinds) >= 2 and bool(spreads) and float(np.median(spreads)) > FLAT_AT
    loud = ran.chance is not None and ran.start > START * ran.chance
    evidence = [number("start_weights", middle, SMALL if middle < 1 else LARGE, "vocabulary of init.bad_scale")]
    slow = list(early_of(history, "update_ratio").values())
    lags = len(slow) > 1 and slow[0] < BEHIND * max(slow)
    if (middle < SMALL and ran.stuck) or (middle < TINY and lags):
        message, confidence = "weights_small", 0.85
    elif middle > LARGE and (loud or ran.poor or pinned):
        message, confidence = "weights_large", 0.85
    elif course < THROUGH and ran.stuck:
        message, confidence = "activations_fade", 0.75
        evidence.append(number("activations_last_over_largest", course, THROUGH, "assumption"))
    elif asleep and max(asleep) > ASLEEP and ran.stuck:
        message, confidence = "asleep_at_start", 0.7
        evidence.append(number("dead_fraction_at_start", max(asleep), ASLEEP, "vocabulary of act.dead_relu"))
    else:
        yield from _one_large(history, middle, ran)
        return
    inputs = part(history, "inputs")
    if inputs.get("std", 1.0) > LOUD and not norm_first(history) and message != "weights_small":
        return  # what the inputs explain
    yield told(
        "init.bad_scale",
        "warning",
        message,
        {
            "gain": middle,
            "course": course,
            "asleep": max(asleep, default=0.0),
            "start": ran.start,
            "end": ran.end,
            "chance": -1.0 if ran.chance is None else ran.chance,
        },
        confidence=confidence,
        evidence=[
            *evidence,
            number("loss_at_start", ran.start, ran.chance, "a constant answer"),
            number("loss", ran.end, ran.chance, "a constant answer"),
        ],
        remedies=[advice("redraw")],
        next_probe="fresh_start",
    )


def _one_large(history: History, middle: float, ran: Progress) -> Iterator[Finding]:
    """The largest layer within the net, where the others are as usual."""
    gains, spreads = part(history, "gains"), early_of(history, "activation_std", 1)
    known = [(str(name), str(kind)) for name, kind in history.facts.get("layers") or ()]
    followed = {name: kind for (name, _), (_, kind) in pairwise(known)}
    within = {name.removesuffix(".weight"): float(gain) for name, gain in list(gains.items())[:-1]}
    name = max(within, key=lambda one: within[one], default="")
    if not name or within[name] < max(LARGE, APART * middle) or "Norm" in followed.get(name, ""):
        return
    others = [value for where, value in spreads.items() if where != name and value > 0]
    if not others or spreads.get(name, 0.0) < max(LARGE, APART * float(np.median(others))):
        return
    if ran.chance is not None and ran.start < SOLVED * ran.chance:
        return
    yield told(
        "init.bad_scale",
        "warning",
        "one_layer_large",
        {"name": name, "gain": within[name], "middle": middle, "spread": spreads[name]},
        confidence=0.6,
        evidence=[
            number("start_weights", within[name], LARGE, "vocabulary of init.bad_scale", where=name),
            number("activation_std", spreads[name], LARGE, "vocabulary of init.bad_scale", where=name),
        ],
        remedies=[advice("redraw")],
        subject={"layers": [name]},
    )
