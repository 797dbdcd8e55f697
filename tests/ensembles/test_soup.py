"""Model soups: closed forms and laws over state dicts, norms, and nets that were trained apart from one start."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from tests.ensembles.digits import HELD, TEST, TRAIN, chances, digits, net, trained
from tunesmith.ensembles import greedy_soup, measure, uniform_soup, with_norms
from tunesmith.records import ModelError, RecipeError

State = dict[str, Tensor]


def state(seed: int, dtype: torch.dtype = torch.float32) -> State:
    generator = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(3, 2, generator=generator).to(dtype),
        "running_var": torch.rand(3, generator=generator).to(dtype),
        "num_batches_tracked": torch.tensor(seed),
    }


@given(st.integers(1, 9), st.integers(0, 999), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
@settings(max_examples=40, deadline=None)
def test_a_soup_of_identical_nets_is_that_net_to_the_last_bit(count: int, seed: int, dtype: torch.dtype) -> None:
    one = state(seed, dtype)

    soup = uniform_soup([one] * count)

    assert all(torch.equal(soup[name], value) and soup[name].dtype == value.dtype for name, value in one.items())


@given(st.lists(st.integers(0, 999), min_size=1, max_size=6, unique=True), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_a_soup_is_the_mean_whatever_the_order_and_counters_are_those_of_the_first(
    seeds: list[int], random: Any
) -> None:
    states = [state(seed) for seed in seeds]
    shuffled = list(states)
    random.shuffle(shuffled)

    soup, other = uniform_soup(states), uniform_soup(iter(shuffled))

    mean = torch.stack([one["weight"] for one in states]).double().mean(0)
    assert torch.allclose(soup["weight"], mean.float(), rtol=1e-6, atol=1e-7)
    assert torch.allclose(soup["running_var"], other["running_var"], rtol=1e-6, atol=1e-7)
    assert soup["num_batches_tracked"] == seeds[0]


def test_half_precision_is_averaged_in_double_and_the_states_are_left_alone() -> None:
    states = [{"w": torch.tensor([60000.0, value], dtype=torch.float16)} for value in (1.0, 1.001, 1.002)]
    before = copy.deepcopy(states)

    soup = uniform_soup(states)

    assert torch.isfinite(soup["w"]).all()  # a sum in half precision would be infinite
    assert soup["w"][1] == torch.tensor([float(one["w"][1]) for one in states]).mean().half()
    assert all(torch.equal(one["w"], was["w"]) for one, was in zip(states, before, strict=True))
    soup["w"].zero_()
    assert states[0]["w"].any()


def test_shared_weights_stay_shared_in_value_and_the_soup_loads() -> None:
    def tied() -> nn.Sequential:
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        model[1].weight = model[0].weight
        return model

    nets = [tied() for _ in range(3)]

    soup = uniform_soup(one.state_dict() for one in nets)

    assert torch.equal(soup["0.weight"], soup["1.weight"])
    tied().load_state_dict(soup)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"w": torch.zeros(2)}, r"'w' is torch\.float32 of shape \(3,\) in state 0 and torch\.float32 of shape \(2,\)"),
        ({"w": torch.zeros(3).double()}, r"torch\.float64 of shape \(3,\) in state 1"),
        ({}, r"state 0 holds 'w' and state 1 does not"),
        ({"w": torch.zeros(3), "b": torch.zeros(1)}, r"state 1 holds 'b' and state 0 does not"),
    ],
)
def test_nets_of_different_make_get_a_sentence(other: dict[str, Tensor], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        uniform_soup([{"w": torch.zeros(3)}, other])
    with pytest.raises(ModelError, match=says):
        greedy_soup([{"w": torch.zeros(3)}, other], lambda state: 0.0)


def test_nothing_and_nonsense_get_a_sentence() -> None:
    with pytest.raises(ModelError, match="got no state dict"):
        uniform_soup([])
    with pytest.raises(ModelError, match="got no state dict"):
        greedy_soup([], lambda state: 0.0)
    with pytest.raises(ModelError, match="every one of the 1 nets is nan"):
        greedy_soup([state(0)], lambda state: float("nan"))
    with pytest.raises(RecipeError, match="'max' or 'min'"):
        greedy_soup([state(0)], lambda state: 0.0, better="up")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="do not fit the model"):
        with_norms(nn.Linear(2, 2), state(0), [])


def scalar(value: float) -> State:
    return {"w": torch.tensor([float(value)], dtype=torch.float64)}


def test_recipe_one_step_by_step() -> None:
    # alone: 4, 2, 3, 5 away from 10; in the order 1, 2, 0, 3 with averages 12, (12 + 7) / 2, (12 + 7 + 14) / 3, …
    nets = [scalar(value) for value in (14, 12, 7, 15)]

    soup = greedy_soup(nets, lambda one: abs(one["w"].item() - 10), better="min")

    assert soup.alone == (4, 2, 3, 5)
    assert [(step.net, step.stays) for step in soup.path] == [(1, True), (2, True), (0, False), (3, False)]
    assert [step.score for step in soup.path] == pytest.approx([2, 0.5, 1, 4 / 3])
    assert soup.nets == (1, 2)
    assert soup.state["w"].item() == 9.5
    assert soup.score == 0.5


def test_a_net_that_changes_nothing_stays_and_equals_are_tried_by_number() -> None:
    soup = greedy_soup([scalar(1), scalar(1), scalar(1)], lambda one: 0.25)

    assert soup.nets == (0, 1, 2)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=7), st.sampled_from(["max", "min"]))
@settings(max_examples=60, deadline=None)
def test_a_greedy_soup_is_never_below_the_best_net_on_the_held_rows(values: list[float], better: Any) -> None:
    sign = 1 if better == "max" else -1

    soup = greedy_soup([scalar(value) for value in values], lambda one: np.sin(one["w"].item()), better=better)

    assert sign * soup.score >= sign * max(np.sin(values), key=lambda score: sign * score)
    assert soup.score == np.sin(soup.state["w"].item())


def test_nets_without_a_score_are_left_out_and_a_mixture_without_one_is_not_taken() -> None:
    def score(one: State) -> float:
        return one["w"].item() if one["w"].item() in (1.0, 3.0) else float("nan")

    soup = greedy_soup([scalar(1), scalar(7), scalar(3)], score)

    assert soup.nets == (2,)
    assert [step.net for step in soup.path] == [2, 0]


def test_norms_are_those_of_torch_over_the_batches_and_the_model_is_left_alone() -> None:
    model = net(0, norm=True)
    own = copy.deepcopy(model.state_dict())
    mixed = uniform_soup([model.state_dict(), net(1, norm=True).state_dict()])
    batches = list(torch.split(digits().X[TRAIN], 100))
    theirs = net(2, norm=True)
    theirs.load_state_dict(mixed)
    update_bn(batches, theirs)

    found = with_norms(model.eval(), mixed, batches)

    assert torch.allclose(found["1.running_mean"], theirs.state_dict()["1.running_mean"], atol=1e-6)
    assert torch.allclose(found["1.running_var"], theirs.state_dict()["1.running_var"], rtol=1e-5)
    assert torch.equal(found["0.weight"], mixed["0.weight"])
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())
    assert not model.training


@cache
def apart(norm: bool = False) -> list[State]:
    """Six nets that went on from one start, each with a rate, an order and a half of the training rows of its own."""
    start = trained(net(0, norm=norm), slice(0, 150), epochs=20)
    halves = [np.random.default_rng(seed).permutation(300)[:150] for seed in range(6)]
    nets = [
        trained(copy.deepcopy(start), halves[seed], seed=seed, epochs=15, lr=lr)
        for seed, lr in enumerate((0.002, 0.005, 0.01, 0.02, 0.03, 0.03))
    ]
    return [one.state_dict() for one in nets]


def judged(rows: Any, norm: bool = False, name: str = "log_loss") -> Callable[[State], float]:
    judge, model, y = measure(name, kind="multiclass"), net(0, norm=norm), digits().y.numpy()

    def score(one: State) -> float:
        model.load_state_dict(one)
        return judge(y[rows], chances(model, rows))

    return score


def test_on_digits_a_soup_of_nets_from_one_start_gains_on_rows_that_took_no_part() -> None:
    states = apart()

    soup = greedy_soup(states, judged(HELD), better="min")

    best = int(np.argmin(soup.alone))
    assert len(soup.nets) > 1
    assert judged(TEST)(soup.state) < 0.95 * judged(TEST)(states[best])  # measured: 0.186 and 0.207 nats


def test_nets_with_starts_of_their_own_make_no_soup_and_greedy_finds_the_best_of_them() -> None:
    states = [trained(net(seed), seed=seed).state_dict() for seed in range(3)]

    uniform = judged(HELD, name="accuracy")(uniform_soup(states))
    soup = greedy_soup(states, judged(HELD, name="accuracy"))

    assert uniform < min(soup.alone) - 0.1
    assert soup.nets == (int(np.argmax(soup.alone)),)


def test_the_statistics_of_an_average_are_not_the_average_of_the_statistics() -> None:
    X = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(0))  # white: a unit's variance is |w|²
    layers = [nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8)) for _ in range(2)]
    states = [with_norms(layer, layer.state_dict(), [X]) for layer in layers]

    averaged = uniform_soup(states)
    anew = with_norms(layers[0], averaged, torch.split(X, 1000))

    true = averaged["0.weight"].square().sum(1)
    assert torch.allclose(anew["1.running_var"], true, rtol=0.06)
    assert (averaged["1.running_var"] > 1.3 * true).all()


def test_finish_makes_mixtures_ready_and_leaves_single_nets_as_they_are() -> None:
    states = apart(norm=True)
    seen = []

    def finish(one: State) -> State:
        seen.append(one)
        return with_norms(net(0, norm=True), one, torch.split(digits().X[TRAIN], 100))

    soup = greedy_soup(states, judged(HELD, norm=True), better="min", finish=finish)

    assert len(seen) == len(states) - 1
    assert soup.score == judged(HELD, norm=True)(soup.state)
    assert soup.alone[0] == judged(HELD, norm=True)(states[0])
