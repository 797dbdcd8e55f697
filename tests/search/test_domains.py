import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tunesmith.records import DataError
from tunesmith.search import Choice, Distributed, Fixed, Int, Ordinal, Real
from tunesmith.search.space import domain_of, values_of

DOMAINS = [
    Real(-2, 3),
    Real(1e-5, 1e-1, log=True),
    Real(0, 1, step=0.1),
    Real(1, 1000, log=True, step=7),
    Int(-3, 4),
    Int(1, 1024, log=True),
    Int(8, 70, step=32),
    Ordinal([16, 32, 64]),
    Choice(["a", None, True, 1, (64, 64)]),
    Fixed("x"),
    Distributed("norm", (0.0, 2.0)),
    Distributed("lognorm", (1.0,), (("scale", 3.0),)),
    Distributed("norm", (0.0, 1.0), step=0.5),
    Distributed("poisson", (3.0,)),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
@given(unit=st.floats(-1, 2))
@settings(max_examples=40, deadline=None)
def test_a_place_has_a_value_of_the_domain_that_has_that_place(domain, unit):
    value = domain.from_unit(unit)

    assert domain.holds(value)
    assert 0 <= domain.to_unit(value) <= 1
    again = domain.from_unit(domain.to_unit(value))
    assert again == value or again == pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
def test_a_file_gives_it_back(domain):
    assert domain_of("x", domain.to_json()) == domain
    assert pickle.loads(pickle.dumps(domain)) == domain


@pytest.mark.parametrize("domain", [one for one in DOMAINS if math.isfinite(one.size)], ids=str)
def test_the_values_of_a_finite_domain_are_as_many_as_it_says(domain):
    values = values_of(domain)

    assert len(values) == domain.size
    assert all(domain.holds(value) for value in values)
    assert [domain.from_unit(domain.to_unit(value)) for value in values] == list(values)


@pytest.mark.parametrize("domain", [one for one in DOMAINS if not isinstance(one, Choice | Fixed)], ids=str)
def test_the_order_of_places_is_that_of_values(domain):
    values = [domain.from_unit(unit) for unit in np.linspace(0, 1, 50)]

    assert values == sorted(values)


def test_ranges_are_drawn_evenly_on_their_scale():
    rng = np.random.default_rng(0)

    plain = [Real(-2, 3).sample(rng) for _ in range(2000)]
    log = [math.log(Real(1e-5, 1e-1, log=True).sample(rng)) for _ in range(2000)]

    assert stats.kstest(plain, stats.uniform(-2, 5).cdf).pvalue > 0.01
    assert stats.kstest(log, stats.uniform(math.log(1e-5), math.log(1e4)).cdf).pvalue > 0.01


def test_whole_numbers_and_choices_are_drawn_equally_often():
    rng = np.random.default_rng(0)

    for domain in (Int(1, 5), Ordinal([1, 2, 3, 4, 5]), Choice(["a", "b", "c", "d", "e"]), Real(0, 1, step=0.25)):
        drawn = [values_of(domain).index(domain.sample(rng)) for _ in range(2000)]
        assert stats.chisquare(np.bincount(drawn, minlength=5)).pvalue > 0.01


def test_a_distribution_is_drawn_from_as_scipy_does():
    rng = np.random.default_rng(0)

    drawn = [Distributed("gamma", (2.0,), (("scale", 3.0),)).sample(rng) for _ in range(300)]

    assert stats.kstest(drawn, stats.gamma(2, scale=3).cdf).pvalue > 0.01


def test_steps_are_counted_from_the_lower_end_and_the_upper_comes_down():
    assert Int(8, 70, step=32).high == 40
    assert Real(0, 1, step=0.3).high == 0.9
    assert values_of(Real(0.1, 0.7, step=0.1)) == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert not Real(0, 1, step=0.25).holds(0.3)
    assert not Int(8, 70, step=32).holds(41)


def test_values_that_python_holds_equal_are_kept_apart():
    choice = Choice([1, True, "1", None])

    assert [choice.index(value) for value in (1, True, "1", None)] == [0, 1, 2, 3]
    assert not choice.holds(False)
    assert not Int(0, 1).holds(True)
    assert not Real(0, 1).holds(math.nan)
    assert not Int(0, 5).holds(math.inf)


def test_a_tuple_that_comes_back_as_a_list_is_the_same_choice():
    choice = Choice([(64, 64), [32]])

    assert choice.choices == ((64, 64), (32,))
    assert choice.index([64, 64]) == 0
    assert choice.holds([32])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Real(1, 1), "low < high"),
        (lambda: Real(0, 1, log=True), "low > 0"),
        (lambda: Real(0, math.inf), "two finite ends"),
        (lambda: Int(1.5, 3), "whole numbers"),
        (lambda: Int(1, 3, step=4), "a step in"),
        (lambda: Int(1, 9, step=1.5), "a whole step"),
        (lambda: Real(0, 1, step=-0.1), "a step in"),
        (lambda: Choice([]), "one at least"),
        (lambda: Choice("abc"), "a list"),
        (lambda: Choice([1, 1]), "twice"),
        (lambda: Distributed("normm"), "did you mean 'norm'"),
        (lambda: Distributed("norm", (0, -1)), "no median"),
        (lambda: Distributed("norm", (), (("qq", 1),)), "does not take"),
        (lambda: Distributed("norm", step=0), "above 0"),
        (lambda: domain_of("x", {"type": "flaot", "low": 0, "high": 1}), "did you mean 'float'"),
        (lambda: domain_of("x", {"type": "float", "low": 0}), "no 'high'"),
        (lambda: domain_of("x", [1, 2]), "expected Choice"),
    ],
)
def test_what_is_no_domain_gets_a_sentence(make, says):
    with pytest.raises(DataError, match=says):
        make()
