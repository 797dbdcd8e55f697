"""Three ways in which embeddings collapse, in small trainings: each is seen by one measure and missed by others."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tunesmith.generative import (
    EmbeddingHealth,
    alignment,
    effective_rank,
    embedding_health,
    normalised_spread,
    raw_spread,
    uniformity,
)
from tunesmith.generative.measures import effective_rank as rank_room
from tunesmith.records import DataError, RecipeError

DATA, HIDDEN, WIDE = 20, 64, 32


def net(sizes: tuple[int, ...], norm: bool, last: bool) -> nn.Sequential:
    one, two, three = sizes
    first = [nn.Linear(one, two), *([nn.BatchNorm1d(two)] if norm else []), nn.ReLU(), nn.Linear(two, three)]
    return nn.Sequential(*first, *([nn.BatchNorm1d(three)] if norm and last else []))


@cache
def trained(kind: str, norm: bool) -> tuple[EmbeddingHealth, EmbeddingHealth, float, float]:
    """Health before and after 400 updates on two noisy views, then alignment and uniformity."""
    torch.manual_seed(0)
    encoder, predictor = net((DATA, HIDDEN, WIDE), norm, True), net((WIDE, 16, WIDE), norm, False)
    data = torch.randn(2000, DATA, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD([*encoder.parameters(), *predictor.parameters()], lr=0.05, momentum=0.9)
    start = embedding_health(encoder(data))
    for _ in range(400):
        batch = data[torch.randint(0, len(data), (256,))]
        one, other = (encoder(batch + 0.3 * torch.randn_like(batch)) for _ in range(2))
        if kind == "pairs":
            loss = functional.mse_loss(one, other)
        else:
            held = [each.detach() if kind == "stopped" else each for each in (one, other)]
            both = ((one, held[1]), (other, held[0]))
            loss = -sum(functional.cosine_similarity(predictor(a), b).mean() for a, b in both) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder.eval()
    one, other = encoder(data).detach(), encoder(data + 0.3 * torch.randn_like(data)).detach()
    return start, embedding_health(one), alignment(one, other), uniformity(one)


def test_what_does_not_collapse_is_near_isotropic_and_fills_half_of_the_dimensions() -> None:
    start, found, _, uniform = trained("stopped", True)

    assert found.isotropic == pytest.approx(WIDE**-0.5)
    assert found.normalised_spread > 0.95 * found.isotropic
    assert found.effective_rank > 0.5 * found.largest_rank
    assert found.raw_spread > 0.8 * start.raw_spread
    assert uniform < -3


def test_collapse_to_few_dimensions_hides_from_the_spreads_under_batch_norm() -> None:
    (_, healthy, _, _), (start, found, _, uniform) = trained("stopped", True), trained("free", True)

    assert found.effective_rank < 0.55 * healthy.effective_rank
    assert found.normalised_spread > 0.8 * found.isotropic
    assert found.raw_spread > 0.8 * start.raw_spread
    assert uniform > -2.5


def test_complete_collapse_hides_from_the_raw_spread_and_aligns_perfectly() -> None:
    start, found, aligned, uniform = trained("free", False)

    assert found.normalised_spread < 0.15 * found.isotropic
    assert found.raw_spread > 0.8 * start.raw_spread
    assert aligned < 0.01
    assert uniform > -0.1


def test_shrinking_hides_from_what_is_free_of_scale() -> None:
    start, found, _, _ = trained("pairs", False)

    assert found.raw_spread < 0.6 * start.raw_spread
    assert found.effective_rank > 0.5 * found.largest_rank
    assert found.normalised_spread > 0.6 * found.isotropic


def test_scale_changes_the_raw_spread_alone() -> None:
    given = np.random.default_rng(0).normal(size=(200, 8))

    one, other = embedding_health(given), embedding_health(7 * given)

    assert other.raw_spread == pytest.approx(7 * one.raw_spread)
    assert other.normalised_spread == pytest.approx(one.normalised_spread)
    assert other.effective_rank == pytest.approx(one.effective_rank)


def test_the_rank_is_bounded_by_that_of_the_matrix_and_undefined_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    low = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 10))

    whole = effective_rank(low)
    monkeypatch.setattr(rank_room, "ROWS", 7)

    assert effective_rank(low) == pytest.approx(whole, rel=1e-9)
    assert 1 < whole <= 3.001
    assert effective_rank(np.zeros((5, 3))) is None
    assert effective_rank(np.ones((5, 3)) * 3) == pytest.approx(1, abs=1e-4)
    s = np.linalg.svd(rng.normal(size=(5, 9)), compute_uv=False)
    p = s / s.sum() + 1e-7
    assert effective_rank(np.diag(s)) == pytest.approx(np.exp(-(p * np.log(p)).sum()))


def test_spreads_of_what_is_constant_or_nothing() -> None:
    assert normalised_spread(np.ones((4, 3))) == pytest.approx(0, abs=1e-15)
    assert normalised_spread(np.zeros((4, 3))) == 0
    assert raw_spread(np.ones((4, 3))) == 0


def test_alignment_and_uniformity_are_their_formulas() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 5)), rng.normal(size=(40, 5))
    u, v = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (a, b))
    square = ((u[:, None] - u) ** 2).sum(2)[~np.eye(40, dtype=bool)]

    assert alignment(a, b, power=1.5) == pytest.approx((np.linalg.norm(u - v, axis=1) ** 1.5).mean())
    assert alignment(a, a) == 0
    assert uniformity(a, sharpness=3.0) == pytest.approx(np.log(np.exp(-3 * square).mean()))


def test_wrong_use_is_said() -> None:
    rows = np.ones((3, 2))

    with pytest.raises(DataError, match="3 and 2 views"):
        alignment(rows, rows[:2])
    with pytest.raises(DataError, match="1 of 3 embeddings have length 0"):
        uniformity([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(RecipeError, match="power = 0"):
        alignment(rows, rows, power=0)
    with pytest.raises(RecipeError, match="sharpness = -1"):
        uniformity(rows, sharpness=-1)
