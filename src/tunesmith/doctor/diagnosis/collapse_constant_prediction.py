"""collapse.constant_prediction: the same answer for every input.

Sees      in a watched run, late in it: one class takes nearly all answers though it has far from all labels; or numbers as outputs that
          spread over the rows by a small part of the spread of the targets, while the loss stands at a constant answer.
Matters   the net ignores its inputs; scores look like the share of the commonest class.
Remedies  look for the cause: dead units, the last activation, the rate, the inputs.
Limits    a symptom. The first part of a sound run looks the same: only the last half counts, of runs of fifty updates and more. Where one
          class has nearly all labels the answer may be right.
Source    vocabulary of collapse.constant_prediction: 99 % of the answers; the rest: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

ALL = 0.99  # of the answers: vocabulary
COMMON = 0.9  # of the labels, at which it may be right; assumption
SMALL = 0.05  # of the spread of the targets; assumption
UPDATES = 50


@rule("collapse.constant_prediction", needs=("loss",))
def collapse_constant_prediction(history: History) -> Iterator[Finding]:
    ran, answers = progress(history), part(history, "answers")
    if ran is None or ran.updates < UPDATES:
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
