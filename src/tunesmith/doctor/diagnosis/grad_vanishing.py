"""grad.vanishing: what comes back to the first layers is next to nothing.

Sees      in a watched run, together: the spread of the gradient at the outputs of the first layer over that at the last but one, below a
          thousandth at the first looks; and a loss that did not get on, or, where it is below a
          millionth, a first layer that moves far less than the others. What of activations, start weights and dead units explains it.
Matters   the first layers stay as they were drawn.
Remedies  by the cause: other activations, He or Glorot weights, norms, residual branches.
Limits    adaptive optimizers make up for small gradients until they sink below epsilon: with a loss that gets on nothing is said. Frozen
          parts, embeddings and layers below a detach have no gradient to compare.
Source    vocabulary of grad.vanishing: ratio below 1e-3 [AT]; Glorot and Bengio, AISTATS 2010.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, early_of, late_of, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

SMALL = 1e-3  # first over last [AT]
GONE = 1e-6  # first over last: so little that it counts in a net that learns, where its first layer lags behind; assumption
BEHIND = 0.1  # of the update of the median layer; assumption
TINY = 1e-4  # of the weights in an update of the first layer: vocabulary of lr.too_low
FEWEST = 3  # layers


@rule("grad.vanishing", needs=("gradient_std", "grad_norm"))
def grad_vanishing(history: History) -> Iterator[Finding]:
    ran = progress(history)
    by_layer = early_of(history, "gradient_std")
    if ran is None or len(by_layer) < FEWEST or ran.early:
        return
    names = list(by_layer)
    low, high = by_layer[names[0]], max(by_layer.values())
    if high <= 0 or low >= SMALL * high:
        return
    moves = late_of(history, "update_ratio") or early_of(history, "update_ratio")
    moved = moves.get(names[0])
    lags = moved is not None and moved < BEHIND * float(np.median(list(moves.values())))
    if not ran.stuck and not (low < GONE * high and lags):
        return
    ends = list(early_of(history, "saturated_fraction").values())
    dead = list(early_of(history, "dead_fraction").values())
    gains = sorted(float(one) for one in part(history, "gains").values())
    cause = None
    if dead and max(dead) > 0.9:
        cause = "act.dead_relu"
    elif ends and max(ends) > 0.5:
        cause = "act.saturated"
    elif gains and gains[len(gains) // 2] < 0.2:
        cause = "init.bad_scale"
    elif len(history.facts.get("activations") or ()) >= FEWEST:
        cause = "act.unsuitable"
    yield told(
        "grad.vanishing",
        "warning",
        "gradient_vanishes",
        {"ratio": low / high, "first": names[0], "layers": len(names), "loss": ran.end},
        confidence=0.85 if moved is not None and moved < TINY else 0.7,
        evidence=[
            number("gradient_first_over_largest", low / high, SMALL, "[AT]", where=names[0]),
            number("loss", ran.end, ran.chance, "a constant answer"),
        ]
        + ([number("update_ratio", moved, TINY, "vocabulary", where=names[0])] if moved is not None else []),
        remedies=[advice("redraw"), advice("residual")],
        subject={"layers": names[:1]},
        caused_by=cause,
    )
