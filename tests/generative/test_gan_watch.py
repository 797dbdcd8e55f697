"""The watch over two players: what it sees, what it says, that it leaves no trace; the measure it goes by."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tunesmith as ts
from tests.generative.test_collapse import net
from tunesmith.generative import NonSaturating, Packed, lost_mass, mixture, ring
from tunesmith.generative.gan.findings import LOOKS, found_in, news, stands_at
from tunesmith.generative.gan.looks import Look, Sight, gaussian, look_of
from tunesmith.generative.measures.lost_mass import count_of_cells
from tunesmith.records import DataError, ModelError, RecipeError
from tunesmith.runs import Run

CENTRES = ring(8, 2.0)
GAME = NonSaturating()


def played(
    steps: int, watched: bool = True, *, pack: int = 1, held: Any = None, rows: int = 20_000, seed: int = 0, **more: Any
) -> tuple[Any, dict[str, Tensor], list[str]]:
    """A loop that somebody else wrote, on the ring: the watch, the generator's weights, what was said."""
    torch.manual_seed(seed)
    generator, discriminator = net(256, 2), Packed(net(2 * pack, 1), pack)
    slow = torch.optim.Adam(discriminator.parameters(), lr=1e-4, betas=(0.5, 0.999))
    fast = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    data = torch.from_numpy(mixture(CENTRES, 0.02, rows)).float()
    said: list[str] = []
    watch = (
        ts.GanWatch(
            generator,
            discriminator,
            data,
            256,
            held=held,
            optimizers=(slow, fast),
            together=pack,
            say=lambda finding, step: said.append(finding.fault),
            **more,
        )
        if watched
        else None
    )
    for _ in range(steps):
        real = data[torch.randint(0, len(data), (128 * pack,))]
        made = generator(torch.randn(128 * pack, 256)).detach()
        judged = GAME.discriminator(discriminator(real), discriminator(made))
        slow.zero_grad()
        judged.backward()
        slow.step()
        fooled = GAME.generator(discriminator(generator(torch.randn(128 * pack, 256))))
        fast.zero_grad()
        fooled.backward()
        fast.step()
        if watch is not None:
            watch.step(fooled, judged)
    return watch, {name: value.clone() for name, value in generator.state_dict().items()}, said


def test_a_plain_gan_is_told_and_a_packed_one_is_not() -> None:
    plain, _, said = played(400, every=50)
    packed, _, silence = played(400, pack=2, every=50)

    assert said.count("collapse.mode") == len(said) >= 1
    assert [finding.fault for finding in plain.findings()] == ["collapse.mode"]
    finding = plain.findings()[0]
    assert {one.name for one in finding.evidence} == {"lost_mass", "coverage", "spread"}
    assert all(one.threshold is not None for one in finding.evidence)
    assert "cells" in finding.because
    assert "单元" in finding.text("zh")
    assert all(remedy.text() != remedy.title for remedy in finding.remedies)
    assert packed.findings() == silence == []


def test_losses_norms_and_looks_of_both_players_are_written(tmp_path: Any) -> None:
    held = mixture(CENTRES, 0.02, 500, seed=9)
    watch, _, _ = played(60, every=20, held=held, folder=tmp_path / "run")
    watch.close()
    run = Run(tmp_path / "run")

    for name, where in (("loss", ""), ("loss", "discriminator"), ("grad_norm", ""), ("grad_norm", "discriminator")):
        steps, values = run.signals.read(name, where)
        assert steps.tolist() == list(range(1, 61))
        assert np.isfinite(values).all()
    for name in ("lost_mass", "coverage", "made_precision", "made_spread", "sure_real", "sure_made", "known_rows"):
        assert run.signals.read(name)[0].tolist() == [20, 40, 60]
    assert run.status == "finished"
    assert "Made samples" in ts.report(run).read_text(encoding="utf-8")


def test_watching_leaves_no_trace_in_the_training() -> None:
    _, watched, _ = played(40, every=5, held=mixture(CENTRES, 0.02, 300, seed=9))
    _, alone, _ = played(40, watched=False)

    assert all(torch.equal(watched[name], alone[name]) for name in alone)


def test_batch_norm_and_dropout_are_as_they_were_after_a_look() -> None:
    generator = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    generator[2].eval()  # a part that the user put into evaluation mode stays there
    watch = ts.GanWatch(generator, nn.Linear(2, 1), torch.randn(300, 2), 4)
    before, random = copy.deepcopy(generator.state_dict()), torch.get_rng_state()

    watch.look()

    assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
    assert [module.training for module in generator] == [True, True, False, True]
    assert torch.equal(torch.get_rng_state(), random)


def test_looks_keep_to_their_share_of_the_time() -> None:
    watch, _, _ = played(150, overhead=0.5)

    assert 2 <= len(watch.looks) < 150
    assert watch.cost < 0.6


def test_a_discriminator_that_knows_its_rows_is_told() -> None:
    """Few rows of noise, in many dimensions, that a large net learns by heart."""
    torch.manual_seed(0)
    rows, held = torch.randn(300, 20), torch.randn(300, 20)
    generator = nn.Linear(4, 20)
    discriminator = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 1))
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=3e-3)
    watch = ts.GanWatch(generator, discriminator, rows, lambda count: torch.randn(count, 4), held=held, every=50)
    for _ in range(400):
        made = torch.randn(300, 20)  # as good as real: all there is to learn is which rows are known
        loss = GAME.discriminator(discriminator(rows), discriminator(made))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.step(0.0, loss)

    overfit = [one for one in watch.findings() if one.fault == "fit.overfit"]
    assert overfit
    assert overfit[0].subject["part"] == "discriminator"


def test_a_loss_that_is_not_finite_is_told_at_once() -> None:
    watch = ts.GanWatch(nn.Linear(4, 2), nn.Linear(2, 1), torch.randn(200, 2), 4)

    (found,) = watch.step(0.5, float("nan"))
    again = watch.step(0.5, float("nan"))

    assert (found.fault, found.severity, found.status) == ("loss.nonfinite", "error", "confirmed")
    assert "discriminator" in found.because
    assert again == []


def test_samples_that_are_not_finite_are_told_and_do_not_stop_the_loop() -> None:
    generator = nn.Linear(4, 2)
    watch = ts.GanWatch(generator, nn.Linear(2, 1), torch.randn(200, 2), 4, every=1)
    generator.bias.data[0] = float("inf")

    (found,) = watch.step(0.5, 0.5)

    assert (found.fault, watch.step(0.5, 0.5)) == ("loss.nonfinite", [])
    assert "a sample of the generator is inf" in found.because


def test_a_loop_that_breaks_leaves_a_failed_run(tmp_path: Any) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        ts.GanWatch(nn.Linear(4, 2), nn.Linear(2, 1), torch.randn(200, 2), 4, folder=tmp_path / "run"),
    ):
        raise ZeroDivisionError

    assert Run(tmp_path / "run").status == "failed"


LOOK = Look(
    step=0,
    samples=1000,
    lost=0.0,
    cells_lost=0,
    cells=13,
    coverage=0.9,
    expected_coverage=0.97,
    precision=0.9,
    spread=1.0,
)


def looks(lost: list[float], **more: Any) -> list[Look]:
    return [replace(LOOK, step=100 * place, lost=one, **more) for place, one in enumerate(lost)]


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ([0.9] * LOOKS, "gan.collapsed"),
        ([0.0, 0.0, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6], "gan.partly"),
        ([1.0, 0.7, 0.6, 0.55, 0.6, 0.6, 0.6, 0.7, 0.6], "gan.collapsed"),
        ([0.25, 0.25, 0.3, 0.25, 0.25, 0.3], "gan.partly"),
    ],
)
def test_traces_on_which_it_speaks(lost: list[float], message: str) -> None:
    assert [one.message for one in found_in(looks(lost))] == [message]


@pytest.mark.parametrize(
    "lost",
    [
        [1.0],  # it has just begun
        [1.0] * (LOOKS - 1),
        [1.0, 0.9, 0.9, 0.5, 0.4, 0.3],  # it learns
        [0.71, 0.86, 0.68, 0.71, 0.3, 0.41, 0.41, 0.3, 0.2, 0.2],  # digits, measured: slowly
        [0.9] * (LOOKS - 1) + [0.1],  # it came back
        [0.15] * 8,  # a blurred border
        [],
    ],
)
def test_traces_on_which_it_is_silent(lost: list[float]) -> None:
    assert all(found_in(looks(lost[:upto])) == [] for upto in range(len(lost) + 1))


def test_what_was_told_is_taken_back_once_the_modes_return_and_told_again() -> None:
    events = stands_at(looks([0.9] * 8 + [0.0] * 8 + [0.8] * 8))

    assert events == [(500, True), (1100, False), (2100, True)]


def test_a_collapse_that_gets_graver_is_told_again() -> None:
    told: dict[str, str] = {}
    said = []
    trace = looks([0.3] * LOOKS + [0.9] * LOOKS)
    for upto in range(1, len(trace) + 1):
        for one in news(trace[:upto], told):
            told[one.fault] = one.message
            said.append(one.message)

    assert said == ["gan.partly", "gan.collapsed"]


@pytest.mark.parametrize(
    ("known", "gap", "tells"), [(10.0, 0.5, True), (10.0, 0.1, False), (3.0, 0.5, False), (None, None, False)]
)
def test_when_the_discriminator_is_said_to_know_its_rows(known: float | None, gap: float | None, tells: bool) -> None:
    found = found_in(looks([0.0] * LOOKS, known=known, gap=gap))

    assert [one.fault for one in found] == ["fit.overfit"] * tells


def test_a_look_comes_back_from_its_plain_data() -> None:
    assert look_of(LOOK.as_dict()) == LOOK


def laws() -> Iterator[tuple[str, Any]]:
    def normal(rng: Any, count: int) -> Any:
        return rng.normal(size=(count, 2))

    yield "ring", lambda rng, count: mixture(CENTRES, 0.02, count, seed=int(rng.integers(1 << 30)))
    yield "normal", normal
    yield "tails", lambda rng, count: rng.standard_t(2, size=(count, 3))
    yield "many", lambda rng, count: rng.normal(size=(count, 50)) * np.linspace(0.1, 3, 50)


@pytest.mark.parametrize(("name", "law"), list(laws()), ids=lambda one: one if isinstance(one, str) else "")
def test_what_is_of_one_law_has_lost_nothing(name: str, law: Any) -> None:
    """Even a generator that gives all a fifth of their due is called lossy in 1 of 100 looks at most; these give all of it."""
    rng = np.random.default_rng(0)

    found = [lost_mass(law(rng, 600), law(rng, 600), seed=seed).share for seed in range(20)]

    assert found == [0.0] * 20


def test_a_fifth_of_its_due_is_not_lost_and_nothing_is() -> None:
    """Seven modes as they are; the eighth at a fifth of its share, then gone."""
    real, seven = mixture(CENTRES, 0.02, 2000), mixture(CENTRES[:7], 0.02, 2000, seed=1)
    few = seven.copy()
    few[: 2000 // 40] = mixture(CENTRES[7:], 0.02, 50, seed=2)

    assert lost_mass(real, few).share == 0.0
    assert lost_mass(real, seven).share == pytest.approx(1 / 8, abs=0.03)


@pytest.mark.parametrize("kept", [1, 2, 4, 6])
def test_the_share_lost_is_that_of_the_modes_that_are_gone(kept: int) -> None:
    found = lost_mass(mixture(CENTRES, 0.02, 4000), mixture(CENTRES[:kept], 0.02, 4000, seed=1))

    assert found.share == pytest.approx(1 - kept / 8, abs=0.05)
    assert found.counts.sum() == 4000


def test_a_cell_of_half_the_average_weight_can_be_called_lost() -> None:
    for made in (200, 1000, 4000):
        cells = count_of_cells(made)
        assert np.exp(-made / (10 * cells)) < 0.01 / cells or cells == 2


@pytest.mark.parametrize(("real", "made"), [(50, 500), (500, 50)])
def test_too_few_rows_are_refused(real: int, made: int) -> None:
    with pytest.raises(DataError, match="of 100 each"):
        lost_mass(np.zeros((real, 2)), np.zeros((made, 2)))


def test_rows_in_order_of_their_classes_are_looked_at_from_all_of_them() -> None:
    rows = torch.arange(5000.0)[:, None].repeat(1, 2)

    sight = Sight(rows, gaussian(4), held=rows)

    assert len(sight.real) == 1000
    assert sight.real[:, 0].std() > 1300  # 5000 / √12 = 1443; of the first thousand 289
    assert sight.compared[:, 0].std() > 1300


def test_features_and_the_number_of_samples_are_those_given() -> None:
    """Rows that differ from what is made in the second column alone, which the features leave out."""
    rows = torch.cat([torch.randn(400, 1), 100 + torch.randn(400, 1)], dim=1)
    generator = nn.Identity()

    plain = ts.GanWatch(generator, nn.Linear(2, 1), rows, 2, samples=300, seed=3)
    some = ts.GanWatch(generator, nn.Linear(2, 1), rows, 2, samples=300, seed=3, features=lambda one: one[:, :1])
    plain.look()
    some.look()

    assert (plain.looks[0].samples, some.looks[0].samples) == (300, 300)
    assert plain.looks[0].coverage == 0
    assert some.looks[0].coverage > 0.9
    assert some.looks[0].lost == 0


def test_a_watch_goes_on_in_its_folder(tmp_path: Any) -> None:
    players = nn.Linear(4, 2), nn.Linear(2, 1), torch.randn(200, 2), 4
    with ts.GanWatch(*players, folder=tmp_path / "run") as first:
        first.step(1.0, 2.0)
    with ts.GanWatch(*players, folder=tmp_path / "run", first_step=1) as second:
        second.step(3.0, 4.0)

    steps, values = Run(tmp_path / "run").signals.read("loss")
    assert (steps.tolist(), values.tolist()) == ([1, 2], [1.0, 3.0])


def test_wrong_use_is_one_sentence() -> None:
    generator, discriminator, real = nn.Linear(4, 2), nn.Linear(2, 1), torch.randn(200, 2)

    with pytest.raises(RecipeError, match="overhead = 2"):
        ts.GanWatch(generator, discriminator, real, 4, overhead=2)
    with pytest.raises(ModelError, match=r"shape \(2,\), the real rows have \(3,\)"):
        ts.GanWatch(generator, discriminator, torch.randn(200, 3), 4)
    with pytest.raises(DataError, match="gave 7"):
        Sight(real, lambda count: torch.randn(7, 4))
    assert gaussian(3)(2).shape == (2, 3)
