"""data.leakage: the held part knows what it should not.

Sees      a held loss that follows the training loss down to nothing: as low as the training loss of the same and the next epoch all the
          way, where a training loss near 0 says that rows are known by heart; or a held score of exactly 1 from early on. A training loss that stands
          at the same level from its second value on has learnt nothing by heart, however high it began.
Matters   the score will not hold on rows that are new.
Remedies  compare the parts row by row; split by group or time; look for a column that holds the answer.
Limits    easy tasks with many rows look the same, and dropout or augmentation lift the training loss above the held one in sound runs:
          a note, with little confidence. `audit` on the data decides.
Source    vocabulary of data.leakage: validation far better than an independent split; the generalisation gap closes only with many rows.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import View, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

FEWEST = 5
HEART = 0.02  # of its start, at which a training loss knows its rows by heart; assumption
ALIKE = 1.1  # times the training loss; assumption


@rule("data.leakage", needs=("loss",))
def data_leakage(history: History) -> Iterator[Finding]:
    seen = view(history)
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < FEWEST or not seen.readable or train.start <= 0:
        return
    height = min(train.start, float(np.max(train.level[1:])))  # the first value may be the damage of a blown start
    if train.end > HEART * height or val.end > ALIKE * train.end:
        return
    beside = np.interp(val.at, train.at, train.level)
    follows = float(np.mean(val.level < ALIKE * beside))
    if follows < 0.8:
        return
    yield told(
        "data.leakage",
        "note",
        "too_good" if not _perfect(seen) else "too_good_perfect",
        {"train": train.end, "val": val.end, "share": follows},
        confidence=0.35,
        evidence=[number("val_over_train", val.end / max(train.end, 1e-12), ALIKE, "assumption")],
        remedies=[advice("compare_parts")],
        next_probe="clean_subset",
    )


def _perfect(seen: View) -> bool:
    return any(bool((score.level[len(score) // 3 :] == 1).all()) for score in seen.scores if score.sign < 0)
