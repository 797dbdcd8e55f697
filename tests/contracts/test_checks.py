"""What every audit, every check and every rule keeps."""

from pathlib import Path

import pytest

from tunesmith.doctor.audits import AUDITS
from tunesmith.doctor.diagnosis import RULES
from tunesmith.doctor.preflight import CHECKS
from tunesmith.runs.quantities import QUANTITIES
from tunesmith.verbs.check_pages import COSTS, HEADINGS, pages
from tunesmith.verbs.explain import explain
from tunesmith.verbs.fault_pages import faults

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = {"audit": (AUDITS, "audits"), "check": (CHECKS, "preflight"), "rule": (RULES, "diagnosis")}
MEMBERS = [(family, name) for family, (catalogue, _) in FAMILIES.items() for name in catalogue]


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_the_page_says_what_is_seen_why_what_to_do_how_far_and_from_where(family, name):
    page = pages(family)[name]

    for width in (80, 120):
        lines = explain(f"{family}.{name}", width=width).splitlines()
        assert lines[0].startswith(f"{family}.{name}")
        assert max(map(len, lines)) <= width
    assert len(page.title.split()) >= 3
    for heading in HEADINGS:
        assert len(page.rows.get(heading, "").split()) >= 3, heading


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_what_the_file_says_is_what_the_catalogue_holds(family, name):
    member, page = FAMILIES[family][0][name], pages(family)[name]

    if family == "rule":
        assert member.fault == name
        assert page.needs == member.needs
        assert set(member.needs) <= set(QUANTITIES)
    else:
        assert page.faults == member.faults
        assert page.cost in COSTS
    assert Path(member.look.__code__.co_filename).stem == name.replace(".", "_")
    assert set(page.faults) <= set(faults())
    assert f"{family}.{name}" in explain(page.faults[0], width=200).replace("\n", " ")


@pytest.mark.parametrize("family", FAMILIES)
def test_no_page_stands_without_its_member(family):
    assert list(pages(family)) == list(FAMILIES[family][0])


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_every_member_is_under_test(family, name):
    written = [file.read_text() for file in (ROOT / "tests" / FAMILIES[family][1]).glob("test_*.py")]

    assert any(name in text for text in written)
