"""output.wrong_activation: what the last layer gives does not fit the loss and the targets.

Sees      in a watched run, on outputs and targets as the loss gets them: probabilities (rows that sum to 1, or numbers that never leave
          0 … 1) into a loss that takes scores; scores into a loss that takes log probabilities; one output that never changes; numbers that
          crowd at an end that none of them passes while targets lie beyond it.
Matters   a cross entropy of probabilities cannot fall below 1.46 for ten classes; outputs that cannot reach the targets never will.
Remedies  scores into losses of scores; a linear last layer for numbers.
Limits    needs the targets, or the loss itself. Which loss it is, is told by its value where the loss is not given; weighted and smoothed
          ones are not recognised by value.
Source    vocabulary of output.wrong_activation; thresholds: assumption.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

MOST, SPAN = (
    0.5,
    (0.9, 2.05),
)  # share of targets out of reach, and width of outputs between -1 and 1 or 0 and 1 about any mean; assumption
BOUNDED = ("Sigmoid", "Tanh", "Softsign", "Hardsigmoid", "Hardtanh")
SUMS_TO_ONE = 1e-3  # of a row: float32, half precision left out; assumption
NORMALISED = 0.05  # of the log of the summed exponentials of log probabilities; assumption
WIDE, UPDATES, BATCHES = (
    0.2,
    100,
    12,
)  # spread of them, and length of a run, that a narrow start would not have; assumption
NUMBERS = 200  # outputs within 0 … 1 that scores would not all be; assumption
BEYOND = 0.05  # share of the targets beyond the end; assumption
CROWD = 0.03  # share of outputs at the end, 2 % of the range; an even spread has 0.02; assumption
SCORES = ("CrossEntropyLoss",)
BITS = ("BCEWithLogitsLoss", "MultiLabelSoftMarginLoss")


@rule("output.wrong_activation", needs=("loss",))
def output_wrong_activation(history: History) -> Iterator[Finding]:
    answers = part(history, "answers")
    if answers.get("batches", 0) < 3 or answers.get("values", 0) < 2:
        return
    yield from (
        _constant(answers) or _classes(history, answers) or _flags(history, answers) or _reach(history, answers)
    )


def _squashed(history: History, answers: Mapping[str, Any]) -> float:
    """How sure it is that scores went through a sigmoid: by the graph of the loss, or as none of many, of a long run, ever left 0 … 1."""
    if not (answers["output_low"] >= 0 and answers["output_high"] <= 1 and answers["values"] >= NUMBERS):
        return 0.0
    if "Sigmoid" in (history.facts.get("loss_path") or ()):
        return 0.97
    ran = progress(history)
    wide = answers["output_high"] - answers["output_low"] > WIDE
    return 0.8 if wide and ran is not None and ran.updates >= UPDATES and answers["batches"] >= BATCHES else 0.0


def _constant(answers: Mapping[str, Any]) -> list[Finding]:
    if answers.get("width") == 1 and answers["output_low"] == answers["output_high"] == 1.0:
        return [
            _found(
                "always_one",
                {"value": 1.0, "batches": answers["batches"]},
                0.97,
                [number("output_spread", 0.0, 0.0, "by construction")],
                "one_unit",
            )
        ]
    return []


def _classes(history: History, answers: Mapping[str, Any]) -> list[Finding]:
    width, form, name = answers.get("width", 1), answers.get("form"), answers.get("loss")
    if width < 2 or answers.get("kind") != "classes":
        return []
    probable = answers.get("row_sum_gap", 1.0) < SUMS_TO_ONE and answers["output_low"] >= 0
    if probable and (form == "cross_entropy" or name in SCORES):
        floor = math.log(1 + (width - 1) / math.e)
        return [
            _found(
                "softmax_twice",
                {"floor": floor, "width": width},
                0.97,
                [number("row_sum_gap", answers["row_sum_gap"], SUMS_TO_ONE, "rounding")],
                "plain_scores",
            )
        ]
    sure = _squashed(history, answers)
    if sure and (form == "cross_entropy" or name in SCORES):
        return [
            _found(
                "squashed_scores",
                {"low": answers["output_low"], "high": answers["output_high"], "values": answers["values"]},
                min(sure, 0.9),
                [number("output_high", answers["output_high"], 1.0, "range of a sigmoid")],
                "plain_scores",
            )
        ]
    takes_logs = form == "nll" or name in ("NLLLoss", "nll_loss")
    if takes_logs and form != "cross_entropy" and answers.get("normaliser_gap", 0.0) > NORMALISED:
        return [
            _found(
                "no_log_probabilities",
                {"gap": answers["normaliser_gap"]},
                0.97,
                [number("normaliser_gap", answers["normaliser_gap"], NORMALISED, "log probabilities have 0")],
                "log_softmax",
            )
        ]
    return []


def _flags(history: History, answers: Mapping[str, Any]) -> list[Finding]:
    form, name = answers.get("form"), answers.get("loss")
    sure = _squashed(history, answers)
    if sure and answers.get("kind") == "flags" and (form == "bce_with_logits" or name in BITS):
        return [
            _found(
                "sigmoid_twice",
                {"low": answers["output_low"], "high": answers["output_high"], "values": answers["values"]},
                sure,
                [number("output_low", answers["output_low"], 0.0, "range of a sigmoid")],
                "plain_scores",
            )
        ]
    return []


def _reach(history: History, answers: Mapping[str, Any]) -> list[Finding]:
    beyond, crowd, outside = (answers.get(name, 0.0) for name in ("beyond", "crowd", "outside"))
    ran = progress(history)
    if beyond < BEYOND or crowd < CROWD or ran is None or ran.updates < 50:
        return []
    end = answers["end"]
    bound = next((each for each in (0.0, 1.0, -1.0, 6.0) if abs(end - each) <= 0.02 * max(1.0, abs(each))), None)
    span = answers.get("late_high", 0.0) - answers.get("late_low", 0.0)
    kinds = (history.facts.get("activations") or {}).values()
    narrow = outside > MOST and SPAN[0] < span <= SPAN[1] and ran.poor and any(kind in BOUNDED for kind in kinds)
    if bound is None and not narrow:
        return []
    bound = end if bound is None else bound
    return [
        _found(
            "out_of_reach",
            {"end": bound, "beyond": beyond, "crowd": crowd, "outside": outside},
            0.8,
            [
                number("targets_beyond", beyond, BEYOND, "assumption"),
                number("outputs_at_end", crowd, CROWD, "assumption"),
            ],
            "open_output",
            confirmed=False,
        )
    ]


def _found(
    message: str, values: Mapping[str, Any], confidence: float, evidence: list[Any], remedy: str, confirmed: bool = True
) -> Finding:
    return told(
        "output.wrong_activation",
        "error",
        message,
        values,
        confidence=confidence,
        status="confirmed" if confirmed else "suspected",
        evidence=evidence,
        remedies=[advice(remedy)],
    )
