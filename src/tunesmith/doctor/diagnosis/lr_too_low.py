"""lr.too_low: the budget ends before the loss has moved.

Sees      a loss that falls smoothly, in a nearly straight line from the start to the end, and by little of what there is; inside a run,
          updates below 1e-5 of the weights in all layers, or below 1e-3 where the training loss is too noisy to tell and the held one
          falls in such a line.
Matters   the same updates at a higher rate would have come ten times as far.
Remedies  a short sweep of rates, then the one a decade below where the loss diverges.
Limits    too few epochs, updates of a large batch, a loss that is divided twice and a net that is frozen in part give the same line: the
          first probe is a run at ten times the rate. Silent where the loss stands still: then nothing moves, and other rules speak.
Source    vocabulary of lr.too_low: ratio below 1e-4 to 1e-5, falls monotonically and almost straight.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.inside import over_layers
from tunesmith.doctor.diagnosis.rates import course
from tunesmith.doctor.diagnosis.telling import number, rate_change, told
from tunesmith.doctor.diagnosis.views import FEWEST, Curve, View, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

SHORT = 1e-5  # of the weights in an update: vocabulary
TIMID = 1e-3  # of the weights in an update: the usual length; rules of thumb
LITTLE = 0.25  # of the start, that was won; assumption
STRAIGHT = 0.5  # of the way, made in the first third: 1/3 for a line; assumption
PACE = 0.5  # of the average, still at the end; assumption


@rule("lr.too_low", needs=("loss", "update_ratio"))
def lr_too_low(history: History) -> Iterator[Finding]:
    seen = view(history)
    if not seen.readable:
        return
    ratios = over_layers(history, "update_ratio")
    rate = seen.rate_at(seen.judged.at[-1]) if seen.judged is not None else None
    if ratios is not None and 0 < float(ratios.max()) < SHORT and not _gone(seen):
        yield told(
            "lr.too_low",
            "warning",
            "updates_short",
            {"ratio": float(np.median(ratios)), "usual": 1e-3},
            confidence=0.8,
            evidence=[number("update_ratio", float(ratios.max()), SHORT, "vocabulary")],
            remedies=[rate_change("higher_rate", rate, 10.0)],
            next_probe="rate_sweep",
        )
        return
    one = seen.judged
    if ratios is not None and 0 < float(np.median(ratios)) < TIMID and seen.val is not None and not _falls(one):
        one = seen.val  # the noise of batches hides so little
    if one is None or not straight(one) or _gone(seen):
        return
    won = one.drop / abs(one.start)
    if ratios is not None and float(np.median(ratios)) > 3e-3:  # the updates are long enough
        return
    _, _, pace = one.fall(0.4)
    yield told(
        "lr.too_low",
        "warning",
        "straight_and_slow",
        {"name": one.name, "start": one.start, "end": one.end, "won": won, "pace": pace},
        confidence=0.55,
        evidence=[number("won", won, LITTLE, "assumption"), number("pace_at_end", pace, PACE, "assumption")],
        remedies=[rate_change("higher_rate", rate, 10.0)],
        next_probe="rate_sweep",
    )


def straight(one: Curve) -> bool:
    """Whether a curve falls in a nearly straight line to its end, and by little of its level."""
    if len(one) < FEWEST + 1 or one.start <= 0 or one.drop <= 8 * one.noise:
        return False
    fallen, errors, pace = one.fall(0.4)
    return one.drop < LITTLE * one.start and errors > 4 and pace > PACE and one.early_share < STRAIGHT and fallen > 0


def _gone(seen: View) -> bool:
    rate = course(seen)
    return rate is not None and rate.gone is not None


def _falls(one: Curve | None) -> bool:
    """Whether a curve fell beyond its noise."""
    return one is not None and one.drop > 8 * one.noise
