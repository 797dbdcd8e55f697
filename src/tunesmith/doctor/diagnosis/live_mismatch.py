"""What a watched run shows of a loss that does not fit: its sign, its blindness to the targets, classes taken for amounts."""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

SAME = 1e-4  # by which a multiple may vary and still be one: rounding
REGRESSION = ("mse", "l1", "smooth_l1")
FEWEST, MOST = 3, 100  # classes; of two classes the squares are a proper score


def _answering(answers: Mapping[str, Any]) -> bool:
    """Whether the outputs have the form of answers: a loss without targets of its own (contrast, reconstruction) has others."""
    if answers.get("target_low") == answers.get(
        "target_high"
    ):  # one answer for all rows, which the loss itself brings along
        return bool(answers.get("from_graph"))
    if answers.get("kind") == "classes":
        return bool(answers.get("width") == answers.get("labels"))
    return bool(answers.get("output_shape") == answers.get("target_shape"))


def seen_inside(history: History) -> Iterator[Finding]:
    """Findings on the values that the loss was seen to give."""
    answers = part(history, "answers")
    if answers.get("batches", 0) < 3:
        return
    scale = answers.get("scale", 1.0)
    if scale < 0 and answers.get("scale_spread", 1.0) < SAME:
        yield told(
            "loss.mismatch",
            "error",
            "sign_flipped",
            {"form": answers["form"], "factor": scale},
            confidence=0.97,
            status="confirmed",
            evidence=[number("loss_over_usual", scale, 0.0, "it is negative")],
            remedies=[advice("usual_sign")],
        )
    elif answers.get("deaf") and _answering(answers):
        yield told(
            "loss.mismatch",
            "error",
            "target_ignored",
            {"batches": answers["batches"]},
            confidence=0.9,
            evidence=[number("change_by_other_targets", 0.0, 2e-5, "rounding")],
            remedies=[advice("hand_over_target")],
        )
    classes = int(history.facts.get("classes") or 0)
    numbered = answers.get("target_low") == 0.0 and answers.get("target_high") == classes - 1
    if answers.get("whole") and FEWEST <= classes <= MOST and answers.get("form") in REGRESSION and numbered:
        yield told(
            "loss.mismatch",
            "error",
            "classes_as_amounts",
            {"form": answers["form"], "classes": classes},
            confidence=0.9,
            evidence=[number("classes", classes, FEWEST, "as told to the watch")],
            remedies=[advice("loss_of_classes")],
        )
