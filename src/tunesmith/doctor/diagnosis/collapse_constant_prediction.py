"""collapse.constant_prediction: the same answer for every input.

Sees      in a watched run, late in it: one class takes nearly all answers though it has far from all labels; or all rows (or tokens) of
          a batch get one answer, which changes from batch to batch, though their labels differ; or numbers as outputs that spread
          over the rows by a small part of the spread of the targets, while the loss stands at a constant answer.
Matters   the net ignores its inputs; scores look like the share of the commonest class.
Remedies  look for the cause: dead units, the last activation, the rate, the inputs.
Limits    a symptom. The first part of a sound run looks the same: only the last half counts, of runs of fifty updates and more; a
          run that goes on is given a hundred, and three epochs where it tells of them. Where one class has nearly all labels the answer may be right.
Source    vocabulary of collapse.constant_prediction: 99 % of the answers; the rest: assumption.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import (
    EPOCHS,
    NEAR_CHANCE,
    SOME,
    Progress,
    advice,
    fact,
    late,
    length,
    number,
    part,
    progress,
    told,
)
from tunesmith.records import Finding
from tunesmith.runs.history import History

ALL = 0.99  # of the answers: vocabulary
COMMON = 0.9  # of the labels, at which it may be right; assumption
SMALL = 0.05  # of the spread of the targets; assumption
UPDATES = 50
ROWS = 8  # of a batch: fewer have one label by chance too often; assumption


@rule("collapse.constant_prediction", needs=("loss",))
def collapse_constant_prediction(history: History) -> Iterator[Finding]:
    ran = progress(history)
    answers = _answers(history, ran)
    if ran is None or ran.updates < UPDATES or _early(history, ran):
        return
    said, given = answers.get("answered") or {}, answers.get("label_shares") or {}
    one = max(said, key=lambda label: said[label], default=None)
    if one is not None and said[one] > ALL and given:
        share = given.get(one, 0.0)
        if share < COMMON:
            yield told(
                "collapse.constant_prediction",
                "warning",
                "one_answer",
                {"answer": one, "share": said[one], "labels": share, "loss": ran.end},
                confidence=0.9,
                evidence=[
                    number("predicted_share", said[one], ALL, "vocabulary of collapse.constant_prediction", where=one)
                ],
                remedies=[advice("look_for_cause")],
            )
            return
    alike, labels = answers.get("alike", 0.0), answers.get("labels_alike", 1.0)
    if alike > ALL and labels < COMMON and answers.get("rows", 0) >= ROWS and (ran.at_chance or ran.stuck):
        yield told(
            "collapse.constant_prediction",
            "warning",
            "one_answer_a_batch",
            {"share": alike, "labels": labels, "loss": ran.end},
            confidence=0.8,
            evidence=[number("predicted_share", alike, ALL, "vocabulary of collapse.constant_prediction, by batch")],
            remedies=[advice("look_for_cause")],
        )
        return
    width = answers.get("target_std", 0.0)
    if answers.get("kind") == "numbers" and "reached" in answers and width > 0 and ran.stuck:
        level = answers["reached"] * width
        if level < SMALL * width:
            yield told(
                "collapse.constant_prediction",
                "warning",
                "one_number",
                {"spread": level, "targets": width, "loss": ran.end},
                confidence=0.8,
                evidence=[number("output_spread", level, SMALL * width, "assumption")],
                remedies=[advice("look_for_cause")],
            )


def _answers(history: History, ran: Progress | None) -> Mapping[str, Any]:
    """What was answered late: as a watch over a loop of one's own counted it, or as `fit` wrote it down as signals.

    A short run of `fit` may have been looked at in its first half alone: that counts where the loss stands at the entropy of the labels.
    """
    told = part(history, "answers")
    if told or ran is None:
        return told
    shares = {one.where: float(one.values[-1]) for one in history.all("label_share") if len(one)}
    seen = [one for one in history.all("predicted_share") if len(one)]
    last = max((float(one.steps[-1]) for one in seen), default=0.0)
    entropy = -sum(share * math.log(share) for share in shares.values() if share > 0)
    if last < UPDATES or (2 * last < length(history) and ran.end < (1 - NEAR_CHANCE) * entropy):
        return {}  # looked at too early, and since then it has learnt
    answered = {one.where: late(one) or 0.0 for one in seen}
    found: dict[str, Any] = {"answered": answered, "label_shares": shares}
    batch = history.facts.get("batch_size")
    found |= {"rows": batch} if isinstance(batch, int) else {}
    for name, quantity in (("alike", "answers_alike"), ("labels_alike", "labels_alike")):
        level = late(history.get(quantity))
        found |= {} if level is None else {name: level}
    return found


def _early(history: History, ran: Progress) -> bool:
    """Whether a run that goes on may yet leave the answer that is learnt first; of a loop that tells no epochs, updates count alone."""
    judged = history.get("loss", "val")
    epochs = max(fact(history, "epochs_seen"), 0 if judged is None else len(judged))
    return ran.going and (ran.updates < SOME or 0 < epochs < EPOCHS)
