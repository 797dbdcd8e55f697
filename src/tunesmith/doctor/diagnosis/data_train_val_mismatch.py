"""data.train_val_mismatch: the two parts are not prepared or drawn alike.

Sees      a held loss that stands far above the training loss from the first evaluations on and does not follow it down, or gets worse
          from the start, while the training loss falls well; a held score at chance beside a training score far above it.
          In a watched run: columns of the rows judged that lie or spread elsewhere than those of the training; labels that are nearly
          always answered with one other label, while the training has learnt its own.
Matters   the score says nothing of the model, and choices made by it are wrong.
Remedies  the same preprocessing for both, fitted on the training part; a split by chance within classes; look at ten rows of each.
Limits    a small training part that is learnt by heart in one epoch looks alike, as does a held part evaluated in the wrong mode. A gap
          alone is no fault: contrastive losses and strong regularisation have one.
Source    vocabulary of data.train_val_mismatch and model.train_eval_mode.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis import live
from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import FEWEST, Curve, View, good, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

FOLLOWS = 0.15  # of the way the training loss made, that the held one makes at its best; assumption
APART = 0.5  # of that way, between the two at the first evaluations; assumption
OFFSET = 1.0  # deviations of the training, between the means of the median column; assumption
SPREAD = 0.5  # powers of ten between the deviations of the median column; assumption
ROWS = 30


@rule("data.train_val_mismatch", needs=("loss",))
def data_train_val_mismatch(history: History) -> Iterator[Finding]:
    told_inside = [*_codes(history), *_columns(history)]
    yield from told_inside
    if not told_inside:
        yield from _never_followed(history)


def _codes(history: History) -> Iterator[Finding]:
    judged, ran = live.part(history, "judged"), live.progress(history)
    exchanged = judged.get("exchanged") or []
    if ran is None or len(exchanged) < 2 or ran.poor:
        return
    pairs = ", ".join(f"{label} → {answer}" for label, answer in exchanged[:4])
    yield live.told(
        "data.train_val_mismatch",
        "error",
        "codes_exchanged",
        {"pairs": pairs, "count": len(exchanged), "labels": judged["labelled"]},
        confidence=0.9,
        evidence=[
            live.number("labels_exchanged", len(exchanged), 2, "a net that has learnt mixes up no two classes wholly")
        ],
        remedies=[live.advice("one_code")],
    )


def _columns(history: History) -> Iterator[Finding]:
    judged = live.part(history, "judged")
    offset, spread = judged.get("offset", 0.0), judged.get("spread", 0.0)
    if judged.get("rows", 0) < ROWS or (offset <= OFFSET and spread <= SPREAD):
        return
    yield live.told(
        "data.train_val_mismatch",
        "warning",
        "columns_elsewhere",
        {"offset": offset, "times": 10**spread},
        confidence=0.8,
        evidence=[
            live.number("offset", offset, OFFSET, "assumption"),
            live.number("spread", spread, SPREAD, "assumption"),
        ],
        remedies=[advice("same_preprocessing")],
    )


def _never_followed(history: History) -> Iterator[Finding]:
    seen = view(history)
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < FEWEST + 1 or not seen.readable:
        return
    if train.drop < max(10 * train.noise, 0.2 * abs(train.start)):
        return
    if not apart(train, val) or _scores_follow(seen):
        return
    followed = max(0.0, val.drop) / train.drop
    yield told(
        "data.train_val_mismatch",
        "warning",
        "never_followed",
        {
            "train_start": train.start,
            "train_end": train.end,
            "val_first": val.start,
            "val_best": val.best,
            "share": followed,
        },
        confidence=0.55,
        evidence=[
            number("val_followed", followed, FOLLOWS, "assumption"),
            number("val_loss_first", val.start, train.start),
        ],
        remedies=[advice("same_preprocessing"), advice("check_modes")],
        next_probe="clean_subset",
    )


def apart(train: Curve, val: Curve) -> bool:
    """Whether the held loss began above the training loss and never followed it."""
    first = float(np.median(val.level[: max(1, len(val) // 5)]))
    beside = float(np.interp(val.at[max(0, len(val) // 10)], train.at, train.level))
    return (
        val.drop < FOLLOWS * train.drop
        and first - beside > APART * train.drop
        and val.best > train.start - 0.3 * train.drop
    )


def _scores_follow(seen: View) -> bool:
    """Whether a held score is good, or got better by a good share of what there was to win: then it is overfitting."""
    for score in seen.scores:
        if good(score):
            return True
        top = 1.0 if score.sign < 0 and score.best <= 1.0 else score.best
        if score.drop > 6 * score.noise and score.drop > 0.25 * abs(top - score.start) and score.drop > 0.05:
            return True
    return False
