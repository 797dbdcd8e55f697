"""The manual pages."""

import json
import textwrap

import pytest

from tunesmith.cli import run
from tunesmith.records import UnknownName
from tunesmith.records.sections import PATHS
from tunesmith.verbs.catalogues import CATALOGUES, catalogue
from tunesmith.verbs.explain import contents, explain
from tunesmith.verbs.fault_pages import SOURCE, faults, vocabulary

KINDS = {"cause", "mechanism", "symptom"}


def test_the_vocabulary_is_whole() -> None:
    for name, entry in faults().items():
        assert name.count(".") == 1
        assert name == name.lower()
        assert entry["kind"] in KINDS
        assert entry["definition"]
        assert entry["evidence"]
        assert entry["kind"] == "symptom" or entry["remedy"]


def test_causes_are_faults_and_a_symptom_has_some() -> None:
    named = {cause for entry in faults().values() for cause in entry.get("causes", ())}

    assert named <= set(faults())
    assert all(entry.get("causes") for entry in faults().values() if entry["kind"] == "symptom")


def test_every_source_that_is_cited_is_listed() -> None:
    cited = {short for entry in faults().values() for short in SOURCE.findall(entry["evidence"])}

    assert cited <= set(vocabulary()["sources"])


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_fault_page_fits_the_width_and_says_everything(width: int) -> None:
    for name, entry in faults().items():
        page = explain(name, width=width)

        assert max(map(len, page.splitlines())) <= width
        assert entry["kind"] in page
        assert " ".join(entry["definition"].split()[:3]) in " ".join(page.split())


def test_every_recipe_field_has_a_page() -> None:
    assert all(explain(path).startswith(path) for path in PATHS)


@pytest.mark.parametrize("family", CATALOGUES)
def test_every_member_has_a_page_with_words(family: str) -> None:
    members = catalogue(family)

    assert len(members) > 0
    for name in members:
        page = explain(f"{family}.{name}")
        assert page.startswith(f"{family}.{name}")
        assert len(page.split()) > 4
    assert all(name in explain(family) for name in members)


def test_a_bare_name_that_one_catalogue_has_is_enough() -> None:
    assert explain("he_normal") == explain("init.he_normal")


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownName, match="loss\\.spike"):
        explain("loss.spik")
    with pytest.raises(UnknownName, match=r"'norm\.group'"):
        explain("norm.grup")
    with pytest.raises(UnknownName, match="lists what there is"):
        explain("zzzzqqqq")


def test_the_contents_name_every_fault_and_family() -> None:
    words = contents(80)

    assert all(name in words for name in [*faults(), *CATALOGUES])
    assert max(map(len, words.splitlines())) <= 80 + len("x" * 20)
    assert textwrap.dedent(words) == words


def test_the_command_prints_the_page_and_json_holds_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "optim.lr"]) == 0
    plain = capsys.readouterr().out
    assert run(["explain", "optim.lr", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)

    assert told == {"name": "optim.lr", "text": plain.rstrip("\n")}
