"""data.constant: the targets, or columns of the inputs, never change.

Sees      in a watched run: one label, or one number, in all targets seen; columns of the inputs, or whole rows, that hold one value.
Matters   a net that always gives the same answer is right by every score, and has learnt nothing.
Remedies  look at how labels and columns are read; drop columns without change.
Limits    constant columns alone are a note: pictures have dark corners, one-hot columns rare values. Targets that are zeros by design
          (a net trained on its own residual, self-supervision) are told all the same.
Source    vocabulary of data.constant; thresholds: assumption.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

ROWS = 50  # targets below which one value may be chance; assumption
COLUMNS = 0.4  # share of flat columns without change: more than dark corners; assumption
SAME = 1e-6  # of the numbers a loss is made of: targets may be known up to their rounding alone
BLANK = 0.05  # share of rows that hold one value; assumption
VARIES = 0.01  # of what the loop runs backwards over the loss with the targets seen: the loss holds others as well; assumption


@rule("data.constant", needs=("loss",))
def data_constant(history: History) -> Iterator[Finding]:
    answers, inputs = part(history, "answers"), part(history, "inputs")
    count = answers.get("values", 0) / max(1, answers.get("width", 1))
    low, high = answers.get("target_low", 0.0), answers.get("target_high", 1.0)
    if (
        count >= ROWS
        and not _own(answers)
        and high - low <= (SAME if answers.get("reckoned") else 0.0) * max(map(abs, (low, high, *_ends(answers))))
    ):
        yield told(
            "data.constant",
            "error",
            "one_target",
            {"value": float(answers["target_low"]), "rows": int(count)},
            confidence=0.95,
            status="confirmed",
            evidence=[number("target_std", answers.get("target_std", 0.0), 0.0, "one value")],
            remedies=[advice("follow_a_row")],
        )
    columns, still, rows = inputs.get("columns", 0), inputs.get("constant", 0), inputs.get("rows", 0)
    if columns and rows >= ROWS and still:
        share = still / columns
        whole, many = still == columns, share > COLUMNS and inputs.get("kind") == "numbers"
        yield told(
            "data.constant",
            "error" if whole else "warning" if many else "note",
            "columns_still",
            {"still": still, "columns": columns},
            confidence=0.95 if whole else 0.7 if many else 0.3,
            evidence=[number("constant_columns", share, COLUMNS, "assumption")],
            remedies=[advice("follow_a_row")],
        )
    blank = inputs.get("blank", 0.0)
    if rows >= ROWS and still < columns and blank > BLANK:
        yield told(
            "data.constant",
            "warning",
            "rows_blank",
            {"share": blank, "rows": rows},
            confidence=0.7,
            evidence=[number("blank_rows", blank, BLANK, "assumption")],
            remedies=[advice("follow_a_row")],
        )


def _ends(answers: Mapping[str, Any]) -> tuple[float, float]:
    """Of outputs that the targets were reckoned from; of those that were seen themselves rounding is none."""
    return (answers.get("output_low", 0.0), answers.get("output_high", 0.0)) if answers.get("reckoned") else (0.0, 0.0)


def _own(answers: Mapping[str, Any]) -> bool:
    """Whether the targets seen are the loss's own, whatever targets it is given."""
    varies = answers.get("root_spread", 0.0) > VARIES
    return bool(answers.get("from_graph")) and bool(answers.get("deaf") or varies)
