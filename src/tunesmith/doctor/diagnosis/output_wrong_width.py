"""output.wrong_width: the number of outputs does not fit the number of classes.

Sees      in a watched run: outputs that no label has asked for after many rows; in a run that crashed, a label one past the last output.
Matters   outputs without a class cost little but hide a mistake in the labels; a class without an output cannot be learnt, or crashes.
Remedies  one output for each class.
Limits    vocabularies of language models and label sets that the data do not fill have spare outputs on purpose: told where few classes are
          seen often, as a note for one or two spare ones, a warning where most outputs have no class.
Source    vocabulary of output.wrong_width; thresholds: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

SEEN = 20  # rows for each class that was met, so that a missing one is no chance; assumption
LOSSES = ("CrossEntropyLoss", "NLLLoss", "cross_entropy")  # of which an output is a class
MOST = 0.5  # of the outputs without a class: a warning; assumption


@rule("output.wrong_width", needs=("loss",))
def output_wrong_width(history: History) -> Iterator[Finding]:
    answers, crash = part(history, "answers"), part(history, "crash")
    if "labels" in crash and crash["labels"][1] >= crash["width"]:
        low, high = crash["labels"]
        yield told(
            "output.wrong_width",
            "error",
            "too_few_outputs",
            {"width": crash["width"], "high": high, "low": low},
            confidence=0.6,
            status="confirmed",
            evidence=[number("highest_label", high, crash["width"] - 1, "number of outputs")],
            remedies=[advice("output_per_class")],
        )
        return
    width, labels = answers.get("width", 0), answers.get("labels", 0)
    if (
        answers.get("kind") != "classes"
        or (answers.get("form") not in ("cross_entropy", "nll") and answers.get("loss") not in LOSSES)
        or labels < 2
        or width <= labels
        or "target_high" not in answers
    ):
        return
    spare = int(width - answers["target_high"] - 1)
    rows = answers["values"] / width
    if spare < 1 or rows < SEEN * labels or answers["target_high"] + 1 != labels:
        return
    many = spare > MOST * width
    yield told(
        "output.wrong_width",
        "warning" if many else "note",
        "spare_outputs",
        {"width": width, "labels": labels, "spare": spare, "rows": int(rows)},
        confidence=0.8 if many else 0.5,
        evidence=[number("spare_outputs", spare / width, MOST, "assumption")],
        remedies=[advice("output_per_class")],
    )
