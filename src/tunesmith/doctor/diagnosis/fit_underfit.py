"""fit.underfit: the training score itself is poor.

Sees      a training and a held loss that end close together and still near the loss of chance: the labels' entropy or ln C where known, ln
          of a usual number of classes where the run began there; for scores with a fixed level of chance, how little they rise above it.
Matters   nothing that helps against overfitting helps here.
Remedies  a higher rate, more epochs, a larger net, less regularisation, in this order; better features.
Limits    what could be reached is not in a log: hard data look the same, so this is a note unless nearly nothing was learnt.
Source    vocabulary of fit.underfit; loss at the start near ln C: Karpathy, A Recipe for Training Neural Networks.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.chance import guessed, known
from tunesmith.doctor.diagnosis.loss_plateau_at_chance import chance_of
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import FEWEST, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

LITTLE, SOME = (
    0.75,
    0.9,
)  # of the loss of chance, left at the end: a note from the first on, a warning from the second; assumption


@rule("fit.underfit", needs=("loss",))
def fit_underfit(history: History) -> Iterator[Finding]:
    seen = view(history)
    one = seen.judged
    if one is None or len(one) < FEWEST or not seen.readable or chance_of(seen, one) is not None:
        return
    bound = known(seen) or guessed(one.start)
    if bound is None or one.end < LITTLE * bound.loss or one.end > bound.loss:
        return
    if seen.val is not None and seen.train is not None and seen.val.end - one.end > 0.15 * bound.loss:
        return  # the held part is another matter
    left = one.end / bound.loss
    yield told(
        "fit.underfit",
        "warning" if left > SOME and bound.source != "table" else "note",
        "underfit",
        {"name": one.name, "end": one.end, "chance": bound.loss, "left": left},
        confidence=0.5,
        evidence=[number("loss_over_chance", left, LITTLE, bound.source)],
        remedies=[advice("underfit_order")],
        next_probe="more_capacity",
    )
