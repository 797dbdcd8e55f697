"""Every measure has a page that says when to use it and from where it is."""

import pytest

from tunesmith import generative
from tunesmith.cli import run
from tunesmith.generative import MEASURES
from tunesmith.records.messages import templates
from tunesmith.verbs.catalogues import catalogue, words


@pytest.mark.parametrize("name", MEASURES)
def test_a_page_says_when_to_use_it_and_from_where_it_is(name: str) -> None:
    said = words("measure", name)

    assert len(said.rows["Use"].split()) >= 4
    assert len(said.rows["Source"].split()) >= 2
    assert MEASURES[name].__name__ in generative.__all__


def test_the_command_line_explains_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "measure.fid"]) == 0

    assert "|m1 - m2|²" in capsys.readouterr().out


REMEDIES = [("remedy", name) for name in catalogue("remedy")]
REMEDIES += [("embedding_remedy", name) for name in catalogue("embedding_remedy")]


@pytest.mark.parametrize(("family", "name"), REMEDIES)
def test_a_remedy_has_a_page_and_words_in_each_language(family: str, name: str) -> None:
    said = words(family, name)

    assert len(said.rows["Use"].split()) >= 2
    assert "arXiv" in said.rows["Source"]
    assert all(f"mending.{name}" in templates(language) for language in ("en", "zh"))
    assert run(["explain", f"{family}.{name}"]) == 0
