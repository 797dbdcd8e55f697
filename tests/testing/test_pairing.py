"""The split: complete, two-sided, and made by its rule."""

from tunesmith.testing.healthy import HEALTHY
from tunesmith.testing.pairing import chosen, data_sets, fitting, part_of, rule, split
from tunesmith.testing.sabotage import MECHANISMS, SABOTAGES


def test_the_split_is_a_partition():
    for section, names in (("sabotages", set(SABOTAGES)), ("data", data_sets())):
        held, open_ = (set(split()[section][part]) for part in ("held", "open"))

        assert held & open_ == set()
        assert held | open_ == names


def test_it_is_the_one_of_the_rule():
    assert split() == rule()


def test_every_mechanism_is_on_both_sides():
    for part in ("held", "open"):
        names = split()["sabotages"][part]
        assert {SABOTAGES[name].mechanism for name in names} == set(MECHANISMS)
    assert 0.35 < len(split()["sabotages"]["held"]) / len(SABOTAGES) < 0.45


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


def test_programs_are_chosen_among_those_that_fit_other_data_first():
    programs = chosen("rate_too_high", 3)

    assert set(programs) <= set(fitting("rate_too_high"))
    assert len({HEALTHY[name].data for name in programs}) == 3
