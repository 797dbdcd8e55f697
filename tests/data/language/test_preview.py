"""A batch back in words: every token that trains is marked, nothing else is, and no line is too wide."""

import re
from unicodedata import east_asian_width

import numpy as np
import pytest

from tunesmith.data import prepare
from tunesmith.data.language.packing import IGNORED
from tunesmith.data.language.preview import previewed, shown_first
from tunesmith.data.tokenizers import END
from tunesmith.records import DataError, Recipe, Task, revise
from tunesmith.reports.preview import BREAK, preview_file, preview_lines, text_lines

ROWS = [
    {"instruction": f"What is {n}?\nSay.", "output": f"数字 {n} is a number, " * 5 + "that is all"} for n in range(12)
]


@pytest.fixture(scope="module", params=[False, True])
def ready(request):
    recipe = revise(Recipe(), {"data.pack": request.param, "data.max_seq_len": 420})
    return prepare(Task(train=ROWS, kind="language"), recipe)


def rows_of(found):
    return previewed(found.train.inputs["tokens"], found.train.target, found.pipeline.blocks[0].codec)


def test_what_is_marked_is_what_trains(ready):
    for row, target in zip(rows_of(ready), ready.train.target, strict=True):
        labels = target[target != IGNORED].tolist()
        assert [token for token, _, trains in row.tokens if trains] == labels
        assert row.trained == len(labels)
        marked = "".join(text for text, trains in row.runs if trains)
        assert marked.count("that is all<|im_end|>") == row.ends / 2
        assert "What is" not in marked


def test_the_lines_hold_the_same_and_keep_to_the_width(ready):
    for row in rows_of(ready):
        lines = list(text_lines(row, 40))

        assert max(sum(1 + (east_asian_width(letter) in "WF") for letter in line) for line in lines) <= 40
        text = "".join(line[2:] for line in lines)
        marked = "".join(re.findall("⟦(.*?)⟧", text)).replace(BREAK, "\n")
        assert marked == "".join(part for part, trains in row.runs if trains)
        assert text.replace("⟦", "").replace("⟧", "").replace(BREAK, "\n") == "".join(part for part, _ in row.runs)


def test_the_terminal_sees_few_rows_and_the_file_all(ready):
    rows = rows_of(ready)

    told, kept = preview_lines(shown_first(rows, 2), len(rows), most=3), preview_file(rows)

    assert told[0].startswith(f"batch preview: 2 of {len(rows)} rows")
    assert sum("more lines in data/preview.txt" in line for line in told) == 2
    assert all(f"row {row.number}: {row.length} tokens, {row.trained} of them train" in kept for row in rows)
    assert kept.count("  trains ") == sum(row.trained for row in rows)


def test_padding_that_is_the_end_token_hides_no_end(ready):
    codec = ready.pipeline.blocks[0].codec
    end = END
    tokens, target = np.array([[70, 71, end, end, end]]), np.array([[71, end, IGNORED, IGNORED, IGNORED]])
    codec.padding = end
    try:
        (row,) = previewed(tokens, target, codec)
    finally:
        codec.padding = 0

    assert (row.length, row.ends) == (3, 1)


def test_targets_that_are_not_shifted_are_refused(ready):
    tokens = ready.train.inputs["tokens"]

    with pytest.raises(DataError, match="expected targets that are the inputs shifted by one"):
        previewed(tokens, tokens.astype(np.int64), ready.pipeline.blocks[0].codec)
