import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.blocks.schedules import SCHEDULES, build, rates, updates
from tunesmith.blocks.schedules.units import decay_factor, heights, level, marks_of, resolved
from tunesmith.records import Recipe, RecipeError, revise


def section(**changes):
    return revise(Recipe(), {f"schedule.{name}": value for name, value in changes.items()}).schedule


@given(st.integers(1, 10**6), st.integers(1, 999))
def test_a_share_and_an_amount_of_the_run_are_one_update_apart_at_most(steps, thousandths):
    share, amount = updates(thousandths / 1000, steps, "mark"), updates(f"{thousandths / 1000}dur", steps, "mark")

    assert abs(share - amount) <= 1
    assert 1 <= amount <= steps
    assert amount == math.ceil(thousandths * steps / 1000) or abs(amount - thousandths * steps / 1000) < 1


def test_amounts_in_all_their_units():
    assert updates("500", 1000, "mark") == updates("500updates", 1000, "mark") == updates(500, 1000, "mark") == 500
    assert resolved(["2ep", "1.5ep", "640samples"], 1000, "marks", per_epoch=7, effective_batch=64) == [14, 11, 10]
    assert resolved({"a": ["1ep"], "b": "linear"}, 9, "x", per_epoch=3, effective_batch=1) == {"a": [3], "b": "linear"}


@pytest.mark.parametrize(("amount", "words"), [("2ep", "updates an epoch has"), ("100samples", "rows a batch has")])
def test_epochs_and_samples_need_the_data(amount, words):
    with pytest.raises(RecipeError, match=f"decay = '{amount}': how many {words} is not known here"):
        SCHEDULES["wsd"](100, decay=amount)
    with pytest.raises(RecipeError, match=f"schedule.extra.decay = '{amount}': how many {words}"):
        build(section(name="wsd", extra={"decay": amount}), 100)
    with pytest.raises(RecipeError, match=f"schedule.warmup_extra.milestones = '{amount}'"):
        build(section(warmup_kind="multi_step", warmup_extra={"milestones": [amount], "levels": [0.1, 0.5]}), 100, 50)


@pytest.mark.parametrize("amount", ["0dur", "0updates", "1.5dur"])
def test_amounts_that_cannot_be(amount):
    with pytest.raises(RecipeError, match=r"decay(:| = )"):
        updates(amount, 100, "decay")


@pytest.mark.parametrize(
    ("name", "extra", "same"),
    [
        ("multi_step", {"milestones": ["2ep", "40updates"]}, {"milestones": [20, 40]}),
        ("step", {"every": "320samples"}, {"every": 10}),
        ("piecewise", {"boundaries": ["0.2dur"], "values": [1, 0.5]}, {"boundaries": [20], "values": [1, 0.5]}),
        ("manual_stepping", {"boundaries": ["1ep"], "rates": [1, 0.5]}, {"boundaries": [10], "rates": [1, 0.5]}),
        ("exponential", {"every": "1ep", "gamma": 0.5}, {"every": 10, "gamma": 0.5}),
        ("natural_exponential", {"every": "1ep", "rate": 1.0}, {"every": 0.1, "rate": 1.0}),
        ("inverse_time", {"every": "1ep"}, {"every": 0.1}),
        ("inverse_sqrt", {"timescale": "1ep"}, {"timescale": 10}),
        ("noam", {"warmup": "3ep"}, {"warmup": 0.3}),
        ("wsd", {"decay": "2ep"}, {"decay": 0.2}),
        ("wsd_minicpm", {"stable_end": "5ep", "half_life": "96samples"}, {"stable_end": 0.5, "half_life": 3}),
        ("cosine_restarts", {"first": "1ep"}, {"first": 10}),
        ("cosine_annealing", {"half_period": "5ep"}, {"half_period": 50}),
        ("cosine_hold", {"hold": "5ep"}, {"hold": 0.5}),
        ("timm_cosine", {"first": "5ep"}, {"first": 50}),
        ("cyclic", {"up": "1ep", "down": "2ep"}, {"up": 0.1, "down": 20}),
        ("one_cycle", {"rise": "4ep"}, {"rise": 40}),
        ("exponential_burnin", {"burnin": "1ep", "every": "2ep"}, {"burnin": 10, "every": 0.2}),
        ("exponential_burnin_2017", {"burnin": "1ep", "every": "2ep"}, {"burnin": 10, "every": 20}),
        ("constant", {"start": 0.5, "span": "1ep"}, {"start": 0.5, "span": 10}),
    ],
)
def test_marks_and_spans_are_told_in_any_unit(name, extra, same):
    told = build(section(name=name, extra=extra), 100, per_epoch=10, effective_batch=32)
    plain = SCHEDULES[name](100, **same)

    assert rates(told, 130).tolist() == rates(plain, 130).tolist()


def test_words_that_look_like_no_amount_are_left_alone():
    assert resolved("1-sqrt", 10, "shape", per_epoch=None, effective_batch=None) == "1-sqrt"
    assert resolved("0.1", 10, "factor", per_epoch=None, effective_batch=None) == "0.1"


def test_marks_are_sorted_or_must_rise():
    assert marks_of([40, 0.1, 40], 100, "marks") == (10, 40, 40)
    assert marks_of([0.5, 0.75], 1, "marks", strict=True) == (1, 1)  # a run too short to tell them apart
    with pytest.raises(RecipeError, match=r"are the updates \[40, 10\], which do not rise"):
        marks_of([40, 0.1], 100, "marks", strict=True)


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan, True, "0.1", 1j])
def test_a_level_is_a_number_of_0_or_more(value):
    with pytest.raises(RecipeError, match="floor = "):
        level(value, "floor")


def test_levels_of_other_kinds_of_numbers():
    assert level(0, "floor") == 0.0
    assert heights([1, 2, 4], None, "rates", 3) == (0.25, 0.5, 1.0)
    with pytest.raises(RecipeError, match="gamma = 'x'"):
        decay_factor("x")
