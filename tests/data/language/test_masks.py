"""Masks that cannot be meant are refused: an ending that never trains, prompts that do, ends that padding hides."""

from dataclasses import replace

import numpy as np
import pytest

from tunesmith.data.language.masks import counted, refuse
from tunesmith.data.language.packing import IGNORED, laid_out
from tunesmith.data.spec import Part
from tunesmith.records import DataError

from .test_lengths_packing import END, chat


def part(*coded, padding=0, rows=None):
    places = rows or [[place] for place in range(len(coded))]
    arrays = laid_out(coded, places, padding=padding, length=max(sum(len(coded[i]) for i in row) for row in places) + 2)
    names = ("tokens", "segments", "positions") if rows else ("tokens",)
    beside = {name: arrays[name] for name in ("lengths", "roles")}
    inputs = {name: arrays[name] for name in names}
    return Part(inputs, arrays["target"], None, np.arange(len(places)), None, beside)


def with_target(one, change):
    target = one.target.copy()
    change(target, one.inputs["tokens"])
    return replace(one, target=target)


def silent(target, tokens):
    """The end token is cut out of every label."""
    target[target == END] = IGNORED


def all_ones(target, tokens):
    """What careless collators do: every token that is followed by one trains."""
    target[:, :3] = tokens[:, 1:4]


@pytest.mark.parametrize("rows", [None, [[0, 1], [2]]])
def test_a_sound_mask_passes_and_is_counted(rows):
    good = part(chat(2, 3), chat(3, 2), chat(2, 4), rows=rows)

    found = refuse(good, {END}, 0, ["assistant"])

    assert (found.labels, found.ends, found.hidden) == (9, 3, 0)
    assert found.by_role == {"user": (0, 4), "assistant": (9, 9)}


def test_no_ending_that_trains_is_refused():
    bad = with_target(part(chat(2, 3), chat(3, 2)), silent)

    with pytest.raises(DataError, match="no sample trains its end token"):
        refuse(bad, {END}, 0, ["assistant"])

    assert counted(bad, {END}).hidden == 2
    assert refuse(bad, {END}, 0, ["assistant"], wants_end=False).ends == 0


def test_ends_hidden_as_padding_are_told_from_ends_that_are_absent():
    bad = with_target(part(chat(2, 3), chat(3, 2), padding=END), silent)

    with pytest.raises(DataError, match=r"the pad token \(2\) is the end token, and all 2 end tokens"):
        refuse(bad, {END}, END, ["assistant"])

    assert refuse(part(chat(2, 3), padding=END), {END}, END, ["assistant"]).ends == 1


def test_prompts_that_train_by_mistake_are_refused():
    bad = with_target(part(chat(4, 3), chat(4, 2)), all_ones)

    with pytest.raises(
        DataError, match=r"6 of 6 tokens of the role user train, and data.train_roles = \['assistant'\]"
    ):
        refuse(bad, {END}, 0, ["assistant"])

    assert refuse(bad, {END}, 0, ["assistant", "user"]).by_role["user"] == (6, 6)


def test_nothing_that_trains_is_refused():
    bad = with_target(part(chat(2, 3)), lambda target, tokens: target.fill(IGNORED))

    with pytest.raises(DataError, match="no token trains"):
        refuse(bad, {END}, 0, ["assistant"])
