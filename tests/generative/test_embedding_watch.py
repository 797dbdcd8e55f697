"""The watch over embeddings: the three collapses are seen, sound trainings are left in peace, nothing is changed; its measures."""

import copy
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tunesmith as ts
from tunesmith.generative import (
    MomentumTarget,
    alignment_uniformity,
    barlow_twins,
    byol,
    common_direction,
    info_nce,
    normalised_spread,
    shared_rank,
    simsiam,
    target_momentum,
    vicreg,
)
from tunesmith.generative.embedding.findings import LOOKS, Case, found_in, gains, news, stands_at
from tunesmith.generative.embedding.looks import EmbeddingLook, EmbeddingSight, look_of
from tunesmith.records import DataError, ModelError, RecipeError
from tunesmith.runs import Run

WIDE = 32
BLIND = {"vicreg": ("offset",), "barlow_twins": ("length", "offset"), "pairs": ()}


def net(sizes: tuple[int, int, int], norm: bool, last: bool) -> nn.Sequential:
    one, two, three = sizes
    first = [nn.Linear(one, two), *([nn.BatchNorm1d(two)] if norm else []), nn.ReLU(), nn.Linear(two, three)]
    return nn.Sequential(*first, *([nn.BatchNorm1d(three)] if norm and last else []))


def noisy(rows: Tensor) -> Tensor:
    return rows + 0.3 * torch.randn_like(rows)


def rows_of(rank: int) -> Tensor:
    """Rows of 20 numbers that fill `rank` dimensions."""
    generator = torch.Generator().manual_seed(1)
    mix = torch.eye(20) if rank == 20 else torch.randn(rank, 20, generator=generator) / rank**0.5
    return torch.randn(3000, rank, generator=generator) @ mix


def trained(
    rule: str,
    norm: bool,
    *,
    steps: int = 300,
    rank: int = 20,
    wide: int = WIDE,
    watched: bool = True,
    seed: int = 0,
    rate: float = 0.05,
    decay: float = 0.0,
    **more: Any,
) -> tuple[Any, dict[str, Tensor]]:
    """A loop that somebody else wrote: the watch, and the encoder's weights at the end."""
    torch.manual_seed(seed)
    encoder, predictor = net((20, 64, wide), norm, True), net((wide, max(2, wide // 2), wide), norm, False)
    data, target = rows_of(rank), MomentumTarget(encoder)
    parameters = [*encoder.parameters(), *predictor.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=decay)
    settings = {
        "every": 20,
        "blind": BLIND.get(rule, ("length",)),
        "spread": 1.0 if rule == "vicreg" else None,
        **more,
    }
    watch = ts.EmbeddingWatch(encoder, data[2000:], view=noisy, optimizer=optimizer, **settings) if watched else None
    for step in range(steps):
        batch = data[torch.randint(0, 2000, (256,))]
        views = noisy(batch), noisy(batch)
        one, other = (encoder(view) for view in views)
        match rule:
            case "simsiam" | "no stop-gradient":
                loss = simsiam((predictor(one), predictor(other)), (one, other), stop_gradient=rule == "simsiam")
            case "byol":
                loss = byol((predictor(one), predictor(other)), (target(views[0]), target(views[1])))
            case "vicreg":
                loss = vicreg(one, other) / 25
            case "barlow_twins":
                loss = barlow_twins(one, other) / wide
            case "info_nce":
                loss = info_nce(one, other)
            case "alignment_uniformity":
                loss = alignment_uniformity(one, other)
            case _:
                loss = (one - other).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if rule == "byol":
            target.update(encoder, target_momentum(step, steps, 0.99))
        if watch is not None:
            watch.step(loss)
    return watch, {name: value.clone() for name, value in encoder.state_dict().items()}


COLLAPSES = [
    ("no stop-gradient", False, "embedding.one", {}),
    ("no stop-gradient", True, "embedding.few", {"steps": 400}),
    ("pairs", True, "embedding.shrinks", {}),
    ("pairs", False, "embedding.shrinks", {"steps": 400, "rate": 0.1}),
]


@pytest.mark.parametrize(("rule", "norm", "message", "more"), COLLAPSES)
def test_every_way_to_collapse_is_told(rule: str, norm: bool, message: str, more: dict[str, Any]) -> None:
    watch, _ = trained(rule, norm, **more)

    (found,) = watch.findings()
    assert (found.fault, found.message, found.severity) == ("collapse.representation", message, "warning")
    assert all(one.threshold is not None and one.value <= one.threshold for one in found.evidence[:1])
    assert "at the last 6 looks" in found.because
    assert "6 次查看" in found.text("zh")
    assert all(remedy.text() != remedy.title for remedy in found.remedies)


SOUND = ("simsiam", "byol", "vicreg", "barlow_twins", "info_nce", "alignment_uniformity")


@pytest.mark.parametrize("rank", [20, 2])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("rule", SOUND)
def test_a_sound_training_is_left_in_peace(rule: str, norm: bool, rank: int) -> None:
    """At its beginning too, and where the data themselves fill two dimensions."""
    watch, _ = trained(rule, norm, rank=rank, steps=160, every=5)

    assert watch.findings() == []
    assert [one for one in watch.run.findings if one.status != "refuted"] == []
    assert len(watch.looks) == 32


@pytest.mark.parametrize("wide", [1, 2, 3])
@pytest.mark.parametrize("rule", ["vicreg", "info_nce", "byol"])
def test_few_dimensions_are_not_called_collapsed_for_being_few(rule: str, wide: int) -> None:
    watch, _ = trained(rule, True, wide=wide, steps=120, every=5)

    assert watch.findings() == []


def test_weight_decay_may_shrink_what_a_loss_of_cosines_does_not_see() -> None:
    watch, _ = trained("info_nce", False, decay=0.05, every=10)

    assert watch.looks[-1].raw_spread < 0.7 * max(look.raw_spread for look in watch.looks)
    assert watch.findings() == []


def test_a_line_of_two_dimensions_is_told() -> None:
    """Two dimensions that become copies of each other."""
    encoder = nn.Linear(20, 2, bias=False)
    with ts.EmbeddingWatch(encoder, rows_of(20), view=noisy, every=1) as watch:
        with torch.no_grad():
            encoder.weight[1] = encoder.weight[0]
        for _ in range(LOOKS):
            watch.step(1.0)

    assert [found.message for found in watch.findings()] == ["embedding.few"]


def test_loss_norm_and_looks_are_written_and_diagnosed(tmp_path: Any) -> None:
    watch, _ = trained("no stop-gradient", False, steps=200, folder=tmp_path / "run")
    watch.close()
    run = Run(tmp_path / "run")

    for name in ("loss", "grad_norm"):
        steps, values = run.signals.read(name)
        assert steps.tolist() == list(range(1, 201))
        assert np.isfinite(values).all()
    names = ("spread", "spread_normalised", "rank", "common", "shared")
    for name in (*(f"embedding_{one}" for one in names), "alignment", "uniformity"):
        assert run.signals.read(name)[0].tolist() == list(range(0, 201, 20))
    assert run.status == "finished"
    assert [one.fault for one in ts.diagnose(run)] == ["collapse.representation"]


def test_watching_leaves_no_trace_in_the_training() -> None:
    _, watched = trained("byol", True, steps=40, every=3)
    _, alone = trained("byol", True, steps=40, watched=False)

    assert all(torch.equal(watched[name], alone[name]) for name in alone)


def test_batch_norm_and_dropout_are_as_they_were_after_a_look() -> None:
    encoder = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.BatchNorm1d(8))
    encoder[3].eval()  # a norm that the user froze stays frozen
    watch = ts.EmbeddingWatch(encoder, torch.randn(100, 4))
    before, random = copy.deepcopy(encoder.state_dict()), torch.get_rng_state()

    watch.look()

    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    assert [module.training for module in encoder] == [True, True, True, False]
    assert torch.equal(torch.get_rng_state(), random)
    assert watch.looks[0].rank == pytest.approx(watch.case.start.rank)  # no dropout: a look is the same again


def test_batch_norm_looks_with_the_statistics_of_the_sample() -> None:
    """Else a net that has just begun would seem to shrink once its running statistics catch up."""
    encoder = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    encoder[0].weight.data.mul_(100)

    watch = ts.EmbeddingWatch(encoder, torch.randn(200, 4))

    assert watch.case.start.raw_spread == pytest.approx(1, abs=0.01)


def test_looks_keep_to_their_share_of_the_time() -> None:
    watch, _ = trained("simsiam", True, steps=150, every=None, overhead=0.3)

    assert 2 <= len(watch.looks) < 150
    assert watch.cost < 0.4


def test_what_is_not_finite_is_told_at_once() -> None:
    encoder = nn.Linear(4, 8)
    watch = ts.EmbeddingWatch(encoder, torch.randn(100, 4), every=1)

    (found,) = watch.step(float("nan"))
    again = watch.step(float("nan"))
    other = ts.EmbeddingWatch(nn.Linear(4, 8), torch.randn(100, 4), every=1)
    other.encoder.bias.data[0] = float("inf")
    (broken,) = other.step(1.0)

    assert (found.fault, found.severity, again) == ("loss.nonfinite", "error", [])
    assert "the loss is nan" in found.because
    assert "an embedding is inf" in broken.because


def test_a_loop_that_breaks_leaves_a_failed_run(tmp_path: Any) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        ts.EmbeddingWatch(nn.Linear(4, 2), torch.randn(100, 4), folder=tmp_path / "run"),
    ):
        raise ZeroDivisionError

    assert Run(tmp_path / "run").status == "failed"


def test_a_watch_goes_on_in_its_folder_and_judges_by_the_first_look(tmp_path: Any) -> None:
    encoder, rows = nn.Linear(4, 8), torch.randn(100, 4)
    with ts.EmbeddingWatch(encoder, rows, folder=tmp_path / "run") as first:
        first.step(1.0)
    with torch.no_grad():
        encoder.weight.mul_(0.1)
    with ts.EmbeddingWatch(encoder, rows, folder=tmp_path / "run", first_step=1) as second:
        second.step(3.0)

    steps, values = Run(tmp_path / "run").signals.read("loss")
    assert (steps.tolist(), values.tolist()) == ([1, 2], [1.0, 3.0])
    assert second.case.start == first.case.start


LOOK = EmbeddingLook(
    step=0,
    rows=512,
    dimensions=32,
    raw_spread=1.0,
    normalised_spread=0.176,
    effective_rank=25.0,
    alignment=0.2,
    uniformity=-3.0,
    common=0.01,
    rank=25.0,
    shared=15.0,
    apart=0.1,
)
CASE = Case(start=LOOK)


def trace(values: list[dict[str, float]]) -> list[EmbeddingLook]:
    return [replace(LOOK, step=10 * place, **one) for place, one in enumerate(values)]


ONE_WAY, FEW = {"common": 0.99}, {"rank": 8.0, "shared": 4.0}
LINE, NOISY = {"rank": 12.0, "shared": 1.05}, {"rank": 5.0, "shared": 1.05}
FALLS = [{"raw_spread": 0.5 * 0.9**place, "apart": 0.05 * 0.81**place} for place in range(LOOKS)]
LOSSES = [2 * one["apart"] for one in FALLS]


@pytest.mark.parametrize(
    ("looks", "losses", "message"),
    [
        ([ONE_WAY] * LOOKS, [], "embedding.one"),
        ([FEW] * LOOKS, [], "embedding.few"),
        ([LINE] * LOOKS, [], "embedding.few"),
        ([NOISY] * LOOKS, [], "embedding.few"),
        (FALLS, LOSSES, "embedding.shrinks"),
        ([{"common": 0.99, "rank": 2.0}] * LOOKS, [], "embedding.one"),
    ],
)
def test_traces_on_which_it_speaks(looks: list[dict[str, float]], losses: list[float], message: str) -> None:
    found = found_in(trace(looks), CASE, losses)

    assert found is not None
    assert found.message == message


@pytest.mark.parametrize(
    ("looks", "losses", "case"),
    [
        ([ONE_WAY] * (LOOKS - 1), [], CASE),
        ([ONE_WAY] * (LOOKS - 1) + [{"common": 0.9}], [], CASE),
        ([{"common": one} for one in (0.999, 0.998, 0.995, 0.99, 0.98, 0.97)], [], CASE),  # it spreads
        ([ONE_WAY] * LOOKS, [], Case(start=replace(LOOK, common=0.97))),  # it began so
        ([ONE_WAY] * LOOKS, [], Case(start=LOOK, blind=("offset",))),  # a loss that does not see it
        ([{"rank": 12.0}] * LOOKS, [], CASE),  # half of the start, as in sound runs on pictures
        ([LINE] * LOOKS, [], Case(start=replace(LOOK, shared=1.5))),  # one direction is all there is
        ([{"rank": one, "shared": 4.0} for one in (4.0, 5.0, 6.0, 7.0, 8.0, 9.0)], [], CASE),  # it fills more
        (FALLS, [], CASE),  # what the loss is, is not known
        (FALLS, [1.0] * LOOKS, CASE),  # a loss that does not fall with them
        (FALLS, [-1.0] * LOOKS, CASE),  # a loss of cosines
        (FALLS, LOSSES, Case(start=LOOK, blind=("length",))),
        (FALLS, LOSSES, Case(start=replace(LOOK, raw_spread=9.0), spread=0.2)),  # above what is kept
        ([{"raw_spread": 0.4, "apart": 0.05}] * LOOKS, [0.1] * LOOKS, CASE),  # it stands
        ([], [], CASE),
    ],
)
def test_traces_on_which_it_is_silent(looks: list[dict[str, float]], losses: list[float], case: Case) -> None:
    assert found_in(trace(looks), case, losses) is None


def test_spread_that_is_kept_is_what_shrinking_is_judged_by() -> None:
    assert found_in(trace(FALLS), Case(start=replace(LOOK, raw_spread=9.0), spread=1.0)) is not None


def test_what_was_told_is_taken_back_told_again_and_told_when_graver() -> None:
    calm: list[dict[str, float]] = [{}] * LOOKS

    events = stands_at(trace([FEW] * LOOKS + [ONE_WAY] * LOOKS + calm + [FEW] * LOOKS), CASE)

    assert [message for _, message in events] == [
        "embedding.few",
        "embedding.one",
        "embedding.returned",
        "embedding.few",
    ]
    assert [step for step, _ in events[:2]] == [10 * (LOOKS - 1), 10 * (2 * LOOKS - 1)]
    back = news(trace([ONE_WAY] * LOOKS + calm), CASE, "embedding.one")
    assert back is not None
    assert (back.status, back.severity) == ("refuted", "note")
    assert "spread again" in back.because


def test_gains_are_those_beyond_the_error_of_two_means() -> None:
    assert gains([1, 1, 1, 2, 2, 2])
    assert not gains([1, 1, 1, 1, 1, 1])
    assert not gains([1, 5, 1, 5, 1, 5])
    assert not gains([2, 2, 2, 1, 1, 1])


def test_a_look_comes_back_from_its_plain_data() -> None:
    assert look_of(LOOK.as_dict()) == LOOK


@cache
def normal(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("rows", "columns"), [(512, 8), (512, 64), (128, 600)])
@pytest.mark.parametrize("shared", [1, 4])
def test_what_views_share_is_told_from_their_own_noise(rows: int, columns: int, shared: int) -> None:
    """`shared` directions of deviation 4, and noise of deviation 1 in all columns of both views."""
    common = 4 * normal(rows, shared, 0) @ torch.linalg.qr(normal(columns, shared, 1)).Q.T

    found = shared_rank(common + normal(rows, columns, 2), common + normal(rows, columns, 3))

    assert found == pytest.approx(shared, rel=0.35, abs=0.7)
    assert 1 <= shared_rank(common, common) <= shared + 1e-6


def test_views_that_share_nothing_have_little_or_no_rank() -> None:
    found = [shared_rank(normal(512, 64, seed), normal(512, 64, seed + 50)) or 0.0 for seed in range(10)]

    assert max(found) < 12  # by chance as many above 0 as below, give or take the root of 64
    assert shared_rank(np.ones((40, 3)), np.ones((40, 3))) is None


def test_the_common_direction_does_not_depend_on_the_axes_and_is_the_spread() -> None:
    z = normal(300, 6, 0)
    low = z[:, :2] @ torch.eye(2, 6, dtype=torch.float64)
    turned = low @ torch.linalg.qr(normal(6, 6, 1)).Q

    assert common_direction(low) == pytest.approx(common_direction(turned))
    assert normalised_spread(low) < normalised_spread(turned)  # which depends on them
    assert common_direction(z) < 0.02
    u = z / z.norm(dim=1, keepdim=True)
    assert math.sqrt(1 - common_direction(z)) == pytest.approx(
        (u.var(0, correction=0).mean() * 6).sqrt().item(), rel=1e-9
    )


def test_blindness_takes_off_what_the_loss_does_not_see() -> None:
    rows = normal(400, 5, 0).float()
    scaled = nn.Linear(5, 5)
    with torch.no_grad():
        scaled.weight.copy_(torch.diag(torch.tensor([100.0, 1, 1, 1, 1])))
        scaled.bias.fill_(1000.0)

    plain, centred, both = (
        EmbeddingSight(rows, blind=blind)(scaled, 0) for blind in ((), ("offset",), ("length", "offset"))
    )

    assert plain.common > 0.9 > 0.1 > centred.common
    assert centred.rank is not None
    assert centred.rank < 1.5
    assert both.rank == pytest.approx(5, rel=0.02)


def test_wrong_use_is_one_sentence() -> None:
    encoder, rows = nn.Linear(4, 2), torch.randn(100, 4)

    with pytest.raises(RecipeError, match="overhead = 2"):
        ts.EmbeddingWatch(encoder, rows, overhead=2)
    with pytest.raises(RecipeError, match="blind = 'length'"):
        ts.EmbeddingWatch(encoder, rows, blind="length")
    with pytest.raises(RecipeError, match="spread = -1"):
        ts.EmbeddingWatch(encoder, rows, spread=-1)
    with pytest.raises(DataError, match="at 10 rows"):
        ts.EmbeddingWatch(encoder, rows, samples=10)
    with pytest.raises(DataError, match="NaN"):
        ts.EmbeddingWatch(encoder, rows * float("nan"))
    with pytest.raises(DataError, match="one view for each row"):
        ts.EmbeddingWatch(encoder, rows, view=lambda given: given[:7])
    with pytest.raises(ModelError, match=r"a tensor \(N, D\) was expected"):
        ts.EmbeddingWatch(nn.Flatten(0), rows)
    with pytest.raises(DataError, match="2 numbers a row"):
        shared_rank(np.eye(3), np.eye(3)[:, :2])
