"""What every experiment keeps."""

from pathlib import Path

import pytest

from tunesmith.doctor.causes import EXPERIMENTS
from tunesmith.records.messages import templates
from tunesmith.verbs.check_pages import HEADINGS, pages
from tunesmith.verbs.explain import explain
from tunesmith.verbs.fault_pages import faults


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_a_page_and_words_in_both_languages(name):
    member, page = EXPERIMENTS[name], pages("experiment")[name]

    assert Path(member.propose.__code__.co_filename).stem == name
    assert page.faults == member.faults
    assert set(page.faults) <= set(faults())
    for heading in HEADINGS:
        assert len(page.rows.get(heading, "").split()) >= 3, heading
    assert explain(f"experiment.{name}", width=80).startswith(f"experiment.{name}")
    assert f"experiment.{name}" in explain(member.faults[0], width=200).replace("\n", " ")
    told = [f"causes.{fault.replace('.', '_')}" for fault in member.faults]
    for language in ("en", "zh"):
        for message in (*told, member.remedy, f"probe.{name}", f"word.change_{name}"):
            assert message in templates(language), (language, message)


def test_no_page_stands_without_its_experiment():
    assert list(pages("experiment")) == list(EXPERIMENTS)
