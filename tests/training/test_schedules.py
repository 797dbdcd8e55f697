"""Every schedule inside a real training: the rates are those of its formula, also after a stop, under accumulation and skips."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tunesmith as ts
from tests.training.test_fit import blobs, fit
from tests.training.test_resume import same
from tunesmith.blocks.schedules import SCHEDULES, WARMUPS, Judged, build, factor_at, momentum_of, rates
from tunesmith.records import Recipe, RecipeError, revise
from tunesmith.records.state import State
from tunesmith.reports import QuietDisplay
from tunesmith.training.guards import Action, Guard, Measured

NEEDS: dict[str, dict[str, Any]] = {  # settings that make them move within so few updates
    "product": {"parts": [{"name": "cosine"}, {"name": "step", "every": "1ep"}]},
    "piecewise": {"boundaries": [0.4, 0.7], "values": [1.0, 0.5, 0.1]},
    "manual_stepping": {"boundaries": [0.4, 0.7], "rates": [1.0, 0.5, 0.1]},
}
NOT_IN_A_RECIPE = {"lambda"}  # holds a function
SMALL = {"train.epochs": 2, "train.batch_size": 40, "eval.every": 3, "train.patience": None, "data.test": 0.0}


def a_net() -> nn.Module:
    return nn.Linear(4, 3)


def recipe_of(name: str) -> dict[str, Any]:
    return SMALL | {"schedule.name": name, "schedule.extra": NEEDS.get(name, {}), "optim.name": "sgd", "optim.lr": 0.05}


def lr_of(run: Any) -> list[float]:
    return list(run.signals.read("lr")[1])


def spent(run: Any) -> tuple[int, list[Judged]]:
    """Updates of the run, and what its schedule heard."""
    progress = run.kept.snapshot["progress"]
    return run.kept.snapshot["step"], [Judged(t, value, noise, name) for t, name, value, noise in progress["watched"]]


class SkipSome(Guard):
    """Refuses the third and fifth window, as a loss scaler does with an overflow."""

    def __init__(self) -> None:
        self.windows = 0

    def after_backward(self, state: State, measured: Measured) -> Action | None:
        self.windows += 1
        return Action(kind="skip", because="refused") if self.windows in (3, 5) else None


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name not in NOT_IN_A_RECIPE])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_stop_at_any_step_changes_no_rate(tmp_path: Any, name: str, accumulate: int) -> None:
    recipe = recipe_of(name) | {"train.accumulate": accumulate, "schedule.warmup": 2}
    whole = fit(recipe, a_net)
    cut = fit(recipe, a_net, folder=tmp_path / "run", until="1 steps")

    for step in (2, 3):
        fit(recipe, a_net, folder=tmp_path / "run", resume=True, until=f"{step} steps")
    cut = fit(recipe, a_net, folder=tmp_path / "run", resume=True)

    assert len(lr_of(whole)) == (2 * 3 if accumulate == 3 else 2 * 9)
    assert lr_of(cut) == lr_of(whole)
    assert same(dict(cut.model.state_dict()), dict(whole.model.state_dict()))


@pytest.mark.parametrize("name", ["cosine", "one_cycle", "cosine_restarts", "noisy_linear_cosine", "multi_step"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_rates_are_those_of_the_formula_by_updates(name: str, accumulate: int) -> None:
    recipe = recipe_of(name) | {"train.accumulate": accumulate, "schedule.warmup": "1ep"}
    epoch = 9 if accumulate == 1 else 5
    section = revise(Recipe(), {key: value for key, value in recipe.items() if key.startswith("schedule.")}).schedule

    run = fit(recipe, a_net)

    expected = 0.05 * rates(build(section, 2 * epoch, epoch), 2 * epoch)
    np.testing.assert_allclose(lr_of(run), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["linear", "cosine", "cyclic", "wsd"])
def test_skipped_updates_do_not_move_the_schedule(name: str) -> None:
    whole = fit(recipe_of(name), a_net)

    skipped = fit(recipe_of(name), a_net, guards=[SkipSome()])

    assert len(lr_of(skipped)) == len(lr_of(whole)) - 2
    assert lr_of(skipped) == lr_of(whole)[:-2]


@pytest.mark.parametrize("kind", [name for name in WARMUPS if name != "until"])
@pytest.mark.parametrize("how", ["after", "product", "composite"])
def test_every_warm_up_trains_by_name(kind: str, how: str) -> None:
    recipe = recipe_of("cosine") | {
        "schedule.warmup": "1ep",
        "schedule.warmup_kind": kind,
        "schedule.warmup_join": how,
        "schedule.warmup_start": 0.2,
    }
    section = revise(Recipe(), {key: value for key, value in recipe.items() if key.startswith("schedule.")}).schedule

    run = fit(recipe, a_net)

    np.testing.assert_allclose(lr_of(run), 0.05 * rates(build(section, 18, 9), 18), rtol=1e-12)
    assert lr_of(run)[0] < 0.05


@pytest.mark.parametrize("watches", ["val_loss", "score", "train_loss", "train_error"])
def test_plateau_hears_what_it_watches_and_resumes(tmp_path: Any, watches: str) -> None:
    extra = {"watches": watches, "patience": 0, "factor": 0.5}
    recipe = recipe_of("plateau") | {"train.epochs": 4, "optim.lr": 3.0, "schedule.extra": extra}
    whole = fit(recipe, a_net)

    fit(recipe, a_net, folder=tmp_path / "run", until="17 steps")
    cut = fit(recipe, a_net, folder=tmp_path / "run", resume=True)

    steps, heard = spent(whole)
    settings = extra | ({"mode": "max"} if watches == "score" else {})
    schedule = SCHEDULES["plateau"](steps, **settings)
    assert {one.name for one in heard} == {watches}
    assert lr_of(whole) == pytest.approx([3.0 * factor_at(schedule, t, heard) for t in range(steps)], rel=1e-12)
    assert min(lr_of(whole)) < 3.0
    assert lr_of(cut) == lr_of(whole)
    assert same(dict(cut.model.state_dict()), dict(whole.model.state_dict()))


def test_a_warm_up_ends_when_the_training_error_is_low_enough() -> None:
    recipe = recipe_of("constant") | {
        "train.epochs": 3,
        "schedule.warmup": "1dur",
        "schedule.warmup_kind": "until",
        "schedule.warmup_start": 0.1,
        "schedule.warmup_extra": {"below": 0.3},
    }

    run = fit(recipe, a_net)

    _, heard = spent(run)
    ends = next(one.step for one in heard if one.value < 0.3)
    assert lr_of(run) == pytest.approx([0.005] * ends + [0.05] * (27 - ends))
    assert 0 < ends < 27


def test_a_schedule_that_watches_what_is_not_measured_is_refused() -> None:
    with pytest.raises(RecipeError, match="no validation rows"):
        fit(recipe_of("plateau") | {"data.val": 0.0}, a_net)

    with pytest.raises(RecipeError, match="needs classes"):
        fit(
            recipe_of("constant") | {"schedule.warmup": 5, "schedule.warmup_kind": "until"},
            lambda: nn.Linear(4, 1),
            data=(blobs()[0], blobs()[0][:, 0]),
        )


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_momentum_goes_against_the_rate_and_resumes(tmp_path: Any, optimizer: str) -> None:
    seen: list[float] = []

    class Look:
        every = 1

        def __call__(self, state: State) -> list[Any]:
            group = state.optimizer.param_groups[0]
            seen.append(group["momentum"] if "momentum" in group else group["betas"][0])
            return []

    recipe = recipe_of("one_cycle") | {"optim.name": optimizer}
    fit(recipe, a_net, probes=[Look()])
    straight, seen[:] = list(seen), []
    fit(recipe, a_net, folder=tmp_path / "run", probes=[Look()], until="7 steps")
    fit(recipe, a_net, folder=tmp_path / "run", probes=[Look()], resume=True)

    momentum = momentum_of(SCHEDULES["one_cycle"](18))
    assert momentum is not None
    assert straight == pytest.approx([momentum(t) for t in range(18)], rel=1e-12)
    assert min(straight) == pytest.approx(0.85, abs=1e-2)
    assert seen == straight


def test_momentum_stays_where_it_is_told_to_and_where_there_is_none() -> None:
    still = fit(recipe_of("one_cycle") | {"schedule.cycle_momentum": False}, a_net)
    none = fit(recipe_of("one_cycle") | {"optim.name": "adagrad"}, a_net)

    assert still.kept.snapshot["optimizer"]["param_groups"][0]["momentum"] == 0.9
    assert lr_of(none) == lr_of(still)
    with pytest.raises(RecipeError, match="cycles the momentum, and Adagrad has none"):
        fit(recipe_of("one_cycle") | {"optim.name": "adagrad", "schedule.cycle_momentum": True}, a_net)


class Sizes(Guard):
    """Notes the rows of each update by the position in the epoch."""

    def __init__(self) -> None:
        self.positions: list[tuple[int, int]] = []

    def after_step(self, state: State, measured: Measured) -> Action | None:
        self.positions.append((state.epoch, state.position))
        return None


def test_a_batch_grows_where_the_rate_would_fall_at_equal_samples(tmp_path: Any) -> None:
    recipe = recipe_of("multi_step") | {
        "train.epochs": 4,
        "train.batch_size": 20,
        "eval.every": None,
        "schedule.extra": {"milestones": ["1ep", "2ep"], "gamma": 0.25},
        "schedule.grow_batch": 8.0,
    }
    sizes = Sizes()
    whole = fit(recipe, a_net, guards=[sizes])

    fit(recipe, a_net, folder=tmp_path / "run", until="19 steps")
    cut = fit(recipe, a_net, folder=tmp_path / "run", resume=True)

    rows = 340  # 17 batches of 20
    taken = np.diff([0, *(epoch * rows + position for epoch, position in sizes.positions)])
    assert taken.sum() == 4 * rows  # every row of every epoch
    assert taken[:17].tolist() == [20] * 17
    assert taken[17:22].tolist() == [80, 80, 80, 80, 20]
    assert taken[22:25].tolist() == [160, 160, 20]
    assert lr_of(whole)[:22] == pytest.approx([0.05] * 22)  # the batch took the drop
    assert lr_of(whole)[22:] == pytest.approx([0.05 * 8 / 16] * 6)  # beyond 8 the rate takes the rest
    assert lr_of(cut) == lr_of(whole)
    assert same(dict(cut.model.state_dict()), dict(whole.model.state_dict()))


def test_a_growing_batch_under_steps_ends_at_equal_samples() -> None:
    recipe = recipe_of("multi_step") | {
        "train.steps": 34,
        "train.batch_size": 20,
        "eval.every": None,
        "schedule.extra": {"milestones": [0.5], "gamma": 0.25},
        "schedule.grow_batch": 4.0,
    }

    run = fit(recipe, a_net)

    assert len(lr_of(run)) == 17 + 5  # the second epoch in batches of 80


def test_the_batch_of_an_optimizer_without_a_law_does_not_grow() -> None:
    with pytest.raises(RecipeError, match="no law ties the rate of LBFGS"):
        fit(recipe_of("cosine") | {"optim.name": "lbfgs", "schedule.grow_batch": 4.0}, a_net)


def test_a_schedule_of_the_users_own_may_listen() -> None:
    from tunesmith.blocks.schedules import Watched

    halves = Watched(lambda step, history: 0.5 ** sum(one.step <= step for one in history), watches="val_loss")

    run = fit(SMALL | {"optim.lr": 0.01}, a_net, schedule=halves)

    assert lr_of(run)[:7] == pytest.approx([0.01] * 3 + [0.005] * 3 + [0.0025])


def test_the_noise_of_a_loss_is_that_of_its_rows() -> None:
    from tunesmith.blocks import losses
    from tunesmith.training.evaluate import Evaluated, loss_noise

    generator = np.random.default_rng(0)
    error = generator.normal(size=20_000)
    seen = Evaluated(0.0, error, np.zeros_like(error), None)

    noise = loss_noise(losses.build("mse", kind="regression"), seen)

    exact = np.std(error**2, ddof=1) / np.sqrt(len(error))
    assert noise == pytest.approx(exact, rel=4 / np.sqrt(2 * 31))  # 32 groups: 4 standard errors of a deviation
    assert np.isnan(loss_noise(losses.build("mse", kind="regression"), Evaluated(0.0, error[:1], error[:1], None)))
    assert torch.is_grad_enabled()


def test_the_time_to_go_counts_from_where_this_attempt_began(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()  # a clock that moves by one each time it is read

    class Clocked(QuietDisplay):
        def __init__(self) -> None:
            self.left: dict[int, tuple[float, int]] = {}

        def evaluation(self, row: Any) -> None:
            self.left[row["step"]] = (row["eta_seconds"], next(ticks))

    recipe = SMALL | {"train.epochs": 40, "eval.every": None}
    fit(recipe, a_net, folder=tmp_path / "run", until="180 steps")
    monkeypatch.setattr("tunesmith.training.loop.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    began, clocked = next(ticks), Clocked()

    ts.fit(ts.Task(a_net, train=blobs()), None, folder=tmp_path / "run", resume=True, display=clocked)

    left, now = clocked.left[189]  # 9 of the 180 updates to go are made, not 189 of 360
    assert left == pytest.approx((now - began) / 9 * 171, rel=0.2)


def test_steps_that_the_loss_scaler_skips_do_not_move_the_schedule_also_over_a_stop(tmp_path: Any) -> None:
    X, _ = blobs()
    wide = (X, (30 * X[:, 0]).astype(np.float32))  # gradients near 10: times 65536 they overflow in half precision
    recipe = recipe_of("cosine") | {"train.precision": "fp16", "optim.lr": 1e-4, "data.scale_target": "none"}
    net = lambda: nn.Linear(4, 1)  # noqa: E731

    whole = fit(recipe, net, data=wide)
    fit(recipe, net, data=wide, folder=tmp_path / "run", until="3 steps")
    cut = fit(recipe, net, data=wide, folder=tmp_path / "run", resume=True)

    skipped = whole.kept.snapshot["progress"]["scaler_skips"]
    assert skipped >= 1
    assert len(lr_of(whole)) == 18 - skipped
    np.testing.assert_allclose(lr_of(whole), 1e-4 * rates(SCHEDULES["cosine"](18), 18 - skipped), rtol=1e-12)
    assert lr_of(cut) == lr_of(whole)
    assert same(dict(cut.model.state_dict()), dict(whole.model.state_dict()))
