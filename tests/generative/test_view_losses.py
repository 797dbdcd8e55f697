"""Losses of two views against golden numbers of tests/golden/metrics.json, closed forms, the measures, and at points that do not move."""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tunesmith.blocks.losses.info_nce import InfoNce
from tunesmith.generative import (
    MomentumTarget,
    alignment,
    alignment_uniformity,
    barlow_twins,
    byol,
    covariance_term,
    info_nce,
    predictor,
    projector,
    simsiam,
    target_momentum,
    uniformity,
    variance_term,
    vicreg,
)
from tunesmith.records import DataError, ModelError, RecipeError

GOLDEN = Path(__file__).parents[1] / "golden"
METRICS = json.loads((GOLDEN / "metrics.json").read_text(encoding="utf-8"))
RTOL = METRICS["rtol"]
Loss = Callable[[Tensor, Tensor], Tensor]
ONE_SIDED: dict[str, Loss] = {  # each as a loss of two views
    "simsiam": lambda a, b: simsiam((a, b), (a, b)),
    "byol": lambda a, b: byol((a, b), (a, b)),
    "vicreg": vicreg,
    "barlow_twins": barlow_twins,
    "info_nce": info_nce,
    "alignment_uniformity": alignment_uniformity,
}


def expected(kind: str) -> dict[str, float]:
    return next(one["expected"] for one in METRICS["cases"] if one["kind"] == kind)


def golden() -> tuple[Tensor, Tensor]:
    with np.load(GOLDEN / "metrics.npz") as held:
        return tuple(torch.from_numpy(held[f"ssl.{name}"]) for name in ("za", "zb"))  # type: ignore[return-value]


def drawn(rows: int = 16, width: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(rows, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_vicreg_and_its_terms_give_the_golden_numbers_in_both_readings() -> None:
    (a, b), told = golden(), expected("vicreg")

    total = vicreg(a, b).item()
    paper = vicreg(a, b, halved=False).item()

    assert total == pytest.approx(told["total_code"], rel=RTOL)
    assert (variance_term(a) + variance_term(b)).item() == pytest.approx(told["variance_paper"], rel=RTOL)
    assert (covariance_term(a) + covariance_term(b)).item() == pytest.approx(told["covariance"], rel=RTOL)
    assert paper - total == pytest.approx(25 * told["variance_code"], rel=1e-6)
    assert vicreg(a, b, variance=0, covariance=0, invariance=1).item() == pytest.approx(told["invariance"], rel=RTOL)
    assert vicreg(a, b, variance=1, invariance=0, covariance=0).item() == pytest.approx(told["variance_code"], rel=RTOL)


def test_barlow_twins_gives_the_golden_numbers() -> None:
    (a, b), told = golden(), expected("barlow")

    assert barlow_twins(a, b, epsilon=0).item() == pytest.approx(told["total"], rel=RTOL)
    assert barlow_twins(a, b, epsilon=0, redundancy=0).item() == pytest.approx(told["on_diag"], rel=RTOL)
    assert barlow_twins(a, b).item() == pytest.approx(told["total"], rel=1e-3)  # with that of batch norm


@pytest.mark.parametrize(
    ("name", "same", "collapsed"),
    [
        ("simsiam", -1.0, -1.0),
        ("byol", 0.0, 0.0),
        ("vicreg", None, 25 * (1 - 0.01)),
        ("barlow_twins", None, 6.0),
        ("info_nce", None, math.log(16)),
        ("alignment_uniformity", None, 0.0),
    ],
)
def test_values_of_equal_views_and_of_one_point(name: str, same: float | None, collapsed: float) -> None:
    """A collapsed batch is the best that agreement alone can reach; losses with a second pull pay for it."""
    loss, rows, point = ONE_SIDED[name], drawn(), torch.ones(16, 6, dtype=torch.float64)

    if same is not None:
        assert loss(rows, rows).item() == pytest.approx(same)
    assert loss(point, point).item() == pytest.approx(collapsed)
    if same is None:
        assert loss(rows, rows) < loss(point, point)


def test_values_at_orthogonal_embeddings() -> None:
    """Row i of one view lies across row i of the other; e_i are the rows of the identity."""
    e = torch.eye(4, dtype=torch.float64)
    across = e.roll(1, dims=0)

    assert simsiam((e, e), (across, across)).item() == pytest.approx(0)
    assert byol((e, e), (across, across)).item() == pytest.approx(4)
    assert info_nce(e, e, temperature=1.0).item() == pytest.approx(math.log(1 + 3 / math.e))
    assert info_nce(e, across, temperature=1.0).item() == pytest.approx(math.log(1 + 3 / math.e) + 1)
    assert alignment_uniformity(e, across).item() == pytest.approx(2 - 4)  # |u - v|² = 2, and all pairs √2 apart
    assert alignment_uniformity(e, across, align=3, uniform=0.5, power=1, sharpness=1).item() == pytest.approx(
        3 * math.sqrt(2) - 1
    )


def test_weights_and_settings_change_the_value_as_their_formula_says() -> None:
    a, b = drawn(), drawn(seed=1)
    deviation = a.std(0)

    assert variance_term(a, spread=2.0, epsilon=0.5).item() == pytest.approx(
        (2 - (a.var(0) + 0.5).sqrt()).clamp(min=0).mean().item()
    )
    assert variance_term(a, spread=deviation.min().item() / 2).item() == 0
    assert vicreg(a, b, invariance=2, variance=0, covariance=0).item() == pytest.approx(
        2 * (a - b).square().mean().item()
    )
    assert (vicreg(a, b, spread=5.0) > vicreg(a, b)).item()
    assert vicreg(a, b, epsilon=1.0).item() != vicreg(a, b).item()
    assert info_nce(a, b, temperature=0.5, symmetric=False).item() == pytest.approx(
        InfoNce(temperature=0.5, symmetric=False)((a, b), None).value.item()
    )
    assert info_nce(a, b, symmetric=False).item() != pytest.approx(info_nce(b, a, symmetric=False).item())
    assert info_nce(a, b).item() == pytest.approx(info_nce(b, a).item())


def test_alignment_and_uniformity_are_those_of_the_measures() -> None:
    a, b = drawn(), drawn(seed=1)

    for power, sharpness in ((2.0, 2.0), (1.5, 3.0)):
        found = alignment_uniformity(a, b, power=power, sharpness=sharpness).item()

        even = (uniformity(a, sharpness=sharpness) + uniformity(b, sharpness=sharpness)) / 2
        assert found == pytest.approx(alignment(a, b, power=power) + even)


def test_nothing_comes_back_through_the_stop_gradient() -> None:
    p, z = drawn().requires_grad_(), drawn(seed=1).requires_grad_()

    simsiam((p, p), (z, z)).backward()
    stopped = z.grad
    simsiam((p, p), (z, z), stop_gradient=False).backward()
    byol((p, p), (drawn(seed=2).requires_grad_(),) * 2).backward()

    assert stopped is None
    assert z.grad is not None
    assert z.grad.abs().sum() > 0
    target = drawn(seed=3).requires_grad_()
    byol((p, p), (target, target)).backward()
    assert target.grad is None


def test_the_slope_of_agreement_is_across_the_embedding() -> None:
    """cos does not change along p, so the gradient is orthogonal to it, and 0 where p and z agree."""
    p, z = drawn().requires_grad_(), drawn(seed=1)

    simsiam((p, p), (z, z)).backward()
    assert p.grad is not None
    across = (p.grad * p).sum(1).abs().max().item()
    agreed = z.clone().requires_grad_()
    simsiam((agreed, agreed), (z, z)).backward()

    assert across < 1e-12
    assert agreed.grad is not None
    assert agreed.grad.abs().max() < 1e-12


@pytest.mark.parametrize("name", ONE_SIDED)
def test_slopes_are_those_of_differences(name: str) -> None:
    def own(a: Tensor) -> Tensor:
        """Through the first view alone, and where there is a stop-gradient through the predictions alone."""
        if name in ("simsiam", "byol"):
            return (simsiam if name == "simsiam" else byol)((a, a), (other, other))
        return ONE_SIDED[name](a, other)

    other = drawn(5, 3, seed=1)

    assert torch.autograd.gradcheck(own, drawn(5, 3).requires_grad_())


@pytest.mark.parametrize("name", ["vicreg", "barlow_twins", "alignment_uniformity"])
def test_slopes_are_finite_where_all_embeddings_are_one(name: str) -> None:
    point = torch.ones(8, 4, requires_grad=True)

    ONE_SIDED[name](point, point).backward()

    assert point.grad is not None
    assert bool(point.grad.isfinite().all())


def test_length_matters_to_vicreg_alone() -> None:
    a, b = drawn(), drawn(seed=1)

    for name, loss in ONE_SIDED.items():
        same = loss(3 * a, 3 * b).item() == pytest.approx(loss(a, b).item(), rel=1e-4)
        assert same == (name != "vicreg"), name


def test_half_precision_is_computed_in_single() -> None:
    a, b = drawn().float(), drawn(seed=1).float()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [loss(a, b).item() for loss in ONE_SIDED.values()]

    assert found == pytest.approx([loss(a, b).item() for loss in ONE_SIDED.values()], rel=1e-6)
    assert vicreg(a.bfloat16(), b.bfloat16()).dtype == torch.float32


def test_a_target_follows_its_net_and_is_not_trained() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    target = MomentumTarget(net)
    start = [one.clone() for one in target.parameters()]
    with torch.no_grad():
        for one in net.parameters():
            one.add_(1.0)

    target.update(net, 0.9)

    for before, now, live in zip(start, target.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(now, 0.9 * before + 0.1 * live.detach())
    target.update(net, 1.0)
    assert not any(one.requires_grad for one in target.parameters())
    assert not target(torch.randn(5, 3, requires_grad=True)).requires_grad
    assert not torch.equal(target.net[1].running_mean, net[1].running_mean)  # statistics of its own views


def test_the_momentum_rises_to_one_along_half_a_cosine() -> None:
    found = [target_momentum(step, 200, 0.9) for step in range(201)]

    assert found[0] == pytest.approx(0.9)
    assert found[50] == pytest.approx(1 - 0.1 * (1 + math.sqrt(0.5)) / 2)
    assert found[200] == target_momentum(900, 200, 0.9) == 1
    assert all(one < other for one, other in pairwise(found))


def test_heads_are_built_as_asked() -> None:
    plain, full, bare = projector(5, 3), projector(5, 3, hidden=7, layers=2, norm="all"), projector(5, 3, norm="none")

    norms = [sum(isinstance(layer, nn.BatchNorm1d) for layer in net) for net in (plain, full, bare)]
    assert norms == [2, 2, 0]
    assert [full[0].out_features, bare[0].out_features] == [7, 3]
    assert (full[-1].affine, full[0].bias, bare[0].bias is None) == (False, None, False)
    assert [tuple(net(torch.randn(4, 5)).shape) for net in (plain, full, bare)] == [(4, 3)] * 3
    assert [predictor(8)[0].out_features, predictor(8, hidden=5)[0].out_features, predictor(2)[0].out_features] == [
        2,
        5,
        1,
    ]
    assert not any(isinstance(layer, nn.BatchNorm1d) for layer in predictor(8, norm=False))
    assert normalize(predictor(8)(torch.randn(4, 8))).shape == (4, 8)


def told(call: Callable[[], Any]) -> str:
    with pytest.raises((DataError, ModelError, RecipeError)) as caught:
        call()
    return str(caught.value)


def test_wrong_use_is_one_sentence() -> None:
    a, b = drawn(), drawn(width=5)

    assert "two" in told(lambda: vicreg(a, b)) or "embeddings (N, D)" in told(lambda: vicreg(a, b))
    assert "a batch of 1 rows" in told(lambda: barlow_twins(a[:1], a[:1]))
    assert "takes 2 or more" in told(lambda: info_nce(a[:1], a[:1]))
    assert "power = 0" in told(lambda: alignment_uniformity(a, a, power=0))
    assert "momentum = 1.5" in told(lambda: MomentumTarget(nn.Linear(1, 1)).update(nn.Linear(1, 1), 1.5))
    assert "another net" in told(lambda: MomentumTarget(nn.Linear(1, 1)).update(nn.Linear(2, 1), 0.5))
    assert "start = 2" in told(lambda: target_momentum(0, 10, 2))
    assert "layers = 0" in told(lambda: projector(4, 4, layers=0))
    assert "norm = 'some'" in told(lambda: projector(4, 4, norm="some"))  # type: ignore[arg-type]
    assert "hidden = -1" in told(lambda: predictor(4, hidden=-1))
