"""data.leakage: the held part knows what it should not.

Sees      a held loss that follows the training loss down to nothing: as low as the training loss of the same and the next epoch all the
          way, where a training loss near 0 says that rows are known by heart; or a held score of exactly 1 from early on. A training loss that stands
          at the same level from its second value on has learnt nothing by heart, however high it began.
Matters   the score will not hold on rows that are new.
Remedies  compare the parts row by row; split by group or time; look for a column that holds the answer.
Limits    easy tasks with many rows look the same, and dropout or augmentation lift the training loss above the held one in sound runs:
          a note, with little confidence. `audit` on the data decides. Rows that are changed each time they are trained on are not known
          again. One column may rightly decide a target; copies among the training rows themselves explain as many among those judged.
Source    vocabulary of data.leakage: validation far better than an independent split; the generalisation gap closes only with many rows;
          one feature alone predicts almost perfectly; any overlap deserves a word. Shares: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis import live
from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.inside import batch_rows, updates_per_epoch
from tunesmith.doctor.diagnosis.telling import advice, number, told
from tunesmith.doctor.diagnosis.views import View, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

FEWEST = 5
HEART = 0.02  # of its start, at which a training loss knows its rows by heart; assumption
ALIKE = 1.1  # times the training loss; assumption
OVERLAP, MUCH = (
    0.05,
    0.5,
)  # of the rows judged; assumption: deepchecks warns above 0.1, and not all that are trained on are met
SAME_ROWS = 5
TELLS, TELLS_NUMBERS = 0.9, 0.95  # of the variance, of classes and of numbers; assumption
AHEAD = 0.2  # of what the next best column leaves open; assumption: good columns have company
ROWS = 100


@rule("data.leakage", needs=("loss",))
def data_leakage(history: History) -> Iterator[Finding]:
    yield from _rows_known(history)
    yield from _column_tells(history)
    yield from _too_good(history)


def _rows_known(history: History) -> Iterator[Finding]:
    judged, inputs = live.part(history, "judged"), live.part(history, "inputs")
    known, rows = judged.get("known", 0.0), judged.get("rows", 0)
    held = any(one.part in ("val", "test") for one in history.curves)
    both = judged.get("known_whole", 0.0) > 0 and judged.get("known_none", 0.0) > 0  # the training part is judged too
    if not held or both or known * rows < SAME_ROWS or known < max(OVERLAP, 2 * _copies(history)):
        return
    plain = inputs.get("kind") != "indices"
    yield live.told(
        "data.leakage",
        "error" if plain and known > MUCH else "warning",
        "rows_known",
        {"known": known, "rows": rows},
        confidence=0.95 if plain else 0.8,
        status="confirmed" if plain else "suspected",
        evidence=[live.number("known_rows", known, OVERLAP, "assumption")],
        remedies=[live.advice("split_first")],
    )


def _copies(history: History) -> float:
    """The share of the training rows that are copies of others, as far as it is known."""
    inputs, each, rows = live.part(history, "inputs"), updates_per_epoch(history), batch_rows(history)
    read = float(inputs.get("rows", 0))
    if each is not None and rows is not None:
        read = min(read, each * rows * float(history.facts.get("accumulate") or 1))
    return max(0.0, 1 - float(inputs.get("distinct", read)) / read) if read else 0.0


def _column_tells(history: History) -> Iterator[Finding]:
    inputs = live.part(history, "inputs")
    first, second = inputs.get("told_first", 0.0), inputs.get("told_second", 1.0)
    classes = live.part(history, "answers").get("kind") in ("classes", "flags")
    if inputs.get("kind") != "numbers" or inputs.get("columns", 0) < 3 or inputs.get("answers", 1) > 1:
        return
    if (
        inputs.get("distinct", 0) < ROWS
        or first < (TELLS if classes else TELLS_NUMBERS)
        or 1 - first > AHEAD * (1 - second)
    ):
        return
    yield live.told(
        "data.leakage",
        "warning",
        "column_tells",
        {"column": int(inputs["told_column"]), "share": first, "next": second},
        confidence=0.8 if first > 0.98 else 0.6,
        evidence=[live.number("told_by_one_column", first, TELLS if classes else TELLS_NUMBERS, "assumption")],
        remedies=[live.advice("known_in_time")],
        subject={"columns": [int(inputs["told_column"])]},
    )


def _too_good(history: History) -> Iterator[Finding]:
    seen = view(history)
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < FEWEST or not seen.readable or train.start <= 0:
        return
    height = min(train.start, float(np.max(train.level[1:])))  # the first value may be the damage of a blown start
    if train.end > HEART * height or val.end > ALIKE * train.end:
        return
    beside = np.interp(val.at, train.at, train.level)
    follows = float(np.mean(val.level < ALIKE * beside))
    if follows < 0.8:
        return
    yield told(
        "data.leakage",
        "note",
        "too_good" if not _perfect(seen) else "too_good_perfect",
        {"train": train.end, "val": val.end, "share": follows},
        confidence=0.35,
        evidence=[number("val_over_train", val.end / max(train.end, 1e-12), ALIKE, "assumption")],
        remedies=[advice("compare_parts")],
        next_probe="clean_subset",
    )


def _perfect(seen: View) -> bool:
    return any(bool((score.level[len(score) // 3 :] == 1).all()) for score in seen.scores if score.sign < 0)
