"""loss.oscillating: the loss swings and does not get on.

Sees      in the second half of the run, swings of the training loss about its own smooth course that are a good share of all it ever won,
          while the level stands still. Swings that go with a rate which is raised again and again are told of as such.
Matters   the last weights are those of a random moment of the swing.
Remedies  a rate three times lower or a decay from here; a larger batch; defaults of the optimizer.
Limits    needs twelve points; noise of single updates is averaged first, and small held parts, whose curves move in steps, are not looked at.
Source    vocabulary of loss.oscillating ([AT] swings in more than 20 % of epochs, [TDC] sign changes), made relative to the way won.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.rates import saw_tooth
from tunesmith.doctor.diagnosis.telling import advice, number, rate_change, told
from tunesmith.doctor.diagnosis.views import single, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

FEWEST = 12
SWING = 0.25  # deviation of the swings over what was won; measured: sound runs of the open part stay below 0.12
STILL = 0.1  # of what was won, by which the level of the second half may still fall; assumption


@rule("loss.oscillating", needs=("loss",))
def loss_oscillating(history: History) -> Iterator[Finding]:
    seen = view(history)
    train = seen.train
    if train is None or len(train) < FEWEST or not seen.readable or saw_tooth(seen):
        return
    if single(train):
        return
    half = train.level[len(train) // 2 :]
    fallen, _, _ = train.fall(0.5)
    swing = float(np.std(half[1:] - half[:-1])) / 2**0.5
    typical = train.noise * (len(half) >= 3)
    won = float(train.start - np.median(half))
    if min(swing, 1.5 * typical) < SWING * max(won, 0.1 * abs(float(np.median(half)))) or fallen > STILL * abs(won):
        return
    if won <= 0 and swing < SWING * abs(float(np.median(half))):
        return
    at = float(train.at[len(train) // 2])
    values = {"swing": swing, "won": max(won, 0.0), "level": float(np.median(half)), "axis": seen.axis, "at": at}
    yield told(
        "loss.oscillating",
        "warning",
        "oscillating",
        values,
        confidence=0.75,
        evidence=[number("swing", swing, SWING * abs(won), "a quarter of what was won", at=at)],
        remedies=[rate_change("lower_rate", seen.rate_at(at), 0.3), advice("larger_batch")],
        next_probe="rate_sweep",
        places=[at],
    )
