"""data.outliers: a few rows are far larger than all others.

Sees      in a watched run: rows whose length is more than 20 robust deviations above the median, and ten times it, a few per cent of all; or
          numbers as targets beyond 20 of their robust deviations; or most columns of a table with values that far from their median, and a
          loss that is poor: amounts whose logarithm matters.
Matters   they dominate the loss and the gradient of their batches, and everything that is scaled by a mean or a maximum.
Remedies  look at these rows; clip or winsorise them, a robust loss, gradient clipping.
Limits    heavy tails are usual in counts and amounts: a tail of many rows is not told, only a few far from the rest. Rows that a norm layer
          scales first do no harm: a note there.
Source    vocabulary of data.outliers: robust z-score above 20; share and ratio: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, norm_first, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

FAR = 20.0  # robust deviations: vocabulary of data.outliers
TIMES = 10.0  # the median length; assumption
MOST = 0.1  # share of the rows: more is a tail, or two scales; assumption
ROWS = 100
TABLE = 3  # columns


@rule("data.outliers", needs=("loss",))
def data_outliers(history: History) -> Iterator[Finding]:
    inputs, answers = part(history, "inputs"), part(history, "answers")
    away, wild, times = (inputs.get(name, 0.0) for name in ("row_outlier", "row_wild", "row_length_ratio"))
    if inputs.get("rows", 0) >= ROWS and away > FAR and times > TIMES and 0 < wild <= MOST:
        yield told(
            "data.outliers",
            "note" if norm_first(history) else "warning",
            "wild_rows",
            {"share": wild, "away": away, "times": times},
            confidence=0.8,
            evidence=[
                number("row_distance", away, FAR, "vocabulary of data.outliers"),
                number("row_length_ratio", times, TIMES, "assumption"),
            ],
            remedies=[advice("look_at_rows")],
        )
    tail, columns = inputs.get("tail", 0.0), inputs.get("columns", 0)
    ran = progress(history)
    if (
        inputs.get("kind") == "numbers"
        and columns >= TABLE
        and tail > FAR
        and inputs.get("rows", 0) >= ROWS
        and ran is not None
        and ran.poor
    ):
        yield told(
            "data.outliers",
            "note" if norm_first(history) else "warning",
            "long_tails",
            {"tail": tail, "columns": columns, "end": ran.end},
            confidence=0.6,
            evidence=[number("farthest_in_the_median_column", tail, FAR, "vocabulary of data.outliers")],
            remedies=[advice("take_logarithms")],
        )
    away, wild = answers.get("target_outlier", 0.0), answers.get("target_wild", 0.0)
    if away > FAR and 0 < wild <= MOST:
        yield told(
            "data.outliers",
            "warning",
            "wild_targets",
            {"share": wild, "away": away},
            confidence=0.7,
            evidence=[number("target_distance", away, FAR, "vocabulary of data.outliers")],
            remedies=[advice("look_at_rows")],
        )
