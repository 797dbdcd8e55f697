"""Every measure has a page that says when to use it and from where it is."""

import pytest

from tunesmith import generative
from tunesmith.cli import run
from tunesmith.generative import MEASURES
from tunesmith.verbs.catalogues import words


@pytest.mark.parametrize("name", MEASURES)
def test_a_page_says_when_to_use_it_and_from_where_it_is(name: str) -> None:
    said = words("measure", name)

    assert len(said.rows["Use"].split()) >= 4
    assert len(said.rows["Source"].split()) >= 2
    assert MEASURES[name].__name__ in generative.__all__


def test_the_command_line_explains_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "measure.fid"]) == 0

    assert "|m1 - m2|²" in capsys.readouterr().out
