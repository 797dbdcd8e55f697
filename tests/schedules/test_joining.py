import numpy as np
import pytest

from tunesmith.blocks.schedules import SCHEDULES, WARMUPS, join, multiplied, rates, warmup_of
from tunesmith.records import RecipeError, UnknownName


def ramp(steps, start=0.0):
    return WARMUPS["linear"](steps, start=start)


def test_a_join_counts_the_second_part_from_zero():
    joined = join(lambda step: 100 + step, lambda step: step, 3)

    assert [joined(step) for step in range(6)] == [100, 101, 102, 0, 1, 2]
    assert rates(joined, 6).tolist() == [100, 101, 102, 0, 1, 2]
    assert type(joined(0)) is float


def test_the_forms_differ_in_the_warm_up_and_after_it():
    decay = SCHEDULES["linear"](10)
    forms = {how: rates(join(ramp(4, 0.2), decay, 4, how), 6) for how in ("after", "over", "product", "composite")}

    rise = 0.2 + 0.8 * np.arange(4) / 4
    np.testing.assert_allclose(forms["after"], [*rise, 1.0, 0.9])
    np.testing.assert_allclose(forms["over"], [*rise, 0.6, 0.5])
    np.testing.assert_allclose(forms["product"], [*rise * (1 - np.arange(4) / 10), 0.6, 0.5])
    np.testing.assert_allclose(forms["composite"], [0.2, 0.3, 0.4, 0.5, 0.6, 0.5])


def test_a_composite_of_another_warm_up_goes_its_way():
    decay = SCHEDULES["linear"](10)

    square = rates(join(WARMUPS["poly"](4, start=0.2), decay, 4, "composite"), 5)
    flat = rates(join(WARMUPS["constant"](4, start=0.2), decay, 4, "composite"), 5)
    full = rates(join(ramp(4, 1.0), decay, 4, "composite"), 5)

    np.testing.assert_allclose(square, [0.2 + 0.4 * (t / 4) ** 2 for t in range(4)] + [0.6])
    np.testing.assert_allclose(flat, [0.2, 0.2, 0.2, 0.2, 0.6])  # detectron2's "constant" method
    np.testing.assert_allclose(full, [1 - 0.1 * t for t in range(5)])


def test_a_warm_up_is_not_compounded():
    """Guides that overwrite the factor in their loop reach 0.9946 at step 100."""
    warmup = ramp(1000, 0.001)

    assert warmup(100) == pytest.approx(0.1009, rel=1e-12)


def test_strangers_functions_join_too():
    joined = join(lambda step: 0.5, lambda step: 1 / (1 + step), 2)

    assert rates(joined, np.array([[0, 1], [2, 3]])).tolist() == [[0.5, 0.5], [1.0, 0.5]]


def test_a_join_of_joins():
    twice = join(ramp(2), join(ramp(2), SCHEDULES["step"](10, every=2), 2), 2)

    assert rates(twice, 8).tolist() == pytest.approx([0, 0.5, 0, 0.5, 1, 1, 0.1, 0.1])


def test_a_product_multiplies():
    both = multiplied(SCHEDULES["linear"](10), lambda step: 0.5, SCHEDULES["step"](10, every=5))

    assert rates(both, [0, 4, 5]).tolist() == pytest.approx([0.5, 0.3, 0.025])
    assert warmup_of(multiplied(join(ramp(3), both, 3), both)) == 3


@pytest.mark.parametrize(
    ("how", "at", "words"), [("before", 3, "how = 'before', expected one of after"), ("after", -1, "at = -1")]
)
def test_a_join_that_cannot_be_gets_a_sentence(how, at, words):
    with pytest.raises(RecipeError, match=words):
        join(ramp(3), SCHEDULES["cosine"](10), at, how)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("linear", {"start": 1.5}, "start = 1.5: a number of 0 or more and at most 1"),
        ("linear", {"start": "fast"}, "start = 'fast'"),
        ("poly", {"power": 0}, "power = 0"),
        ("multi_step", {"levels": [0.1, 0.5], "milestones": [3, 5]}, "levels = .*: 4 numbers were expected"),
        ("multi_step", {"levels": [0.1, 0.5], "milestones": [20]}, "the warm-up ends at update 10"),
        ("multi_step", {"levels": [0.1], "start": 0.2}, "leave start out"),
        ("until", {"below": "low"}, "until got the mark 'low'"),
    ],
)
def test_warm_ups_that_cannot_be_get_a_sentence(name, settings, words):
    with pytest.raises(RecipeError, match=words):
        WARMUPS[name](10, **settings)


def test_stairs_up():
    assert rates(WARMUPS["multi_step"](8), 9).tolist() == [0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1, 1]
    assert rates(WARMUPS["multi_step"](4, start=0.5, stairs=2), 5).tolist() == [0.5, 0.5, 0.75, 0.75, 1]
    assert rates(WARMUPS["multi_step"](10, levels=[0.1, 0.5], milestones=[0.3]), [2, 3, 9, 10]).tolist() == [
        0.1,
        0.5,
        0.5,
        1.0,
    ]


def test_an_unknown_warm_up_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'linear'"):
        WARMUPS["liner"]
