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

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import EPOCHS, SOME, Progress, advice, fact, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

ALL = 0.99  # of the answers: vocabulary
COMMON = 0.9  # of the labels, at which it may be right; assumption
SMALL = 0.05  # of the spread of the targets; assumption
UPDATES = 50
ROWS = 8  # of a batch: fewer have one label by chance too often; assumption


@rule("collapse.constant_prediction", needs=("loss",))
def collapse_constant_prediction(history: History) -> Iterator[Finding]:
    ran, answers = progress(history), part(history, "answers")
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


def _early(history: History, ran: Progress) -> bool:
    """Whether a run that goes on may yet leave the answer that is learnt first; of a loop that tells no epochs, updates count alone."""
    return ran.going and (ran.updates < SOME or 0 < fact(history, "epochs_seen") < EPOCHS)
