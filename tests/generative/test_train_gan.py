"""Two players in the loop of every training: what they learn, every rule of the game, exact resume, refusals, the page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tunesmith as ts
from tests.generative import gan_target
from tests.generative.killing import killed
from tests.training.test_resume import final as checked
from tests.training.test_resume import same
from tunesmith.generative.gan.plan import planned
from tunesmith.records import DataError, ModelError, Recipe, RecipeError, TrainingFailed, revise
from tunesmith.reports import QuietDisplay
from tunesmith.training.session import seeded

SHORT = {"train.steps": 4, "train.batch_size": 32, "eval.every": 2}


def final(folder: Path) -> Any:
    """Everything the run left, every signal and finding too."""
    run = ts.Run(folder)
    every = {key: run.signals.read(*key) for key in run.signals.names()}
    return checked(folder) | {"signals": every, "findings": [one.as_dict() for one in run.findings]}


def short(**rules: Any) -> Any:
    return ts.train_gan(gan_target.gan(**rules), SHORT, display=QuietDisplay())


def test_one_update_is_that_of_two_optimizers_written_out() -> None:
    """Two Adams, each stepping its own player, with the same random numbers."""
    recipe = revise(Recipe(), {"train.steps": 3, "train.batch_size": 32, "eval.every": 3, "optim.lr": 1e-2})
    task = ts.Gan(
        **{**gan_target.players(), "generator": lambda: nn.Linear(8, 2), "critic_rate": 0.5, "critic_steps": 2}
    )
    with seeded(0):
        plan = planned(task, recipe)
        generator, discriminator = nn.Linear(8, 2), None
        generator.load_state_dict(plan.state.model.generator.state_dict())
        discriminator = gan_target.players()["discriminator"]()
        discriminator.load_state_dict(plan.state.model.discriminator.state_dict())
        fast = torch.optim.Adam(generator.parameters(), lr=1e-2, betas=(0.5, 0.999))
        slow = torch.optim.Adam(discriminator.parameters(), lr=5e-3, betas=(0.5, 0.999))
        rows = plan.feed.rows
        before = torch.get_rng_state()
        for _ in range(3):
            batches = [rows[torch.randint(0, len(rows), (32,))] for _ in range(2)]
            for real in batches:
                made = generator(torch.randn(32, 8)).detach()
                loss = (
                    nn.functional.softplus(-discriminator(real)).mean()
                    + nn.functional.softplus(discriminator(made)).mean()
                )
                slow.zero_grad()
                loss.backward()
                slow.step()
            fast.zero_grad()
            nn.functional.softplus(-discriminator(generator(torch.randn(32, 8)))).mean().backward()
            fast.step()
        torch.set_rng_state(before)
        for _ in range(3):
            plan.rates.set(plan.state.step)
            _, stepped = plan.update(plan.state, plan.feed.window(plan.state), lambda state, gradient: True)
            assert stepped

    for own, other in ((generator, plan.state.model.generator), (discriminator, plan.state.model.discriminator)):
        for name, value in own.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("penalty", ["gradient_penalty", "r1"])
def test_a_penalty_takes_the_norm_of_a_pack(penalty: str) -> None:
    """Of a linear discriminator of pairs: 10 (|w| - 1)² and 5 |w|², with |w| over both samples of a pair."""
    recipe = revise(Recipe(), {"train.steps": 1, "train.batch_size": 32, "eval.every": 1})
    rules = {"discriminator": lambda: nn.Linear(4, 1), "pack": 2, "penalty": penalty, "game": Flat()}
    with seeded(0):
        plan = planned(gan_target.gan(**rules), recipe)
        size = plan.state.model.discriminator.discriminator.weight.norm().item()
        plan.update(plan.state, plan.feed.window(plan.state), lambda state, gradient: True)

    expected = 10 * (size - 1) ** 2 if penalty == "gradient_penalty" else 5 * size**2
    assert plan.update.signals["loss"].item() == pytest.approx(expected, rel=1e-5)


class Flat:
    """A game of losses 0, so that the penalty is left."""

    def discriminator(self, real: Tensor, made: Tensor) -> Tensor:
        return 0 * (real.mean() + made.mean())

    def generator(self, made: Tensor) -> Tensor:
        return 0 * made.mean()


def test_a_packed_gan_finds_the_modes_and_a_plain_one_does_not() -> None:
    from tests.generative.test_collapse import net

    def trained(pack: int) -> Any:
        task = ts.Gan(
            generator=lambda: net(256, 2),
            discriminator=lambda: net(2 * pack, 1),
            data=gan_target.mixture(gan_target.ring(8, 2.0), 0.02, 6000),
            latent=256,
            pack=pack,
            critic_rate=0.1,
        )
        recipe = {"train.steps": 400, "train.batch_size": 128 * pack, "optim.lr": 1e-3, "eval.every": 50}
        return ts.train_gan(task, recipe, display=QuietDisplay())

    plain, packed = trained(1), trained(2)

    assert [finding.fault for finding in plain.findings] == ["collapse.mode"] * len(plain.findings) != []
    assert plain.evaluations[-1]["lost_mass"] > 0.3
    assert packed.findings == []
    assert packed.evaluations[-1]["lost_mass"] < 0.1
    assert packed.evaluations[-1]["score"] < plain.evaluations[-1]["score"]
    assert packed.model(torch.zeros(3, 256)).shape == (3, 2)


RULES: list[dict[str, Any]] = [
    {"game": "nonsaturating", "penalty": "r1", "penalty_weight": 1.0},
    {"game": "minimax"},
    {"game": "hinge", "spectral": True},
    {"game": "least_squares", "unroll": 2},
    {"game": "wasserstein", "penalty": "gradient_penalty", "critic_steps": 3},
    {"game": "wasserstein", "clip_weights": 0.05, "critic_steps": 2},
    {"pack": 4, "critic_rate": 0.5},
    {"penalty": lambda discriminator, real, made: discriminator(made).square().mean()},
    {"latent": lambda count: 2 * torch.rand(count, 8) - 1},
    {"held": gan_target.mixture(gan_target.CENTRES, 0.05, 200, seed=5)},
    {"features": lambda samples: samples[:, :1]},
]


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: "+".join(rules))
def test_every_rule_trains_and_changes_the_training(rules: dict[str, Any]) -> None:
    run, plain = short(**rules), short()

    found = {name: value.clone() for name, value in run.model.state_dict().items()}
    moved = [value for name, value in found.items() if value.is_floating_point()]
    assert all(bool(value.isfinite().all()) for value in moved)
    assert run.status == "finished"
    if not {"held", "features"} & set(rules):  # these change what is looked at alone
        first = run.signals.read("loss", "discriminator"), plain.signals.read("loss", "discriminator")
        assert not np.array_equal(first[0][1], first[1][1])
    if "clip_weights" in rules:
        assert all(bool(one.abs().max() <= 0.05) for one in run.model.discriminator.parameters())


CHANGES: list[dict[str, Any]] = [
    {"optim.clip_value": 1e-5},
    {"optim.clip_norm": 1e-3},
    {"optim.name": "rmsprop"},
    {"optim.name": "sgd", "optim.momentum": 0.5},
    {"optim.weight_decay": 5.0},
    {"optim.beta1": 0.0},
    {"schedule.name": "linear"},
    {"train.batch_size": 16},
    {"train.seed": 1},
    {"train.ema": 0.5},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: "+".join(change))
def test_the_recipe_is_listened_to(change: dict[str, Any]) -> None:
    recipe = {"train.steps": 3, "train.batch_size": 32, "eval.every": 3}

    run, plain = (ts.train_gan(gan_target.gan(), recipe | one, display=QuietDisplay()) for one in (change, {}))

    assert not same(dict(run.model.state_dict()), dict(plain.model.state_dict()))


def test_epochs_count_rows_and_patience_ends_a_game_that_gets_no_better() -> None:
    recipe = {"train.batch_size": 68, "optim.lr": 1e-12}

    whole = ts.train_gan(gan_target.gan(), recipe | {"train.epochs": 3}, display=QuietDisplay())
    early = ts.train_gan(
        gan_target.gan(),
        recipe | {"train.epochs": 30, "train.patience": 2, "train.min_epochs": 4},
        display=QuietDisplay(),
    )

    assert [row["step"] for row in whole.evaluations] == [10, 20, 30]  # 680 rows of 800 train
    assert early.info["ending"] == "early"
    assert 4 <= early.evaluations[-1]["epoch"] < 10


def test_a_paused_run_goes_on_as_the_one_that_never_stopped(tmp_path: Path) -> None:
    gan_target.train(str(tmp_path / "whole"), False)
    gan_target.train(str(tmp_path / "parts"), False, until="23 steps")
    gan_target.train(str(tmp_path / "parts"), True, until="40 steps")
    gan_target.train(str(tmp_path / "parts"), True)

    whole, parts = final(tmp_path / "whole"), final(tmp_path / "parts")

    assert whole["snapshot"]["step"] == gan_target.STEPS
    assert whole["signals"][("loss", "discriminator")][0][-1] == gan_target.STEPS
    assert all(same(whole[name], parts[name]) for name in whole)


def test_a_run_in_memory_goes_on_too() -> None:
    whole = gan_target.train(None, False)
    first = gan_target.train(None, False, until="23 steps")
    gone_on = ts.train_gan(
        gan_target.gan(critic_steps=2, pack=2, spectral=True, unroll=1), resume=first, display=QuietDisplay()
    )

    assert same(dict(whole.model.state_dict()), dict(gone_on.model.state_dict()))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_killed_at_several_moments_is_the_run_that_was_not(tmp_path: Path, seed: int) -> None:
    gan_target.train(str(tmp_path / "whole"), False)
    hit = killed(gan_target.__file__, tmp_path / "killed", seed)

    whole, other = final(tmp_path / "whole"), final(tmp_path / "killed")

    assert hit >= 3
    assert all(same(whole[name], other[name]) for name in whole)


def test_the_page_draws_two_columns_as_points(tmp_path: Path) -> None:
    gan_target.train(str(tmp_path / "run"), False)

    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")

    assert "Made samples" in page
    assert page.count("<circle") > 400
    assert "lost_mass" in page
    assert "tunesmith.train_gan" in page or "train_gan(" in page


def test_the_page_shows_pictures_where_samples_are_pictures(tmp_path: Path) -> None:
    class Draws(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(4, 36)

        def forward(self, noise: Tensor) -> Tensor:
            return torch.tanh(self.line(noise)).reshape(-1, 1, 6, 6)

    pictures = np.random.default_rng(0).uniform(-1, 1, size=(400, 1, 6, 6))
    task = ts.Gan(
        generator=Draws, discriminator=lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 1)), data=pictures, latent=4
    )
    ts.train_gan(task, SHORT | {"data.val": 0.5}, folder=tmp_path / "run", display=QuietDisplay())

    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")

    assert page.count("data:image/png;base64,") == 2  # a sheet of made ones, and one of real ones


@pytest.mark.parametrize(
    ("rules", "recipe", "kind", "says"),
    [
        ({"game": "hing"}, {}, RecipeError, "did you mean 'hinge'"),
        ({"penalty": "r2"}, {}, RecipeError, "no penalty called 'r2'"),
        ({"critic_steps": 0}, {}, RecipeError, "critic_steps = 0"),
        ({"critic_rate": -1.0}, {}, RecipeError, "critic_rate = -1.0"),
        ({"generator": lambda: nn.Linear(8, 3)}, {}, ModelError, r"shape \(3,\), the data have \(2,\)"),
        ({"discriminator": lambda: nn.Linear(2, 2)}, {}, ModelError, "two scores were expected"),
        ({"generator": lambda: 3}, {}, ModelError, "expected an nn.Module"),
        ({"unroll": 1}, {"optim.name": "rmsprop"}, ModelError, "cannot be unrolled"),
        ({}, {"train.accumulate": 2}, RecipeError, "train.accumulate = 2 is set"),
        ({}, {"optim.name": "lbfgs"}, RecipeError, "two players in turn"),
        ({}, {"schedule.name": "plateau"}, RecipeError, "listens to a loss"),
        ({"pack": 3}, {}, RecipeError, "a multiple of 3"),
        ({"data": gan_target.mixture(gan_target.CENTRES, 0.05, 150)}, {}, DataError, "held ones; a look needs 100"),
        ({"data": np.full((400, 2), np.nan)}, {}, DataError, "NaN"),
    ],
)
def test_what_cannot_train_is_said_in_one_sentence(rules: Any, recipe: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        ts.train_gan(gan_target.gan(**rules), SHORT | recipe, display=QuietDisplay())


def test_a_resume_refuses_other_rules_and_other_data(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ts.train_gan(gan_target.gan(), SHORT, folder=folder, until="2 steps", display=QuietDisplay())

    with pytest.raises(RecipeError, match="critic_steps is 3 here and 1 in the run"):
        ts.train_gan(gan_target.gan(critic_steps=3), folder=folder, resume=True, display=QuietDisplay())
    with pytest.raises(DataError, match="data differ"):
        other = gan_target.mixture(gan_target.CENTRES, 0.06, 800)
        ts.train_gan(gan_target.gan(data=other), folder=folder, resume=True, display=QuietDisplay())


def test_a_game_that_is_not_finite_stops(tmp_path: Path) -> None:
    class Breaks:
        def discriminator(self, real: Tensor, made: Tensor) -> Tensor:
            return (real.mean() - made.mean()) * float("nan")

        def generator(self, made: Tensor) -> Tensor:
            return -made.mean()

    with pytest.raises(TrainingFailed, match="step 0"):
        ts.train_gan(gan_target.gan(game=Breaks()), SHORT, folder=tmp_path / "run", display=QuietDisplay())


def test_modules_given_are_not_trained_themselves() -> None:
    generator, discriminator = nn.Linear(8, 2), nn.Linear(2, 1)
    before = generator.weight.clone()

    run = short(generator=generator, discriminator=discriminator)

    assert torch.equal(generator.weight, before)
    assert not torch.equal(run.model.generator.weight, before)
