"""Little learnt."""

from tests.diagnosis.curves import falling, found, history, loud


def test_nearly_nothing_of_a_known_chance_is_a_warning():
    assert loud("fit.underfit", history(train=falling(20, 2.3, 2.15), facts={"classes": 10}))


def test_a_start_at_the_logarithm_of_a_round_number_is_a_note():
    assert [one.severity for one in found("fit.underfit", history(train=falling(20, 2.3026, 1.95, noise=0.001)))] == [
        "note"
    ]


def test_what_learnt_is_quiet():
    assert not found("fit.underfit", history(train=falling(20), facts={"classes": 10}))


def test_a_held_part_far_off_is_another_matter():
    run = history(train=falling(20, 2.3, 1.9), val=falling(20, 2.6, 2.5), facts={"classes": 10})

    assert not found("fit.underfit", run)
