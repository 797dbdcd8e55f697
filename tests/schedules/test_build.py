import numpy as np
import pytest

from tunesmith.blocks.schedules import build, join, linear_warmup, rates, updates
from tunesmith.records import Recipe, RecipeError, UnknownName, revise


def section(**changes):
    return revise(Recipe(), {f"schedule.{name}": value for name, value in changes.items()}).schedule


def test_a_join_counts_the_second_part_from_zero():
    joined = join(lambda step: 100 + step, lambda step: step, 3)

    assert [joined(step) for step in range(6)] == [100, 101, 102, 0, 1, 2]


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
