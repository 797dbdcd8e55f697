"""What the members do at their edges, from closed forms and beside torch; whole curves of other libraries are in `test_golden.py`."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.special import lambertw

from tunesmith.blocks.schedules import SCHEDULES, WARMUPS, build, join, momentum_of, rates
from tunesmith.records import Recipe, RecipeError, revise


def beside_torch(make, steps, peak=0.1):
    """The rates of a scheduler of torch, stepped after each update."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = make(optimizer)
        found = []
        for _ in range(steps):
            found.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
            optimizer.step()
            scheduler.step()
    return np.array(found).T


def made(name, steps=1000, **settings):
    return SCHEDULES[name](steps, **settings)


T = torch.optim.lr_scheduler
BESIDE = {
    "step": (made("step", every=7, gamma=0.3), lambda one: T.StepLR(one, 7, 0.3)),
    "multi_step": (
        made("multi_step", milestones=[90, 10, 40, 10], gamma=0.5),
        lambda one: T.MultiStepLR(one, [90, 10, 40, 10], 0.5),
    ),
    "constant": (made("constant", start=0.25, span=11), lambda one: T.ConstantLR(one, 0.25, 11)),
    "linear": (made("linear", 33, start=0.2, floor=0.9), lambda one: T.LinearLR(one, 0.2, 0.9, 33)),
    "exponential": (made("exponential", gamma=0.93), lambda one: T.ExponentialLR(one, 0.93)),
    "polynomial": (made("polynomial", 77, power=1.7), lambda one: T.PolynomialLR(one, 77, 1.7)),
    "cosine_annealing": (
        made("cosine_annealing", 31, floor=0.05),
        lambda one: T.CosineAnnealingLR(one, 31, 0.005),
    ),
    "cyclic": (
        made("cyclic", base=0.01, top=0.1, up=13, down=5, mode="triangular2"),
        lambda one: T.CyclicLR(one, 0.01, 0.1, 13, 5, "triangular2"),
    ),
    "exp_range": (
        made("cyclic", base=0.01, top=0.1, up=13, mode="exp_range", gamma=0.97),
        lambda one: T.CyclicLR(one, 0.01, 0.1, 13, mode="exp_range", gamma=0.97),
    ),
    "one_cycle": (made("one_cycle", 180, rise=0.21), lambda one: T.OneCycleLR(one, 0.1, 180, pct_start=0.21)),
    "three_phase": (
        made("one_cycle", 180, rise=0.33, shape="linear", three_phase=True),
        lambda one: T.OneCycleLR(one, 0.1, 180, pct_start=0.33, anneal_strategy="linear", three_phase=True),
    ),
}


@pytest.mark.parametrize("case", BESIDE)
def test_step_by_step_beside_torch(case):
    schedule, make = BESIDE[case]
    theirs, speeds = beside_torch(make, 180)

    np.testing.assert_allclose(0.1 * rates(schedule, 180), theirs, rtol=1e-7, atol=1e-12)  # torch's recursion drifts
    if momentum_of(schedule):
        np.testing.assert_allclose(rates(momentum_of(schedule), 180), speeds, rtol=1e-9)


def test_a_run_that_stops_after_five_updates_goes_on_where_it_was():
    """A StepLR(2) of 0.5 that is made anew gives 0.005 for update 6; with its state it is 0.005 then 0.0005 from 6 on."""
    whole = 0.5 * rates(made("step", 8, every=2), 8)

    resumed = [0.5 * made("step", 8, every=2)(step) for step in (5, 6, 7)]

    assert resumed == pytest.approx([0.005, 0.0005, 0.0005])
    assert resumed == pytest.approx(whole[5:].tolist(), rel=1e-14)


def test_who_closes_a_piece_on_which_side():
    pieces = made("piecewise", boundaries=[10], values=[1.0, 0.1])
    torchs = made("multi_step", milestones=[10])
    detectors = made("manual_stepping", boundaries=[10], rates=[1.0, 0.1])

    assert [one(10) for one in (pieces, torchs, detectors)] == [1.0, 0.1, 0.1]
    assert [one(11) for one in (pieces, torchs, detectors)] == [0.1, 0.1, 0.1]


def test_rates_without_a_peak_have_their_highest_as_the_peak():
    own = made("piecewise", boundaries=[10], values=[0.4, 0.1])
    given = made("piecewise", boundaries=[10], values=[0.4, 0.1], peak=0.8)

    assert [own(0), own(20)] == pytest.approx([1.0, 0.25])
    assert [given(0), given(20)] == pytest.approx([0.5, 0.125])


def test_a_milestone_beyond_the_end_never_comes():
    assert rates(made("multi_step", 20, milestones=[30, 80]), 20).tolist() == [1.0] * 20


def test_natural_exponential_is_faster_than_exponential_above_the_omega_constant():
    omega = float(lambertw(1).real)  # e^-k = k

    for k, faster in ((omega - 0.01, False), (omega + 0.01, True), (0.1, False)):
        natural, plain = made("natural_exponential", rate=k)(3), made("exponential", gamma=k)(3)
        assert (natural < plain) == faster


def test_natural_exponential_is_the_exponential_of_its_power():
    natural, plain = made("natural_exponential", rate=0.3, every=7), made("exponential", gamma=math.exp(-0.3), every=7)

    np.testing.assert_allclose(rates(natural, 300), rates(plain, 300), rtol=1e-12)


def test_without_a_rate_both_exponentials_end_at_a_hundredth():
    for name in ("exponential", "natural_exponential"):
        assert made(name, 500)(500) == pytest.approx(0.01)
        assert made(name, 500, every=50)(500) == pytest.approx(0.01)


def test_linear_cosine_has_no_warm_up_in_it():
    curve = rates(made("linear_cosine", 400), 401)

    assert curve.argmax() == 0
    assert (np.diff(curve) < 0).all()


def test_the_floor_is_a_fraction_of_the_peak():
    assert made("cosine", 10, floor=0.1)(10) == pytest.approx(0.1)
    assert made("cosine_restarts", 100, first=10, m_mul=0.5, floor=0.1)(9) > 0.1


def test_a_polynomial_past_its_end_is_a_number():
    past = made("polynomial", 10, power=0.9)

    assert past(11) == 0.0
    assert rates(past, [10, 11, 10**9]).tolist() == [0.0, 0.0, 0.0]
    assert rates(made("polynomial", 10, power=1.0, cycle=True), [0, 10, 11]).tolist() == pytest.approx([1, 0, 0.45])


def test_an_annealing_cosine_climbs_again_and_a_cosine_does_not():
    assert made("cosine_annealing", 10)(20) == 1.0
    assert made("cosine", 10)(20) == 0.0
    assert made("cosine_annealing", 10, half_period="0.5dur")(10) == 1.0


def test_the_end_of_a_held_cosine_is_exactly_nothing():
    assert rates(made("cosine_hold", 111, hold=20), [110, 111, 112, 10**9]).tolist()[1:] == [0.0, 0.0, 0.0]


def test_noam_is_a_linear_warm_up_and_an_inverse_root():
    noam = made("noam", 5000, warmup=400)
    joined = join(WARMUPS["linear"](400), made("inverse_sqrt", timescale=400), 399)  # both count t + 1

    np.testing.assert_allclose(rates(noam, 5000), rates(joined, 5000), rtol=1e-12)


def test_half_lives():
    curve = made("wsd_minicpm", 1000)

    assert rates(curve, [900, 920, 940, 1000]).tolist() == pytest.approx([1, 0.5, 0.25, 1 / 32])


def test_a_timm_cycle_never_has_its_peak_under_the_floor():
    curve = rates(made("timm_cosine", 100, first=10, floor=0.3, cycle_decay=0.5, cycle_limit=9), 200)

    assert curve.min() == pytest.approx(0.3)
    assert curve[20:].max() == pytest.approx(0.3)


def test_a_lambda_is_checked():
    assert made("lambda", rule=lambda t: 0.95**t)(2) == pytest.approx(0.9025)
    for wrong in (-1.0, math.nan, math.inf, 1j, "fast", None):
        with pytest.raises(RecipeError, match="a finite number of 0 or more was expected"):
            made("lambda", rule=lambda t, wrong=wrong: wrong)(3)
    with pytest.raises(RecipeError, match=r"at step 2; a finite"):
        rates(made("lambda", rule=lambda t: 1.0 - t), 5)


def test_a_recipe_cannot_hold_a_lambda_and_says_what_to_do():
    with pytest.raises(RecipeError, match="Task"):
        build(revise(Recipe(), {"schedule.name": "lambda"}).schedule, 100)


def test_a_product_of_named_parts_from_a_recipe():
    parts = [{"name": "linear"}, {"name": "step", "every": "2ep", "gamma": 0.5}]
    section = revise(Recipe(), {"schedule.name": "product", "schedule.extra": {"parts": parts}}).schedule

    curve = rates(build(section, 100, per_epoch=10), [0, 19, 20, 50])

    assert curve.tolist() == pytest.approx([1.0, 0.81, 0.4, 0.125])


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("product", {"parts": "cosine"}, "parts = 'cosine'"),
        ("product", {"parts": []}, r"parts = \[\]"),
        ("product", {"parts": [{"gamma": 1}]}, "no table with a name"),
        ("product", {"parts": [{"name": "step", "gama": 1}]}, "did you mean 'gamma'"),
        ("piecewise", {"boundaries": [20, 10], "values": [1, 2, 3]}, "which do not rise"),
        ("piecewise", {"boundaries": [10, 10], "values": [1, 2, 3]}, "which do not rise"),
        ("piecewise", {"boundaries": [10], "values": [1.0]}, "2 numbers were expected, one more than there are marks"),
        ("piecewise", {"boundaries": [10], "values": [0, 0]}, "the highest of values = 0"),
        ("manual_stepping", {"boundaries": 10}, "boundaries = 10: a list of marks"),
        ("manual_stepping", {"rates": (1, -1, 0)}, "rates = -1"),
        ("cyclic", {"mode": "square"}, "mode = 'square', expected one of triangular"),
        ("cyclic", {"max_momentum": 0.5}, "expected base <= max < 1"),
        ("cyclic", {"gamma": 1.5}, "gamma = 1.5"),
        ("one_cycle", {"start": 0}, "start = 0"),
        ("exponential", {"gamma": 1.01}, r"gamma = 1\.01"),
        ("natural_exponential", {"rate": -1}, "rate = -1"),
        ("inverse_time", {"rate": math.nan}, "rate = nan"),
        ("cosine", {"floor": -0.1}, r"floor = -0\.1"),
        ("cosine_hold", {"hold": 2000}, "leaves none to decay in"),
        ("linear_cosine", {"periods": 0}, "periods = 0"),
        ("timm_cosine", {"cycle_limit": 0}, "cycle_limit = 0"),
        ("noam", {"width": 0}, "width = 0"),
    ],
)
def test_settings_that_cannot_be_get_a_sentence(name, settings, words):
    with pytest.raises(RecipeError, match=words):
        made(name, **settings)
