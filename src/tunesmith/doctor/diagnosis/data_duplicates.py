"""data.duplicates: most rows of an epoch are copies of others.

Sees      in a watched run: how many different rows the first epoch held, of those that were read.
Matters   the net sees few rows many times; held rows that are copies of training rows judge nothing.
Remedies  drop copies before the parts are split; seed workers differently, so that they do not read the same rows.
Limits    drawing with replacement repeats a third of the rows on purpose: told from six in ten on. Short texts and tables of few whole
          numbers repeat themselves: a note there. Rows that are made anew each time are never the same.
Source    vocabulary of data.duplicates; the share: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

COPIES = 0.6  # share of the rows of an epoch; drawing with replacement gives 0.37
ROWS = 200


@rule("data.duplicates", needs=("loss",))
def data_duplicates(history: History) -> Iterator[Finding]:
    inputs, each = part(history, "inputs"), history.facts.get("steps_per_epoch")
    rows = float(each or 0) * float(history.facts.get("batch_size") or 0) * float(history.facts.get("accumulate") or 1)
    read = min(float(inputs.get("first_rows", 0.0)), rows)
    if read < ROWS or read < 0.9 * rows or "distinct" not in inputs:
        return
    copies = 1 - inputs["distinct"] / read
    if copies < COPIES:
        return
    yield told(
        "data.duplicates",
        "note" if inputs.get("kind") == "indices" else "warning",
        "rows_repeated",
        {"copies": copies, "distinct": inputs["distinct"], "rows": int(read)},
        confidence=0.8,
        evidence=[number("copies", copies, COPIES, "drawing with replacement gives 0.37")],
        remedies=[advice("drop_copies")],
    )
