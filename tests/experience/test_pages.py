"""What `tunesmith explain` says of the rules of thumb."""

from pathlib import Path

import pytest

from tunesmith.blocks.experience import RULES, rule_page, using
from tunesmith.records import UnknownName
from tunesmith.records.sections import PATHS
from tunesmith.verbs.explain import contents, explain


@pytest.mark.parametrize("width", [60, 100])
def test_a_page_fits_the_width_and_says_everything(width: int) -> None:
    for id, rule in RULES.items():
        page = rule_page(id, width)

        words = " ".join(page.split())
        assert max(map(len, page.splitlines())) <= width, id
        assert page.startswith(f"experience.{id} ")
        for said in (rule.about, rule.guides, rule.advice, rule.because, rule.source, rule.condition):
            assert " ".join(said.split()) in words, (id, said)
        assert all(f"[{mark}]" in words for mark in rule.marks)


def test_an_id_is_enough_where_no_setting_has_the_name() -> None:
    assert explain("lr.adam") == explain("experience.lr.adam")
    assert explain("conv") == explain("experience.conv")
    for name, path in (("depth", "model.depth"), ("width", "model.width"), ("pin_memory", "data.pin_memory")):
        assert path in explain(name)
        assert (
            name in explain(name).partition("Rules of thumb")[2].split()
        )  # the rule stands on the page of the setting
        assert explain(f"experience.{name}").startswith(f"experience.{name} ")


def test_the_page_of_a_setting_names_start_range_standing_and_source() -> None:
    words = " ".join(explain("optim.lr").split())

    assert "lr.sgd · part · start 0.02, range 0.001 to 1 (log) for optimizer sgd; 3 more" in words
    assert "lr.adam · sound · start 0.0003, range 1e-05 to 0.01 (log)" in words
    assert "Karpathy" in words
    assert "see also lr.large_good" in words
    assert "Rules of thumb" in explain("lr")
    assert "Rules of thumb" not in explain("run.keep")
    assert all(explain(path) for path in PATHS)


def test_the_overview_lists_all_and_what_contradicts_itself() -> None:
    page = explain("experience", width=80)

    assert all(f" {id} " in page for id in RULES)
    assert max(map(len, page.splitlines())) <= 80
    assert "Advice that contradicts itself" in page
    assert "at equal epochs small ones win" in " ".join(page.split())
    assert "tunesmith explain experience" in contents(80)


def test_an_unknown_rule_gives_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'lr\.adam'"):
        explain("experience.lr.adm")
    with pytest.raises(UnknownName, match=r"lr\.adam"):
        explain("lr.adm")


def test_what_a_user_has_changed_is_marked(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[rule."lr.adam"]\nadvice = "5e-4 on my data."\n', encoding="utf-8")

    with using(file):
        page, setting = " ".join(explain("lr.adam").split()), " ".join(explain("optim.lr").split())

    assert "5e-4 on my data." in page
    assert f"advice: from your file {file}" in page
    assert f"(from your file {file})" in setting
    assert "from your file" not in explain("lr.adam")
