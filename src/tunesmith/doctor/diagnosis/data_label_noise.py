"""data.label_noise: a large share of the labels is wrong.

Sees      the early-learning peak: a held score that is best in the first part of the run and then falls, far beyond its noise, while the
          training loss goes on falling slowly from a high level. Wrong labels are learnt last, by heart.
Matters   what is learnt after the peak is the noise; the best weights are early ones.
Remedies  look at the rows that were learnt last; relabel or drop them; stop at the peak; a loss that is robust to noise.
Limits    a small training part gives the same curve; a log cannot tell them apart, an audit of the labels can. Never more than a suspicion.
Source    Arpit et al., arXiv:1706.05394; Liu et al., Early-Learning Regularization, arXiv:2007.00151, figure 1.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.smoothing import smooth
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import view
from tunesmith.records import Finding
from tunesmith.runs.history import History

FEWEST = 8
EARLY = 0.4  # of the run, within which the peak lies; assumption
FALL = 0.1  # of what the score had won, that is lost again; assumption
NOISES = 5.0


@rule("data.label_noise", needs=("loss", "accuracy", "score"))
def data_label_noise(history: History) -> Iterator[Finding]:
    seen = view(history)
    train = seen.train
    if train is None or len(train) < FEWEST or not seen.readable:
        return
    for score in seen.scores:
        if len(score) < FEWEST or score.drop <= 0:
            continue
        where = int(np.argmin(smooth(score.down)))
        share = (score.at[where] - score.at[0]) / score.span if score.span > 0 else 1.0
        if share > EARLY or score.lost < max(NOISES * score.noise, FALL * score.drop):
            continue
        at = float(score.at[where])
        then = train.level[train.at <= at]
        fell = float(then[-1]) - train.end if len(then) else 0.0
        if fell < 0.3 * train.drop or not len(then):  # the greater part had been learnt: plain overfitting
            continue
        yield told(
            "data.label_noise",
            "note",
            "early_peak",
            {"name": score.name, "best": score.best, "end": score.end, "axis": seen.axis, "at": at},
            confidence=0.25,
            evidence=[number("score_lost", score.lost, NOISES * score.noise, "noise of the curve", at=at)],
            remedies=[advice("audit_labels"), advice("take_best", axis=seen.axis, at=at)],
            next_probe="clean_subset",
            places=[at],
        )
        return
