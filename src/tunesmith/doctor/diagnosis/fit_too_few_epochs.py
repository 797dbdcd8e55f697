"""fit.too_few_epochs: the run ended while it was still getting better.

Sees      how fast the held loss (training loss where there is none) falls in the last third, against the pace of the whole run; what half
          as many epochs again would still win at a pace that halves.
Matters   the rest of the way was paid for but not taken.
Remedies  train longer; a higher rate, where the loss falls in a straight line from the start.
Limits    many sound runs end while they still win a little: below half of the average pace this is a note. Says nothing of runs whose
          rate has come to its end: what they had planned is done.
Source    vocabulary of fit.too_few_epochs: slope at the end a good share of the average slope, gain beyond the noise.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.fit_overfit import rise
from tunesmith.doctor.diagnosis.rates import course
from tunesmith.doctor.diagnosis.telling import advice, change, number, told
from tunesmith.doctor.diagnosis.views import FEWEST, SURE, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

PACE, FAST = 0.2, 0.6  # of the average: a note, a warning; assumption
GAIN = 0.05  # of the level at the end that half as many epochs again would win; assumption


@rule("fit.too_few_epochs", needs=("loss",))
def fit_too_few_epochs(history: History) -> Iterator[Finding]:
    seen = view(history)
    one = seen.val if seen.val is not None and len(seen.val) >= FEWEST else seen.train
    if one is None or len(one) < FEWEST or not seen.readable or one.drop <= 6 * one.noise:
        return
    rate = course(seen)
    if rate is not None and rate.values[-1] < 0.05 * rate.peak:
        return  # it has been annealed
    fallen, errors, pace = one.fall(0.4)
    gain = min(fallen * 0.6, abs(one.end)) if one.end > 0 else fallen * 0.6
    if errors < SURE or pace < PACE or gain < GAIN * abs(one.end) or rise(one) is not None:
        return
    fast = one.end > 0 and pace > FAST and gain > 0.05 * one.drop and one.early_share < 0.5
    epochs = seen.history.facts.get("epochs")
    paths = {"train.epochs": int(epochs * 2)} if isinstance(epochs, int) else {}
    yield told(
        "fit.too_few_epochs",
        "warning" if fast else "note",
        "too_few_epochs",
        {"name": one.name, "pace": pace, "gain": gain, "end": one.end},
        confidence=0.25 if fast else 0.2,
        evidence=[
            number("pace_at_end", pace, PACE, "share of the average pace"),
            number("gain_ahead", gain, GAIN * abs(one.end)),
        ],
        remedies=[change("more_epochs", paths), advice("higher_rate_if_straight")],
        next_probe="longer_run",
    )
