"""The gain of an ensemble against closed forms and what it hides without care; costs of nets."""

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.ensembles.digits import HELD, digits, members, net, predicted
from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles import average, costs, gain, measure, select
from tunesmith.records import DataError, ModelError, RecipeError


def numbers(members: int, rows: Any, seed: int, spread: float = 1.0) -> tuple[Array, Array]:
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=rows)
    return truth + spread * generator.normal(size=(members, rows)), truth


def test_the_interval_of_a_mean_is_that_of_its_paired_differences() -> None:
    predictions, truth = numbers(3, 4000, seed=1)

    found = gain(predictions, truth, "mae", kind="regression", choosing=np.arange(1000), count=4000)

    rest = slice(1000, None)
    ensemble = np.abs(predictions.mean(axis=0) - truth)[rest]
    single = np.abs(predictions[found.best] - truth)[rest]
    apart = single - ensemble
    half = 1.959964 * apart.std() / math.sqrt(3000)
    assert found.value == pytest.approx(apart.mean())
    assert [found.ensemble, found.single] == pytest.approx([ensemble.mean(), single.mean()])
    assert [found.low, found.high] == pytest.approx([apart.mean() - half, apart.mean() + half], abs=0.1 * half)
    assert found.sure
    assert (found.rows, found.metric) == (3000, "mae")


def test_pairing_makes_the_interval_narrower_than_two_of_their_own() -> None:
    generator = np.random.default_rng(2)
    truth, hard = generator.normal(size=1000), generator.normal(size=1000) * 5  # rows that are hard for every member
    predictions = truth + hard + 0.3 * generator.normal(size=(4, 1000))

    found = gain(predictions, truth, "mae", kind="regression", choosing=np.arange(200))

    own = 1.959964 * np.abs(hard[200:]).std() / math.sqrt(800)
    assert found.high - found.low < 0.2 * 2 * own


def test_the_best_member_is_chosen_on_the_choosing_rows_alone_and_judged_on_the_others() -> None:
    truth = np.zeros(6)
    predictions = [[0, 0, 9, 9, 9, 9], [1, 1, 1, 1, 1, 1]]  # the first is best where it is chosen, and nowhere else

    found = gain(predictions, truth, "mae", kind="regression", choosing=[0, 1], weights=[0, 1])

    assert (found.best, found.single, found.ensemble) == (0, 9.0, 1.0)
    same = gain(predictions, truth, "mae", kind="regression", choosing=[True] * 2 + [False] * 4, weights=[0, 1])
    assert (same.value, same.low, same.high) == (found.value, found.low, found.high)


@given(st.integers(1, 5), st.integers(3, 30), st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_an_ensemble_of_the_best_member_alone_gains_nothing(count: int, rows: Any, seed: int) -> None:
    predictions, truth = numbers(count, rows, seed)
    judge = measure("rmse", kind="regression")
    best = int(np.argmin([judge(truth[:1], one[:1]) for one in predictions]))

    found = gain(predictions, truth, judge, kind="regression", choosing=[0], weights=np.eye(count)[best], count=20)

    assert found.best == best
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert not found.sure


def test_the_order_of_the_members_does_not_change_the_gain() -> None:
    predictions, truth = numbers(4, 200, seed=3)

    results = [
        gain(predictions[list(order)], truth, "rmse", kind="regression", choosing=range(50), count=50)
        for order in itertools.permutations(range(4))
    ]

    assert np.allclose(
        [(one.value, one.low, one.high) for one in results], [results[0].value, results[0].low, results[0].high]
    )


def test_ninety_percent_intervals_hold_the_true_gain_about_ninety_times_in_a_hundred() -> None:
    hits = 0
    truth_of = math.sqrt(2 / math.pi) * (1 - 1 / math.sqrt(2))  # E|N(0, 1)| less E|N(0, 1/2)|
    for trial in range(200):
        predictions, truth = numbers(2, 160, seed=trial)
        found = gain(predictions, truth, "mae", kind="regression", choosing=range(10), count=200, level=0.9, seed=trial)
        hits += found.low <= truth_of <= found.high

    assert 0.82 <= hits / 200 <= 0.96  # 3.7 standard errors around 0.9


def test_weights_may_be_found_on_the_choosing_rows() -> None:
    predictions, truth = numbers(3, 100, seed=5)
    seen = []

    def weigh(given_predictions: Array, given_truth: Array) -> Array:
        seen.append((given_predictions.shape, given_truth.shape))
        return select(given_predictions, given_truth, "mae", kind="regression", bags=0).weights

    found = gain(predictions, truth, "mae", kind="regression", choosing=range(30), weights=weigh, count=10)

    assert seen == [((3, 30), (30,))]
    assert found.weights.sum() == pytest.approx(1)


def test_a_function_and_the_metric_of_its_name_gain_the_same() -> None:
    predictions, truth = numbers(3, 60, seed=6)

    def own(target: Array, prediction: Array) -> float:
        return float(np.abs(target - prediction).mean())

    by_name = gain(predictions, truth, "mae", kind="regression", choosing=range(20), count=50)
    by_function = gain(predictions, truth, own, kind="regression", better="min", choosing=range(20), count=50)

    assert (by_function.low, by_function.high) == pytest.approx((by_name.low, by_name.high))


def test_the_same_seed_gives_the_same_interval_and_another_does_not() -> None:
    predictions, truth = numbers(3, 60, seed=6)

    first, again, other = (
        gain(predictions, truth, "rmse", kind="regression", choosing=range(20), count=50, seed=seed)
        for seed in (0, 0, 1)
    )

    assert (first.low, first.high) == (again.low, again.high)
    assert (first.low, first.high) != (other.low, other.high)


def test_where_the_metric_is_undefined_there_is_no_interval() -> None:
    chances = np.random.default_rng(0).random((2, 6))

    found = gain(chances, [0, 1, 0, 0, 0, 0], "roc_auc", kind="binary", choosing=[0, 1], count=10)

    assert math.isnan(found.value)
    assert math.isnan(found.low)
    assert not found.sure
    with pytest.raises(DataError, match="undefined for every member on the 2 rows that choose"):
        gain(chances, [0, 1, 0, 0, 0, 0], "roc_auc", kind="binary", choosing=[2, 3])


@pytest.mark.parametrize(
    ("about", "error", "says"),
    [
        ({"choosing": []}, DataError, "choosing is an array of float64 of shape (0,)"),
        ({"choosing": [4]}, DataError, "numbers from 0 to 3"),
        ({"choosing": [0, 1, 2]}, DataError, "3 rows choose and 1 judge"),
        ({"choosing": [0], "target": [1.0]}, DataError, "1 targets for predictions of 4 rows"),
        ({"choosing": [0], "level": 1.0}, RecipeError, "level = 1.0"),
        ({"choosing": [0], "count": 0}, RecipeError, "count = 0"),
        ({"choosing": [0], "weights": [1.0]}, DataError, "weights of shape (1,) for 2 models"),
    ],
)
def test_what_cannot_be_judged_gets_a_sentence(about: dict[str, Any], error: type[Exception], says: str) -> None:
    given_target = about.pop("target", np.zeros(4))

    with pytest.raises(error, match=re.escape(says)):
        gain(np.zeros((2, 4)), given_target, "mae", kind="regression", **about)


def test_on_digits_the_gain_of_eight_nets_is_sure() -> None:
    predictions, y = predicted()[:, 300:], digits().y[300:].numpy()

    found = gain(predictions, y, "log_loss", kind="multiclass", choosing=np.arange(300))

    assert found.sure
    assert found.rows == len(y) - 300
    assert found.ensemble == measure("log_loss", kind="multiclass")(
        y[300:], average(predictions[:, 300:], kind="multiclass")
    )


def test_members_count_by_what_they_hold_and_shared_tensors_once() -> None:
    first, second = net(0, 8), net(1, 8)
    second[0] = first[0]  # a trunk in common
    normed = net(0, 8, norm=True)

    shared = costs([first, second], digits().X[:4])
    buffers = costs([normed], digits().X[:4])

    head, trunk = 8 * 10 + 10, 64 * 8 + 8
    assert shared.ensemble.parameters == trunk + 2 * head
    assert shared.single.parameters == trunk + head
    assert buffers.single.bytes == 4 * (trunk + head + 16) + 4 * 16 + 8  # two vectors of statistics and a counter
    assert (buffers.parameters_times, buffers.bytes_times) == (1, 1)


def test_seconds_are_the_least_of_the_repeats_for_a_thousand_rows() -> None:
    ticks = iter([0.0, 3.0, 10.0, 11.0, 20.0, 22.0, 30.0, 31.5])  # ensemble 3, single 1, ensemble 2, single 1.5

    found = costs(list(members(3)), digits().X[HELD], repeats=2, clock=lambda: next(ticks))

    assert found.ensemble.seconds == pytest.approx(2 / 600 * 1000)
    assert found.single.seconds == pytest.approx(1 / 600 * 1000)
    assert found.seconds_times == pytest.approx(2)


def test_measured_seconds_grow_with_the_members_and_modes_are_put_back() -> None:
    nets = [nn.Sequential(nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 10)).train() for _ in range(8)]

    found = costs(nets, torch.zeros(600, 64), batch_size=200, weights=[1] * 6 + [0] * 2)

    assert found.seconds_times > 1.5  # six nets; the machine may have others at work
    assert found.parameters_times == 6
    assert all(one.training for one in nets)


@pytest.mark.parametrize(
    ("nets", "about", "error", "says"),
    [
        ([], {}, ModelError, "there are no members"),
        ([len], {}, ModelError, "member 0 is a builtin_function_or_method"),
        ([nn.Linear(64, 1)], {"single": 1}, RecipeError, "single = 1: "),
        ([nn.Linear(64, 1)], {"repeats": 0}, RecipeError, "repeats = 0"),
        ([nn.Linear(64, 1)], {"weights": [1, 2]}, DataError, "weights of shape (2,) for 1 models"),
        ([nn.Linear(64, 1)], {"inputs": torch.zeros(0, 64)}, DataError, "there are no rows"),
    ],
)
def test_costs_that_cannot_be_measured_get_a_sentence(
    nets: Any, about: dict[str, Any], error: type[Exception], says: str
) -> None:
    inputs = about.pop("inputs", torch.zeros(2, 64))

    with pytest.raises(error, match=re.escape(says)):
        costs(nets, inputs, **about)
