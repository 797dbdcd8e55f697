import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.probes.cases import GOLDEN, output, small_net, uneven_batches
from tunesmith.doctor.probes import noise_scale, noise_scale_of, two_batch_estimates
from tunesmith.records import DataError, RecipeError


@pytest.mark.parametrize("case", GOLDEN["noise_scale"])
def test_the_golden_cases(case):
    sizes = case["b_small"], case["b_big"]

    pair = two_batch_estimates(case["norm_sq_small"], case["norm_sq_big"], *sizes)
    found = noise_scale_of([case["norm_sq_small"]], [case["norm_sq_big"]], *sizes)

    assert [*pair, found.value] == pytest.approx(case["estimated"], rel=1e-9)
    assert (found.gradient, found.trace) == (pytest.approx(case["G2"]), pytest.approx(case["trace"]))
    assert math.isnan(found.error)
    assert "one pair" in found.told[0]


G = np.array([0.3, -0.1, 0.2])
DEVIATIONS = np.array([1.0, 2.0, 0.5])
TRACE, SQUARE = float((DEVIATIONS**2).sum()), float((G**2).sum())  # 5.25 and 0.14


def drawn_pairs(pairs: int, small: int, big: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Squared norms of mean gradients of samples N(G, Σ); the small batch is the first part of the big one."""
    draw = np.random.default_rng(seed).normal(G, DEVIATIONS, (pairs, big, 3))
    return (draw[:, :small].mean(1) ** 2).sum(1), (draw.mean(1) ** 2).sum(1)


def test_numerator_and_denominator_are_unbiased():
    small, big = drawn_pairs(20_000, 2, 16)

    found = noise_scale_of(small, big, 2, 16)

    assert abs(found.gradient - SQUARE) < 4 * found.gradient_error
    assert abs(found.trace - TRACE) < 4 * found.trace_error
    assert found.gradient_error < 0.2 * SQUARE
    assert abs(found.value - TRACE / SQUARE) < 4 * found.error


def test_the_mean_of_the_ratios_would_be_wrong():
    small, big = drawn_pairs(20_000, 2, 16)
    gradient, trace = two_batch_estimates(small, big, 2, 16)

    assert abs((trace / gradient).mean() - TRACE / SQUARE) > 5
    assert abs(noise_scale_of(small, big, 2, 16).value - TRACE / SQUARE) < 5


def test_the_standard_error_is_the_spread_of_repeated_measurements():
    found = [noise_scale_of(*drawn_pairs(400, 4, 64, seed), 4, 64) for seed in range(200)]

    spread = np.std([each.value for each in found])

    assert np.median([each.error for each in found]) == pytest.approx(spread, rel=0.2)


def test_a_negative_estimate_is_told_not_hidden():
    found = noise_scale_of([4.0, 4.2], [0.9, 1.1], 1, 2)  # 2 b - s: below 0

    assert found.gradient == pytest.approx(-2.1)
    assert found.value < 0
    assert any("not above 0" in text for text in found.told)
    assert any("below 0" in text for text in noise_scale_of([1.0, 1.0], [2.0, 2.0], 1, 2).told)


def test_a_clear_estimate_has_nothing_to_tell_and_a_weak_one_does():
    assert noise_scale_of([32.0, 32.5, 32.2], [3.0, 2.95, 2.9], 32, 512).told == ()
    assert "not clear of 0" in noise_scale_of([9.0, 9.0, 9.0], [4.0, 5.5, 4.5], 1, 2).told[0]


class Linear(nn.Module):
    """The output is w·x, so the gradient of one sample is x itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=torch.float64))

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize("micro", [1, 5])
def test_a_model_with_known_gradients(micro):
    draw = np.random.default_rng(1)
    batches = [
        (torch.from_numpy(draw.normal(G, DEVIATIONS, (size, 3))), torch.zeros(size)) for size in [64] * 60 + [23]
    ]

    found = noise_scale(Linear(), output, batches, micro=micro)

    assert abs(found.gradient - SQUARE) < 4 * found.gradient_error
    assert abs(found.trace - TRACE) < 4 * found.trace_error
    assert found.trace_error < 0.1 * TRACE
    assert (found.pairs, found.passes) == (61, 2)


def test_per_example_gradients_give_the_unbiased_sample_covariance():
    x = torch.from_numpy(np.random.default_rng(2).normal(G, DEVIATIONS, (10, 3)))

    found = noise_scale(Linear(), output, [(x, torch.zeros(10))], micro=1)

    trace = x.var(0).sum().item()  # ddof 1
    assert found.trace == pytest.approx(trace, rel=1e-12)
    assert found.gradient == pytest.approx(x.mean(0).square().sum().item() - trace / 10, rel=1e-10)


def test_uneven_micro_batches_are_exact_in_expectation():
    """Batches of 5 rows in pieces of 2, 2 and 1."""
    rows = torch.from_numpy(np.random.default_rng(3).normal(G, DEVIATIONS, (1500, 5, 3)))

    found = noise_scale(Linear(), output, [(each, torch.zeros(5)) for each in rows], micro=2)

    assert abs(found.trace - TRACE) < 4 * found.trace_error
    assert abs(found.gradient - SQUARE) < 4 * found.gradient_error


def test_the_gradients_are_those_of_autograd_on_a_net():
    model, (x, y) = small_net(), uneven_batches()[0]
    each = [
        torch.cat(
            [g.reshape(-1) for g in torch.autograd.grad(nn.functional.cross_entropy(model(a), b), model.parameters())]
        )
        for a, b in zip(x.split(1), y.split(1), strict=True)
    ]
    stacked = torch.stack(each)

    found = noise_scale(model, nn.CrossEntropyLoss(), [(x, y)], micro=1)

    assert found.trace == pytest.approx(stacked.var(0).sum().item(), rel=1e-9)


def test_mappings_of_inputs_are_cut_by_rows():
    class Named(Linear):
        def forward(self, x):
            return super().forward(x["a"]) + x["table"].sum()

    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double()
    batches = [({"a": x, "table": torch.zeros(2)}, torch.zeros(6))]

    found = noise_scale(Named(), output, batches, micro=2)

    assert found.trace == pytest.approx(noise_scale(Linear(), output, [(x, torch.zeros(6))], micro=2).trace)


def test_wrong_use_is_told():
    model, batches = small_net(), uneven_batches()

    with pytest.raises(DataError, match="a batch of 1 is no larger"):
        noise_scale(model, nn.CrossEntropyLoss(), batches)
    with pytest.raises(RecipeError, match="at least 1 sample"):
        noise_scale(model, nn.CrossEntropyLoss(), batches, micro=0)
    with pytest.raises(DataError, match="equal or fall"):
        noise_scale_of([1.0], [1.0], 4, 4)
    with pytest.raises(DataError, match="one small and one big a pair"):
        noise_scale_of([1.0, 2.0], [1.0], 4, 8)
