"""Requests to stop: left, seen once, and gone."""

from pathlib import Path

import pytest

from tunesmith.records import RunError
from tunesmith.runs.stopping import FILE, HOWS, ask_to_stop, asked_to_stop, forget_request, requests


@pytest.mark.parametrize("how", HOWS)
def test_a_request_is_seen_once_and_taken_away(tmp_path: Path, how: str) -> None:
    look = requests(tmp_path)
    before = look()
    ask_to_stop(tmp_path, how)

    seen = [look(), look()]

    assert before is None
    assert seen == [how, None]
    assert list(tmp_path.iterdir()) == []


def test_a_request_from_before_the_start_is_not_obeyed(tmp_path: Path) -> None:
    ask_to_stop(tmp_path, "stop")

    look = requests(tmp_path)

    assert look() is None
    assert not (tmp_path / FILE).exists()


def test_words_of_others_are_taken_for_the_careful_one(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff")
    unreadable = asked_to_stop(tmp_path)
    (tmp_path / FILE).write_text("now!")

    assert unreadable is None
    assert asked_to_stop(tmp_path) == "save"
    forget_request(tmp_path)
    assert asked_to_stop(tmp_path) is None


def test_a_word_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no way to stop called 'sav'; did you mean 'save'"):
        ask_to_stop(tmp_path, "sav")

    assert list(tmp_path.iterdir()) == []
