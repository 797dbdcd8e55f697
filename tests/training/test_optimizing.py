"""Optimizers, groups, averages and clipping through whole trainings, and through a pause."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schedulefree
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import tunesmith as ts
from tests.training.test_resume import final, same
from tunesmith.records import RecipeError
from tunesmith.records.state import State
from tunesmith.reports import QuietDisplay
from tunesmith.runs import Run
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.guards import Action, Guard, Measured

ROWS = 120


def data(rows: int = ROWS) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(rows, 6)).astype(np.float32)
    return inputs, (inputs[:, 0] + 0.3 * generator.normal(size=rows) > 0.2).astype(np.int64)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 2))


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))


class Heard(QuietDisplay):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def fit(recipe: dict[str, Any], model: Any = net, display: Any = None, **about: Any) -> Any:
    told = {"train.epochs": 4, "train.batch_size": 16, "eval.bootstrap": 0, **recipe}
    task = ts.Task(model, train=about.pop("train", data()), **about.pop("task", {}))
    return ts.fit(task, told, display=display or Heard(), **about)


def weights(folder: Path, which: Any = "last") -> dict[str, torch.Tensor]:
    return Checkpoints(folder / "checkpoints").weights(which)


OPTIONS: dict[str, dict[str, Any]] = {
    "schedulefree_sgd": {"optim.name": "schedulefree_sgd", "optim.lr": 0.5},
    "schedulefree_adamw": {"optim.name": "schedulefree_adamw", "schedule.warmup": 5, "optim.weight_decay": 0.1},
    "schedulefree_radam": {"optim.name": "schedulefree_radam"},
    "lookahead": {"optim.name": "lookahead", "optim.extra": {"base": "adamw", "k": 3, "alpha": 0.7}},
    "sam": {"optim.name": "sam", "optim.extra": {"adaptive": True, "rho": 0.5, "base": "adamw"}},
    "adam0": {"optim.name": "adam0"},
    "eps 0": {"optim.name": "adamw", "optim.eps": 0.0},
    "swa": {"train.swa": 0.4},
    "swa by updates": {"train.swa": 0.3, "train.swa_every": 3},
    "ema with norms": {"train.ema": 0.9, "train.reestimate_norms": True},
    "percentile": {"optim.clip_percentile": 50.0, "optim.clip_window": 4},
    "percentile accumulated": {"optim.clip_percentile": 80.0, "optim.clip_window": 3, "train.accumulate": 2},
    "percentile with a closure": {"optim.clip_percentile": 80.0, "optim.clip_window": 3, "optim.name": "sam"},
    "percentile in half precision": {"optim.clip_percentile": 80.0, "optim.clip_window": 3, "train.precision": "fp16"},
    "adaptive": {"optim.clip_adaptive": 0.01},
    "adaptive in half precision": {"optim.clip_adaptive": 0.01, "train.precision": "fp16"},
    "update": {"optim.clip_update": 0.5},
    "update in half precision": {"optim.clip_update": 0.5, "train.precision": "fp16"},
    "schedule-free in half precision": {"optim.name": "schedulefree_adamw", "train.precision": "fp16"},
    "sgdw in half precision": {
        "optim.name": "sgd",
        "optim.decay_kind": "decoupled",
        "train.precision": "fp16",
        "optim.lr": 0.1,
    },
    "l1": {"optim.l1": 0.05, "optim.name": "sgd"},
    "layers": {"optim.layer_decay": 0.5},
    "rates": {"optim.rates": {"0.*": 0.1, "re:^4": 2.0}},
    "decays": {"optim.decays": {"4.*": 0.0, "*.bias": 2.0}, "optim.weight_decay": 0.1},
    "decay kinds": {"optim.decay_norm": True, "optim.decay_bias": True, "optim.decay_embedding": True},
    "sgdw": {"optim.name": "sgd", "optim.decay_kind": "decoupled", "optim.weight_decay": 0.1},
    "adam l2": {"optim.name": "adamw", "optim.decay_kind": "l2", "optim.weight_decay": 0.1},
    "another batch": {"optim.lr_batch": 64, "optim.lr_scale": "linear"},
    "measured": {"optim.implementation": "measure"},
    "clipped in double precision": {"optim.clip_norm": 0.1, "train.precision": "fp64"},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_trains_and_goes_on_after_a_pause_bit_for_bit(tmp_path: Path, option: str) -> None:
    fit(OPTIONS[option], folder=tmp_path / "straight")
    fit(OPTIONS[option], folder=tmp_path / "cut", until="8 steps")
    fit(OPTIONS[option], folder=tmp_path / "cut", resume=True)

    whole, cut = final(tmp_path / "straight"), final(tmp_path / "cut")
    if option == "measured":  # the kernel may be another each time, but not within a run
        assert Run(tmp_path / "cut").status == "finished"
    else:
        assert same(cut, whole)
    losses = [row["val_loss"] for row in whole["evaluations"]]
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("option", ["schedulefree_sgd", "swa", "ema with norms", "lookahead"])
def test_saving_at_other_moments_changes_no_weight(tmp_path: Path, option: str) -> None:
    fit(OPTIONS[option], folder=tmp_path / "seldom")
    fit({**OPTIONS[option], "run.save_every": 1}, folder=tmp_path / "often")

    assert same(weights(tmp_path / "often"), weights(tmp_path / "seldom"))
    assert same(final(tmp_path / "often")["snapshot"]["model"], final(tmp_path / "seldom")["snapshot"]["model"])


def by_hand(steps: int, lr: float) -> tuple[nn.Module, Any]:
    """Schedule-free SGD of its authors on full batches, without anything of ours."""
    torch.manual_seed(3)
    model = plain().double()
    optimizer = schedulefree.SGDScheduleFree(model.parameters(), lr=lr, momentum=0.9)
    optimizer.train()
    inputs, labels = (torch.from_numpy(part) for part in data())
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs.double()), labels).backward()
        optimizer.step()
    optimizer.eval()
    return model, optimizer


def test_a_users_schedule_free_optimizer_is_switched_for_them_and_evaluated_at_x(tmp_path: Path) -> None:
    torch.manual_seed(3)
    start = plain()
    rows = data()
    heard = Heard()

    run = ts.fit(
        ts.Task(
            start,
            train=rows,
            val=rows,
            test=rows,
            optimizer=lambda parameters: schedulefree.SGDScheduleFree(parameters, lr=0.3, momentum=0.9),
        ),
        {
            "train.epochs": 10,
            "train.batch_size": ROWS,
            "train.precision": "fp64",
            "data.sampler": "sequential",
            "eval.bootstrap": 0,
            "eval.metric": "loss",
        },
        folder=tmp_path / "run",
        display=heard,
    )

    expected, _ = by_hand(10, 0.3)
    assert run.recipe.schedule.name == "constant"
    for name, value in expected.state_dict().items():
        assert torch.allclose(weights(tmp_path / "run")[name], value, rtol=1e-6), name
        assert torch.allclose(run.model.state_dict()[name], value, rtol=1e-6), name
    held = final(tmp_path / "run")["snapshot"]
    assert not torch.equal(held["model"]["0.weight"], held["average"]["weights"]["0.weight"])  # y and x
    inputs = torch.from_numpy(rows[0]).double()
    loss = nn.functional.cross_entropy(expected(inputs), torch.from_numpy(rows[1])).item()
    assert run.evaluations[-1]["val_loss"] == pytest.approx(loss, rel=1e-6)
    loaded = ts.load(tmp_path / "run", model=plain())
    assert torch.allclose(loaded.model.state_dict()["2.weight"].double(), expected[2].weight, rtol=1e-5)


def test_under_schedule_free_another_schedule_is_told_and_auto_is_constant() -> None:
    heard = Heard()

    auto = fit({"optim.name": "schedulefree_adamw", "train.epochs": 1})
    asked = fit({"optim.name": "schedulefree_adamw", "schedule.name": "cosine", "train.epochs": 1}, display=heard)

    assert (auto.recipe.schedule.name, auto.recipe.optim.lr) == ("constant", 0.0025)
    assert asked.recipe.schedule.name == "cosine"
    assert any("averages in place of a schedule, but the schedule is 'cosine'" in notice for notice in heard.notices)


@pytest.mark.parametrize("option", ["schedulefree_sgd", "swa", "ema with norms"])
@pytest.mark.parametrize("source", ["memory", "loader"])
def test_batch_norm_statistics_are_those_of_the_training_rows_at_the_evaluated_weights(
    tmp_path: Path, option: str, source: str
) -> None:
    inputs, labels = data(96)
    loader = DataLoader(TensorDataset(torch.from_numpy(inputs), torch.from_numpy(labels)), batch_size=16, shuffle=True)
    train: Any = (inputs, labels) if source == "memory" else loader

    fit(
        {**OPTIONS[option], "eval.metric": "loss"},
        train=train,
        task={"val": data(), "test": data()},
        folder=tmp_path / "run",
    )

    held = weights(tmp_path / "run")
    model = net()
    model.load_state_dict(held)
    hidden = torch.relu(model[0](torch.from_numpy(inputs)))
    assert torch.allclose(held["3.running_mean"], hidden.mean(dim=0), atol=1e-5)


def test_reading_the_training_rows_for_the_statistics_moves_no_order(tmp_path: Path) -> None:
    inputs, labels = data(96)

    def loader() -> Any:
        return DataLoader(
            TensorDataset(torch.from_numpy(inputs), torch.from_numpy(labels)), batch_size=16, shuffle=True
        )

    for name, asked in (("with", True), ("without", False)):
        recipe = {"train.swa": 0.3, "train.reestimate_norms": asked, "eval.every": 2}
        fit(recipe, train=loader(), task={"val": data(), "test": data()}, folder=tmp_path / name)

    one, other = (final(tmp_path / name)["snapshot"]["model"] for name in ("with", "without"))
    assert same(one, other)


class Batches:
    """Batches that are made while they are read."""

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Any:
        inputs, labels = data(64)
        return (
            (torch.from_numpy(inputs[row : row + 16]), torch.from_numpy(labels[row : row + 16]))
            for row in range(0, 64, 16)
        )


def test_data_that_can_be_read_in_their_turn_alone_are_told_or_refused() -> None:
    heard = Heard()
    about: dict[str, Any] = {"train": Batches(), "task": {"val": data(), "test": data()}}
    recipe = {"train.swa": 0.2, "train.steps": 8, "train.swa_every": 1}

    fit(recipe, display=heard, **copy.copy(about))

    assert any("read only in their turn" in notice for notice in heard.notices)
    with pytest.raises(RecipeError, match="DataLoader over a map-style data set"):
        fit({**recipe, "train.reestimate_norms": True}, **copy.copy(about))


def test_equal_averages_are_those_of_the_ends_of_the_epochs(tmp_path: Path) -> None:
    fit({"train.swa": 0.5, "run.keep": 9}, folder=tmp_path / "run", model=plain)

    folder = Checkpoints(tmp_path / "run" / "checkpoints")
    ends = [folder.read(step)[0]["model"] for step in folder.steps()][1:]  # of 4 epochs the last three end after half
    for name, value in weights(tmp_path / "run").items():
        expected = torch.stack([end[name].double() for end in ends]).mean(dim=0)
        assert torch.allclose(value.double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"train.swa": 0.5, "train.ema": 0.9}, r"train\.ema and train\.swa each average"),
        ({"train.ema": 0.9, "optim.name": "schedulefree_sgd"}, r"train\.ema and SGDScheduleFree each"),
        ({"train.swa": 0.9, "train.swa_every": 20}, "would average nothing"),
        ({"train.swa_every": 20}, r"without train\.swa"),
        ({"train.reestimate_norms": True}, "no average of the weights"),
        ({"optim.l1": 0.1, "optim.name": "schedulefree_sgd"}, "no exact zeros"),
        ({"optim.l1_only": ["0.*"]}, r"without optim\.l1"),
        ({"optim.rates": {"hed.*": 2.0}}, r"'hed\.\*' matches no parameter"),
        ({"optim.name": "adafactor", "optim.decay_kind": "l2"}, "decoupled decay alone"),
        ({"optim.name": "lbfgs", "optim.decay_kind": "l2"}, "has no weight decay"),
        ({"optim.name": "lookahead", "optim.extra": {"k": 0}}, "lookahead got k = 0"),
        ({"optim.name": "lookahead", "optim.extra": {"base": "schedulefree_sgd"}}, "needs a base"),
        ({"optim.name": "schedulefree_sgd", "optim.momentum": 0.0}, "schedulefree_sgd refused"),
        (
            {"optim.name": "schedulefree_sgd", "optim.implementation": "fused"},
            "schedulefree_sgd has foreach and forloop",
        ),
    ],
)
def test_what_cannot_be_is_said_before_the_first_update(recipe: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        fit(recipe)


@pytest.mark.parametrize("field", ["optim.lr_batch", "optim.l1", "optim.layer_decay"])
def test_fields_that_an_optimizer_of_the_task_cannot_hear_are_refused(field: str) -> None:
    value = {"optim.lr_batch": 8, "optim.l1": 0.1, "optim.layer_decay": 0.5}[field]

    with pytest.raises(RecipeError, match=f"{field} is set, but the task brings its own optimizer"):
        fit({field: value}, task={"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1)})


@pytest.mark.parametrize(
    ("recipe", "line", "rate"),
    [
        ({"optim.name": "sgd", "optim.lr": 0.1, "optim.lr_batch": 8}, "lr 0.1 -> 0.4 (linear, batch 8 -> 32, SGD", 0.4),
        (
            {"optim.name": "adamw", "optim.lr": 0.01, "optim.lr_batch": 8},
            "lr 0.01 -> 0.02 (sqrt, batch 8 -> 32, AdamW",
            0.02,
        ),
        (
            {"optim.name": "adamw", "optim.lr": 0.01, "optim.lr_batch": 8, "optim.lr_scale": "none"},
            "lr 0.01 -> 0.01 (none",
            0.01,
        ),
    ],
)
def test_the_rate_of_another_batch_is_scaled_and_told(
    tmp_path: Path, recipe: dict[str, Any], line: str, rate: float
) -> None:
    heard = Heard()
    more = {"train.accumulate": 2, "schedule.name": "constant", "train.epochs": 1}

    run = fit({**recipe, **more}, display=heard, folder=tmp_path / "run", until="2 steps")
    resumed = fit({**recipe, **more}, folder=tmp_path / "run", resume=True)

    assert any(notice.startswith(line) for notice in heard.notices)
    assert run.recipe.optim.lr == recipe["optim.lr"]
    assert resumed.signals.read("lr")[1].tolist() == pytest.approx([rate] * 3)
    assert not any("->" in notice for notice in heard_of({"train.epochs": 1}))


def heard_of(recipe: dict[str, Any]) -> list[str]:
    heard = Heard()
    fit(recipe, display=heard)
    return heard.notices


def test_groups_that_are_not_the_usual_are_shown_with_rate_and_decay() -> None:
    recipe = {
        "optim.rates": {"4.*": 10.0},
        "optim.lr": 0.01,
        "optim.name": "sgd",
        "optim.weight_decay": 0.5,
        "train.epochs": 1,
    }

    told = heard_of(recipe)

    rows = [notice.split(" · ")[-2:] for notice in told if notice.startswith("parameter group ")]
    assert rows == [
        [f"lr {rate}", f"weight decay {decay}"] for rate, decay in ((0.01, 0.5), (0.01, 0), (0.1, 0.5), (0.1, 0))
    ]
    assert "weight decay 0.5: L2 in the gradient (sgd)" in told
    assert not any(notice.startswith("parameter group ") for notice in heard_of({"train.epochs": 1}))


def test_the_schedule_keeps_the_ratio_of_the_groups(tmp_path: Path) -> None:
    fit({"optim.rates": {"4.*": 10.0}, "optim.lr": 0.01}, folder=tmp_path / "run", until="20 steps")

    groups = final(tmp_path / "run")["snapshot"]["optimizer"]["param_groups"]
    assert {round(group["lr"] / groups[0]["lr"], 9) for group in groups} == {1.0, 10.0}
    assert groups[0]["lr"] < 0.01


class Change(Guard):
    """Changes rate and decay after the third update."""

    def after_step(self, state: State, measured: Measured) -> Action | None:
        return (
            Action(change={"optim.lr": 0.02, "optim.weight_decay": 0.4}, because="a test") if state.step == 3 else None
        )


def test_a_change_on_the_way_keeps_the_ratios_of_the_groups(tmp_path: Path) -> None:
    recipe = {"optim.rates": {"*": 2.0, "4.*": 10.0}, "optim.decays": {"4.weight": 3.0}, "optim.weight_decay": 0.1}

    fit({**recipe, "optim.lr": 0.01, "schedule.name": "constant"}, folder=tmp_path / "run", guards=[Change()])

    groups = final(tmp_path / "run")["snapshot"]["optimizer"]["param_groups"]
    rates = {name: group["lr"] for group in groups for name in group["names"]}
    decays = {name: group["weight_decay"] for group in groups for name in group["names"]}
    assert (rates["0.weight"], rates["4.weight"]) == pytest.approx((0.04, 0.2))
    assert (decays["0.weight"], decays["4.weight"], decays["4.bias"]) == pytest.approx((0.4, 1.2, 0.0))


def test_an_l1_penalty_ends_at_the_optimum_with_exact_zeros(tmp_path: Path) -> None:
    inputs, labels = data(200)
    recipe = {"optim.name": "sgd", "optim.lr": 0.5, "optim.momentum": 0.0, "optim.l1": 0.05, "optim.weight_decay": 0.0}
    more = {
        "train.batch_size": 200,
        "train.epochs": 300,
        "schedule.name": "constant",
        "train.precision": "fp64",
        "run.keep": 1,
        "eval.every": 300,
    }

    fit(
        {**recipe, **more},
        train=(inputs, labels),
        task={"val": data(), "test": data()},
        model=lambda: nn.Linear(6, 2),
        folder=tmp_path / "run",
    )

    model = nn.Linear(6, 2).double()
    model.load_state_dict(weights(tmp_path / "run"))
    nn.functional.cross_entropy(model(torch.from_numpy(inputs).double()), torch.from_numpy(labels)).backward()
    zero = model.weight == 0
    assert 0 < zero.sum() < 12
    assert (model.weight.grad[zero].abs() <= 0.05).all()  # the conditions of an optimum of loss + 0.05 |w|
    assert torch.allclose(model.weight.grad[~zero], -0.05 * model.weight[~zero].sign(), atol=1e-5)
    assert (model.bias != 0).any()


def test_an_l1_penalty_shrinks_what_its_patterns_name() -> None:
    run = fit({"optim.l1": 10.0, "optim.lr": 0.1, "optim.l1_only": ["0.weight"], "train.epochs": 3}, model=plain)

    assert run.model[0].weight.count_nonzero() == 0
    assert run.model[2].weight.count_nonzero() == 16


def test_the_share_of_clipped_updates_is_a_signal_and_too_many_are_told(tmp_path: Path) -> None:
    heard = Heard()

    run = fit({"optim.clip_norm": 1e-3}, display=heard, folder=tmp_path / "run")
    learnt = fit({"optim.clip_percentile": 90.0, "optim.clip_window": 5}, folder=tmp_path / "learnt")

    assert run.signals.read("clip_share")[1].tolist() == [1.0] * 4
    assert sum("updates so far were clipped" in notice for notice in heard.notices) == 1
    norms = learnt.signals.read("grad_norm")[1]
    assert learnt.signals.read("clip_threshold")[1][-1] == pytest.approx(np.percentile(norms[-5:], 90), rel=1e-5)
    clipped = [norms[at] > np.percentile(norms[at - 5 : at], 90) for at in range(5, len(norms))]
    assert learnt.signals.read("clip_share")[1][-1] == pytest.approx(np.sum(clipped) / len(norms))


def test_a_measured_kernel_is_told_and_a_resume_keeps_it(tmp_path: Path) -> None:
    heard = Heard()
    fit({"optim.implementation": "measure"}, display=heard, folder=tmp_path / "run", until="3 steps")
    before = final(tmp_path / "run")["snapshot"]["optimizer"]["param_groups"][0]
    fit({"optim.implementation": "measure"}, folder=tmp_path / "run", resume=True)
    after = final(tmp_path / "run")["snapshot"]["optimizer"]["param_groups"][0]

    told = next(notice for notice in heard.notices if notice.startswith("optimizer kernel"))
    kernel = "fused" if before["fused"] else "foreach" if before["foreach"] else "forloop"
    assert told.startswith(f"optimizer kernel {kernel}, measured")
    assert (after["fused"], after["foreach"]) == (before["fused"], before["foreach"])


@pytest.mark.parametrize("option", ["schedulefree_sgd", "ema with norms", "lookahead"])
def test_a_run_that_pauses_before_it_was_judged_shows_the_evaluated_weights(tmp_path: Path, option: str) -> None:
    run = fit(OPTIONS[option], folder=tmp_path / "run", until="4 steps")

    held = final(tmp_path / "run")["snapshot"]
    assert not run.evaluations
    assert same(dict(run.model.state_dict()), held["average"]["weights"])
    assert not torch.equal(held["average"]["weights"]["0.weight"], held["model"]["0.weight"])
