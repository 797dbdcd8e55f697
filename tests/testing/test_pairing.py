"""The split: complete, two-sided, and made by its rule."""

from tunesmith.testing.healthy import HEALTHY
from tunesmith.testing.pairing import chosen, data_sets, fitting, part_of, rule, split
from tunesmith.testing.programs import FAILING
from tunesmith.testing.sabotage import MECHANISMS, SABOTAGES


def test_the_split_is_a_partition():
    suites = {
        suite: {name for name, each in SABOTAGES.items() if each.suite == suite} for suite in ("preflight", "diagnosis")
    }
    known = {
        "sabotages": suites["preflight"],
        "diagnosis": suites["diagnosis"],
        "data": data_sets(),
        "failing": set(FAILING),
    }
    for section, names in known.items():
        held, open_ = (set(split()[section][part]) for part in ("held", "open"))

        assert held & open_ == set()
        assert held | open_ == names


def test_it_is_the_one_of_the_rule():
    assert split() == rule()


def test_every_mechanism_is_on_both_sides():
    for part in ("held", "open"):
        names = split()["sabotages"][part]
        assert {SABOTAGES[name].mechanism for name in names} == set(MECHANISMS)
    shares = {name: len(parts["held"]) / (len(parts["held"]) + len(parts["open"])) for name, parts in split().items()}
    assert 0.35 < shares["sabotages"] < 0.45
    assert 0.25 < shares["diagnosis"] < 0.4
    assert 0.3 < shares["failing"] < 0.4


def test_a_fault_is_held_by_its_sabotage_or_its_data():
    held, open_ = split()["sabotages"]["held"][0], split()["sabotages"]["open"][0]
    away = next(name for name in HEALTHY if HEALTHY[name].data in split()["data"]["held"])
    seen = next(name for name in HEALTHY if HEALTHY[name].data in split()["data"]["open"])

    assert [part_of(seen, open_), part_of(seen, held), part_of(away, open_), part_of(away), part_of(seen)] == [
        "open",
        "held",
        "held",
        "held",
        "open",
    ]


def test_a_failing_program_is_held_by_itself_or_its_data():
    kept = split()["failing"]["held"]

    parts = {name: part_of(name) for name in FAILING}

    assert all(parts[name] == "held" for name in kept)
    away = [name for name in FAILING if name not in kept]
    assert {parts[name] for name in away} == {"open", "held"}
    assert all((parts[name] == "held") == (FAILING[name].data in split()["data"]["held"]) for name in away)


def test_programs_are_chosen_among_those_that_fit_other_data_first():
    programs = chosen("rate_too_high", 3)

    assert set(programs) <= set(fitting("rate_too_high"))
    assert len({HEALTHY[name].data for name in programs}) == 3
