"""data.label_noise: a large share of the labels is wrong.

Sees      the early-learning peak: a held score that is best in the first part of the run and then falls, far beyond its noise, while the
          training loss goes on falling slowly from a high level. Wrong labels are learnt last, by heart.
          In a watched run: rows trained on are answered worse than rows held back, beyond chance, or cost more, where nothing acts in
          training alone; columns that go with the labels of the rows judged, and none that goes with those of the training.
Matters   what is learnt after the peak is the noise; the best weights are early ones.
Remedies  look at the rows that were learnt last; relabel or drop them; stop at the peak; a loss that is robust to noise.
Limits    a small training part gives the same curve; a log cannot tell them apart, an audit of the labels can. Never more than a suspicion.
          Rows held back are as hard as those trained on where both were drawn alike; shares of the classes that differ are left out, and so
          are rows that are made anew each time (augmentation is meant to be harder).
Source    Arpit et al., arXiv:1706.05394; Liu et al., Early-Learning Regularization, arXiv:2007.00151, figure 1.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tunesmith.doctor.diagnosis import live
from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.inside import batch_rows, updates_per_epoch
from tunesmith.doctor.diagnosis.smoothing import smooth
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import view
from tunesmith.records import Finding
from tunesmith.runs.history import History

FEWEST = 8
EARLY = 0.4  # of the run, within which the peak lies; assumption
FALL = 0.1  # of what the score had won, that is lost again; assumption
NOISES = 5.0
ROWS = 300  # beyond which a link of use would show; of data.no_signal
APART = 0.1  # between the shares of rows answered rightly; assumption
CHEAPER = 0.1  # of the training loss; assumption
ALIKE = 0.1  # total variation between the shares of the classes; assumption


@rule("data.label_noise", needs=("loss", "accuracy", "score"))
def data_label_noise(history: History) -> Iterator[Finding]:
    told_inside = [*_links_lost(history), *_held_better(history)]
    yield from told_inside[:1]
    if not told_inside:
        yield from _early_peak(history)


def _links_lost(history: History) -> Iterator[Finding]:
    inputs, judged = live.part(history, "inputs"), live.part(history, "judged")
    if inputs.get("distinct", 0) < ROWS or "linked" not in inputs or "linked" not in judged:
        return
    here, there = inputs["linked"] / inputs["linked_chance"], judged["linked"] / judged["linked_chance"]
    if here >= 1 or there <= 1:
        return
    yield live.told(
        "data.label_noise",
        "warning",
        "links_lost",
        {"linked": inputs["linked"], "by_chance": inputs["linked_chance"], "judged": judged["linked"]},
        confidence=0.8,
        evidence=[live.number("strongest_link", inputs["linked"], inputs["linked_chance"], "chance over all columns")],
        remedies=[live.advice("follow_a_row")],
        next_probe="clean_subset",
    )


def _held_better(history: History) -> Iterator[Finding]:
    answers, judged, ran = live.part(history, "answers"), live.part(history, "judged"), live.progress(history)
    if (
        ran is None
        or answers.get("kind") != "classes"
        or "right" not in judged
        or _anew(history)
        or not _drawn_alike(answers, judged)
    ):
        return
    held, own = judged["right"], answers.get("right")
    dropped, count = float(history.facts.get("dropout") or 0.0), judged["distinct"]
    if own is not None:
        error = sum(share * (1 - share) / rows for share, rows in ((held, count), (own, answers["right_of"]))) ** 0.5
        if held - own > APART + dropped / 2 + 3 * error:
            yield live.told(
                "data.label_noise",
                "warning",
                "held_answered_better",
                {"held": held, "own": own, "rows": answers["right_of"]},
                confidence=0.7,
                evidence=[live.number("right_in_training", own, held - APART - 3 * error, "rows held back")],
                remedies=[live.advice("look_at_labels")],
                next_probe="clean_subset",
            )
    seen = view(history)
    val, plain = seen.val, answers.get("form") == "cross_entropy" and abs(answers.get("root", 0.0) - 1) < 0.01
    if not plain or history.facts.get("moody") or val is None or len(val) < FEWEST or answers.get("per_rows"):
        return
    level, lost = (
        float(np.median(val.level[-len(val) // 3 :])),
        1 - max(CHEAPER, 4 / count**0.5),
    )  # losses spread as far as their mean
    if level < lost * ran.end and ran.end > 0.3 * (ran.chance or ran.start):
        yield live.told(
            "data.label_noise",
            "warning",
            "held_costs_less",
            {"held": level, "end": ran.end},
            confidence=0.65,
            evidence=[live.number("held_loss", level, lost * ran.end, "training loss")],
            remedies=[live.advice("look_at_labels")],
            next_probe="clean_subset",
        )


def _anew(history: History) -> bool:
    """Whether rows are changed each time they are used; true where that is not known."""
    inputs, each, rows = live.part(history, "inputs"), updates_per_epoch(history), batch_rows(history)
    if each is None or rows is None:
        return True
    whole = each * rows * float(history.facts.get("accumulate") or 1)
    return bool(inputs.get("rows", 0) < 1.2 * whole or inputs.get("distinct", 0) > 1.1 * whole)


def _drawn_alike(answers: Mapping[str, Any], judged: Mapping[str, Any]) -> bool:
    here, there = answers.get("label_shares") or {}, judged.get("label_shares") or {}
    return bool(sum(abs(here.get(label, 0.0) - there.get(label, 0.0)) for label in {*here, *there}) / 2 < ALIKE)


def _early_peak(history: History) -> Iterator[Finding]:
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
