"""data.label_out_of_range: an index outside its table, or a target of a binary cross entropy outside 0 … 1.

Sees      in a watched run that crashed: the labels of the last batch against the outputs, the whole numbers among its inputs against the rows
          of the embeddings, and what the exception says; in one that goes on: targets outside 0 … 1 under a binary cross entropy.
Matters   on a processor an index error, on a GPU an assertion that ends the whole process; a binary cross entropy has no lower end then.
Remedies  map the labels to 0 … C-1, widen the table or the output, name the mark of labels that do not count (ignore_index).
Limits    after an assertion on a device nothing can be read any more: the exception's words are all there is.
Source    vocabulary of data.label_out_of_range.
"""

import re
from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

BITS = ("BCEWithLogitsLoss", "BCELoss")
TARGET = re.compile(r"[Tt]arget (-?\d+) is out of bounds|Assertion.*t >= 0 && t < n_classes")
TABLE = re.compile(r"index out of range in self|vectorized_gather_kernel|indexSelect|srcIndex < srcSelectDimSize")
SHARE = re.compile(r"elements of (target|input) should be between 0 and 1")


@rule("data.label_out_of_range", needs=())
def data_label_out_of_range(history: History) -> Iterator[Finding]:
    crash, answers = part(history, "crash"), part(history, "answers")
    said = str(crash.get("message", ""))
    if "indices" in crash and (crash["indices"][0] < 0 or crash["indices"][1] >= max(crash["tables"])):
        low, high = crash["indices"]
        values = {"low": low, "high": high, "size": max(crash["tables"])}
        yield _found("index_beyond_table", values, high if high >= max(crash["tables"]) else low, values["size"] - 1)
    elif "labels" in crash and (crash["labels"][0] < 0 or crash["labels"][1] >= crash["width"]):
        low, high = crash["labels"]
        yield _found(
            "label_beyond",
            {"low": low, "high": high, "last": crash["width"] - 1},
            high if high >= crash["width"] else low,
            crash["width"] - 1,
        )
    elif found := TARGET.search(said):
        yield _found("label_refused", {"label": found.group(1) or "?"}, float(found.group(1) or "nan"), None)
    elif TABLE.search(said):
        yield _found("index_refused", {"message": said[:80]}, float("nan"), None)
    if answers.get("kind") == "numbers" and (
        answers.get("loss") in BITS or answers.get("form") in ("bce", "bce_with_logits")
    ):
        low, high = answers["target_low"], answers["target_high"]
        if low < 0 or high > 1:
            yield _found(
                "target_outside", {"low": low, "high": high}, low if low < 0 else high, 0.0 if low < 0 else 1.0
            )


def _found(message: str, values: dict[str, object], value: float, bound: float | None) -> Finding:
    return told(
        "data.label_out_of_range",
        "error",
        message,
        values,
        confidence=0.95,
        status="confirmed",
        evidence=[number("index", value, bound, "size of the table")] if value == value else [],
        remedies=[advice("map_labels")],
    )
