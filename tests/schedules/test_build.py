import numpy as np
import pytest

from tunesmith.blocks.schedules import (
    SCHEDULES,
    WARMUPS,
    Judged,
    build,
    join,
    linear_warmup,
    momentum_of,
    rates,
    updates,
)
from tunesmith.records import Recipe, RecipeError, UnknownName, revise


def section(**changes):
    return revise(Recipe(), {f"schedule.{name}": value for name, value in changes.items()}).schedule


def test_warm_up_and_decay_share_the_run():
    curve = rates(build(section(), 110, 10), 111)

    np.testing.assert_allclose(curve[:11], [*np.arange(1, 11) / 10, 1.0], rtol=1e-15)
    np.testing.assert_allclose(curve[60], 0.5, rtol=1e-12)
    assert curve[109] > 0
    assert curve[110] == pytest.approx(0, abs=1e-15)


def test_the_floor_holds_for_every_curve_but_not_for_the_warm_up():
    stairs = rates(build(section(name="step", floor=0.05), 30, 3), 40)
    wave = rates(build(section(name="cosine", floor=0.2), 30), 40)

    assert stairs[0] == pytest.approx(1 / 3)
    assert stairs[3:].min() == 0.05
    assert wave.min() == pytest.approx(0.2, rel=1e-15)


def test_shares_and_updates_name_the_same_marks():
    by_share = build(section(name="multi_step", extra={"milestones": [0.25, 0.5]}), 80)
    by_update = build(section(name="multi_step", extra={"milestones": [20, 40]}), 80)

    assert rates(by_share, 100).tolist() == rates(by_update, 100).tolist()
    assert by_share(19) == 1.0
    assert by_share(20) == pytest.approx(0.1)


def test_a_warm_up_longer_than_the_run_still_gives_a_rate():
    curve = rates(build(section(name="linear"), 5, 10), 20)

    assert curve[4] == 0.5
    assert curve.min() >= 0


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "half"])
def test_a_span_is_a_share_or_whole_updates(value):
    with pytest.raises(RecipeError, match="a share of the run between 0 and 1, or a whole number"):
        updates(value, 100, "decay")


@pytest.mark.parametrize(
    ("name", "extra", "words"),
    [
        ("cosine", {"flor": 0.1}, "cosine takes no 'flor'"),
        ("step", {"gama": 0.1}, "did you mean 'gamma'"),
        ("step", {"gamma": 2.0}, r"gamma = 2\.0"),
        ("wsd", {"shape": "sine"}, "shape = 'sine', expected one of linear"),
        ("one_cycle", {"shape": "sine"}, "shape = 'sine'"),
        ("polynomial", {"power": 0}, "power = 0"),
        ("constant", {"steps": 3}, "takes no 'steps'"),
        ("cosine", {"floor": 0.1}, "takes no 'floor'"),
    ],
)
def test_settings_that_cannot_be_get_a_sentence(name, extra, words):
    with pytest.raises(RecipeError, match=words):
        build(section(name=name, extra=extra), 100)


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'cosine'"):
        build(section(name="cosin"), 100)


def test_no_warm_up_is_full_rate_at_once():
    assert rates(linear_warmup(0), 3).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("kind", WARMUPS)
@pytest.mark.parametrize("how", ["after", "over", "product", "composite"])
@pytest.mark.parametrize("start", ["auto", 0.2])
def test_a_recipe_takes_any_warm_up_in_any_way(kind, how, start):
    chosen = section(name="linear", warmup_kind=kind, warmup_join=how, warmup_start=start)

    built = rates(build(chosen, 100, 20), 110)

    steps = 80 if how == "after" else 100
    by_hand = join(WARMUPS[kind](20, start=start), SCHEDULES["linear"](steps), 20, how)
    assert built.tolist() == rates(by_hand, 110).tolist()
    assert built[99] == pytest.approx(1 / steps)


def test_settings_of_the_warm_up_reach_it():
    chosen = section(warmup_kind="poly", warmup_start=0.0, warmup_extra={"power": 3.0})
    stairs = section(warmup_kind="multi_step", warmup_extra={"levels": [0.1, 0.5], "milestones": ["1ep"]})

    assert build(chosen, 100, 10)(5) == pytest.approx(0.125)
    assert rates(build(stairs, 100, 10, per_epoch=4), [3, 4]).tolist() == [0.1, 0.5]


def test_until_waits_for_the_error_and_then_decays():
    chosen = section(name="multi_step", warmup_kind="until", warmup_start=0.2, extra={"milestones": [30]})
    schedule = build(chosen, 200, 100)
    errors = [Judged(20, 0.9, name="train_error"), Judged(40, 0.7, name="train_error")]

    assert schedule.watches == "train_error"
    assert [schedule(step, errors) for step in (39, 40, 69, 70)] == pytest.approx([0.2, 1.0, 1.0, 0.1])


def test_the_momentum_of_a_recipe_waits_for_the_warm_up():
    momentum = momentum_of(build(section(name="one_cycle", extra={"rise": 30, "base_momentum": 0.8}), 110, 10))

    assert rates(momentum, [0, 10, 39]).tolist() == pytest.approx([0.95, 0.95, 0.8])


def test_noam_takes_the_warm_up_of_the_recipe_for_its_own():
    built = rates(build(section(name="noam", floor=0.4), 1000, 100), 1100)

    assert built.argmax() == 99
    assert built[0] == pytest.approx(0.01)  # the floor is not for the way up
    assert built[100:].min() == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("changes", "warmup", "words"),
    [
        ({"name": "noam", "warmup_kind": "cosine"}, 10, "the warm-up of noam is part of its formula"),
        ({"name": "noam", "warmup_start": 0.5}, 10, r"schedule.warmup_start = 0\.5"),
        ({"warmup_kind": "until"}, 0, "say how long the warm-up may last"),
        (
            {"warmup_kind": "poly", "warmup_extra": {"powr": 2}},
            10,
            "schedule.warmup_extra: poly takes no 'powr'.*'power'",
        ),
        ({"warmup_kind": "poly", "warmup_extra": {"start": 0.1}}, 10, "takes no 'start'"),
    ],
)
def test_warm_ups_that_cannot_be_get_a_sentence(changes, warmup, words):
    with pytest.raises(RecipeError, match=words):
        build(section(**changes), 100, warmup)


@pytest.mark.parametrize("warmup", [0, 10])
def test_an_unknown_warm_up_is_told_whether_it_is_used_or_not(warmup):
    with pytest.raises(UnknownName, match="did you mean 'linear'"):
        build(section(warmup_kind="liner"), 100, warmup)
