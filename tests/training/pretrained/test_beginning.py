"""Trainings that begin from weights: what stays, what thaws and when, the rates of the parts, and resuming exactly."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import tunesmith as ts
from tests.training.test_resume import final, same
from tunesmith.cli.app import app
from tunesmith.records import ModelError, RecipeError
from tunesmith.reports import QuietDisplay
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.guards import Action, Guard

COMMON = {"train.batch_size": 16, "eval.bootstrap": 0, "train.threads": 1, "optim.lr": 1e-2, "run.watch": False}


def data(classes=2, seed=0, rows=120):
    drawn = np.random.default_rng(seed)
    x = drawn.normal(size=(rows, 6)).astype(np.float32)
    return x, np.digitize(x[:, 0] + x[:, 1], np.linspace(-1, 1, classes - 1)).astype(np.int64)


class Net(nn.Module):
    """Three layers of a body, each with batch norm and dropout, and a head."""

    def __init__(self, classes=2):
        super().__init__()
        widths = (6, 8, 8, 8)
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(into, out), nn.BatchNorm1d(out), nn.ReLU(), nn.Dropout(0.2))
                for into, out in pairwise(widths)
            )
        )
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        return self.head(self.body(x))


class Heard(QuietDisplay):
    def __init__(self):
        self.notices, self.found = [], []

    def notice(self, text):
        self.notices.append(text)

    def finding(self, finding, step):
        self.found.append(finding)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    place = tmp_path_factory.mktemp("source") / "net.pt"
    torch.manual_seed(0)
    run = ts.fit(ts.Task(Net(5), data(5, rows=600)), {**COMMON, "train.epochs": 5}, display=QuietDisplay())
    torch.save(run.model.state_dict(), place)
    return str(place)


def fit(recipe, source, display=None, task=None, **about):
    torch.manual_seed(0)
    told = {**COMMON, "train.epochs": 4, "model.pretrained": source, **recipe}
    return ts.fit(ts.Task(Net, data(), **(task or {})), told, display=display or Heard(), **about)


def moved(run, source):
    """The parameters and buffers that are not those of the source any more."""
    there = torch.load(source, weights_only=True)
    return {name for name, one in run.model.state_dict().items() if "head" in name or not torch.equal(one, there[name])}


def test_a_frozen_body_stays_to_the_bit_with_its_norms_and_is_told(source):
    heard = Heard()

    run = fit({"model.freeze": "body", "optim.weight_decay": 0.5}, source, heard)

    assert moved(run, source) == {"head.weight", "head.bias"}
    assert any("12 of 14 parameters are frozen" in one and "18 of 266 numbers train" in one for one in heard.notices)
    assert any("3 batch norms of what is frozen in evaluation mode" in one for one in heard.notices)
    assert any("2 of another shape there" in one and "head.weight (5, 8) for (2, 8)" in one for one in heard.notices)


def test_patterns_freeze_what_they_name(source):
    run = fit({"model.freeze": ["body.0.*", "re:^body\\.1\\.0"], "data.val": 0.0}, source)

    still = {name for name in run.model.state_dict() if name.startswith("body.0.") or name.startswith("body.1.0")}
    assert not moved(run, source) & still
    assert moved(run, source) >= {"body.1.1.weight", "body.1.1.running_mean", "body.2.0.weight"}


def test_layers_unfreeze_one_by_one_at_the_rates_of_their_part(source):
    class Looks:
        every = 1
        seen: dict = {}  # noqa: RUF012

        def __call__(self, state):
            groups = [
                (sorted(group["names"]), group["initial_lr"], group["weight_decay"])
                for group in state.optimizer.param_groups
            ]
            self.seen[state.step] = (
                groups,
                [one.training for one in state.model.modules() if isinstance(one, nn.BatchNorm1d)],
            )
            return ()

    looks = Looks()
    recipe = {"model.unfreeze_every": 1, "optim.rates": {"body": 0.1}, "optim.weight_decay": 0.2}

    run = fit(recipe, source, probes=[looks])

    first, second, last = (looks.seen[step] for step in (1, 7, max(looks.seen)))
    assert first == ([(["head.weight"], 1e-2, 0.2), (["head.bias"], 1e-2, 0.0)], [False, False, False])
    assert second[0][2:] == [
        (["body.2.0.weight"], pytest.approx(1e-3), 0.2),
        (["body.2.0.bias", "body.2.1.bias", "body.2.1.weight"], pytest.approx(1e-3), 0.0),
    ]
    assert second[1] == [False, False, True]
    assert len(last[0]) == 8
    assert last[1] == [True, True, True]
    steps = [one["step"] for one in run.decisions if one["what"] == "unfreeze"]
    assert steps == [6, 12, 18]


def test_a_run_too_short_to_unfreeze_all_says_so(source):
    heard = Heard()

    run = fit({"model.unfreeze_every": 2, "data.val": 0.0}, source, heard)

    assert any("one of 3 layers every 2 epochs" in one and "the first 2 stay frozen" in one for one in heard.notices)
    assert not {name for name in moved(run, source) if name.startswith(("body.0", "body.1"))}


WITH = {
    "plain": {},
    "ema": {"train.ema": 0.9},
    "swa": {"train.swa": 0.5},
    "accumulate": {"train.accumulate": 3, "train.batch_size": 8},
    "sgd": {"optim.name": "sgd", "optim.clip_norm": 1.0},
    "schedulefree": {"optim.name": "schedulefree_adamw"},
    "lookahead": {"optim.name": "lookahead", "optim.extra": {"base": "adamw"}},
    "one_cycle": {"schedule.name": "one_cycle"},
    "layer_decay": {"optim.layer_decay": 0.5},
    "l1": {"optim.l1": 0.01},
    "fp64": {"train.precision": "fp64"},
}


@pytest.mark.parametrize("name", WITH)
def test_a_pause_at_any_moment_of_unfreezing_changes_nothing(name, source, tmp_path):
    recipe = {"model.unfreeze_every": 1, "optim.rates": {"body": 0.3}, "run.save_every": 2, **WITH[name]}
    fit(recipe, source, folder=tmp_path / "straight")
    for place, pause in enumerate(("3 steps", "1 epochs", "8 steps", "3 epochs")):
        fit(recipe, source, folder=tmp_path / "paused", until=pause, resume=place > 0)

    fit(recipe, source, folder=tmp_path / "paused", resume=True)

    assert same(final(tmp_path / "paused"), final(tmp_path / "straight"))


def test_a_return_to_before_an_unfreezing_takes_the_groups_back(source):
    class Returns(Guard):
        keeps_snapshots = True
        done = False

        def after_step(self, state, measured):
            if state.step == 9 and not self.done:  # in the second epoch; the snapshot is of the end of the first
                self.done = True
                return Action(kind="rollback", because="a test")
            return None

    guard = Returns()
    recipe = {"model.unfreeze_every": 1, "run.save_seconds": None, "data.val": 0.0}
    run = fit(recipe, source, guards=[guard])
    plain = fit(recipe, source)

    assert guard.done
    assert all(torch.equal(one, plain.model.state_dict()[name]) for name, one in run.model.state_dict().items())


def test_an_optimizer_of_ones_own_gets_what_trains_and_later_the_rest(source):
    made = []

    def optimizer(parameters):
        made.append(torch.optim.SGD(parameters, lr=0.05, weight_decay=0.5))
        return made[-1]

    run = fit({"model.unfreeze_every": 2, "optim.lr": "auto", "data.val": 0.0}, source, task={"optimizer": optimizer})

    assert sum(len(group["params"]) for group in made[0].param_groups) == 2 + 4
    assert not {name for name in moved(run, source) if name.startswith(("body.0", "body.1"))}
    assert "body.2.0.weight" in moved(run, source)


def test_a_body_that_learns_faster_than_its_head_is_remarked(source):
    faster, slower, anew = Heard(), Heard(), Heard()

    fit({"optim.rates": {"body": 3.0}, "train.epochs": 1}, source, faster)
    fit({"optim.rates": {"body": 0.3}, "train.epochs": 1}, source, slower)
    fit({"optim.rates": {"body": 3.0}, "train.epochs": 1, "model.pretrained": None}, source, anew)
    found = ts.preflight(
        ts.Task(Net, data()),
        {**COMMON, "model.pretrained": source, "optim.rates": {"body": 3.0}},
        only=["optimizer_settings"],
    )

    assert [
        any("learns faster than the fresh head" in one for one in each.notices) for each in (faster, slower, anew)
    ] == [
        True,
        False,
        False,
    ]
    assert [one.values["path"] for one in found if one.values.get("rule") == "lr.parts"] == ["rates.head_over_body"]
    assert all(one.severity == "note" for one in found if one.fault == "recipe.unusual")


def test_neither_preflight_nor_the_watch_take_what_is_frozen_for_a_fault(source):
    heard = Heard()
    recipe = {"model.freeze": "body", "run.watch": True, "train.epochs": 6}

    found = ts.preflight(ts.Task(Net, data()), {**COMMON, "model.pretrained": source, **recipe}, seconds=60)
    run = fit(recipe, source, heard)

    assert not [one for one in found if one.fault == "optim.unregistered_params"]
    assert not [one for one in (*heard.found, *run.findings) if one.fault == "optim.unregistered_params"]


def test_a_rate_is_found_for_the_head_alone_and_nothing_frozen_moves(source):
    found = ts.find_rate(
        ts.Task(Net, data(rows=400)), {**COMMON, "model.pretrained": source, "model.freeze": "body"}, updates=400
    )

    assert found.rate is not None
    assert found.lowest <= found.rate <= found.highest


def test_a_run_gives_weights_and_shape_and_other_classes_begin_fresh(tmp_path):
    x, y = data(3)
    first = {**COMMON, "train.epochs": 2, "model.width": 12, "model.depth": 1}
    ts.fit(ts.Task("mlp", (x, y)), first, folder=tmp_path / "first", display=QuietDisplay())
    heard, others = Heard(), Heard()
    second = {**COMMON, "train.epochs": 1, "model.pretrained": str(tmp_path / "first")}

    same_classes = ts.fit(ts.Task("auto", (x, y)), second, display=heard)
    other = ts.fit(ts.Task("auto", (x, y + 5)), {**second, "model.freeze": "body"}, display=others)

    assert (same_classes.recipe.model.width, same_classes.recipe.model.depth) == (12, 1)
    assert same_classes.recipe.source("model.width").kind == "derived"
    assert any("100.0% of the numbers" in one for one in heard.notices)
    assert any("the classes are others" in one and "head.weight" in one for one in others.notices)
    there = Checkpoints(tmp_path / "first" / "checkpoints").weights("best")
    assert {name for name, one in other.model.state_dict().items() if not torch.equal(one, there[name])} == {
        "head.weight",
        "head.bias",
    }


def test_words_that_another_run_numbered_otherwise_begin_fresh(tmp_path):
    words = ["good fine nice", "bad poor sad", "fine good day", "sad bad day"] * 12
    target = np.array([1, 0, 1, 0] * 12)
    recipe = {**COMMON, "train.epochs": 1, "data.min_count": 1}
    about = {"columns": {"text": "text"}}
    ts.fit(
        ts.Task("bag", (np.array(words, object), target), **about),
        recipe,
        folder=tmp_path / "a",
        display=QuietDisplay(),
    )
    again, other = Heard(), Heard()
    start = {**recipe, "model.pretrained": str(tmp_path / "a")}

    ts.fit(ts.Task("bag", (np.array(words, object), target), **about), start, display=again)
    ts.fit(
        ts.Task("bag", (np.array([one.replace("good", "well") for one in words], object), target), **about),
        start,
        display=other,
    )

    assert not any("numbered otherwise" in one for one in again.notices)
    assert any("words and levels are numbered otherwise in that run" in one for one in other.notices)


def test_the_dial_of_dropout_reaches_every_layer_of_ones_own_net(source):
    heard = Heard()

    run = fit({"model.dropout": 0.0, "train.epochs": 1}, source, heard)

    assert {one.p for one in run.model.modules() if isinstance(one, nn.Dropout)} == {0.0}
    assert any("dropout 0 in 3 layers of the net" in one for one in heard.notices)


@pytest.mark.parametrize(
    ("recipe", "error", "said"),
    [
        ({"model.freeze": ["*"]}, RecipeError, "freezes all 14 parameters"),
        ({"model.freeze": ["stem.*"]}, RecipeError, "model.freeze: 'stem.*' matches no parameter"),
        ({"model.pretrained": "nowhere.pt"}, RecipeError, "there is no such file or run folder"),
        ({"model.pretrained": "cached"}, ModelError, "set model.name = 'timm/…'"),
        ({"model.init": "lsuv"}, RecipeError, "would overwrite weights of model.pretrained"),
        ({"model.zero_residual": True}, RecipeError, "would overwrite weights of model.pretrained"),
        ({"model.freeze": "head"}, RecipeError, 'model.freeze = "head": expected'),
        ({"model.unfreeze_every": 0}, RecipeError, "model.unfreeze_every"),
    ],
)
def test_what_cannot_be_is_one_sentence(recipe, error, said, source):
    with pytest.raises(error, match=said.replace("*", r"\*").replace("…", "…")) as raised:
        fit(recipe, source)

    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_net_without_a_body_cannot_freeze_one():
    task = ts.Task(nn.Linear(6, 2), data())

    with pytest.raises(RecipeError, match="is a head alone"):
        ts.fit(task, {**COMMON, "train.epochs": 1, "model.freeze": "body"}, display=QuietDisplay())


def test_an_output_bias_from_the_data_needs_a_fresh_head(source):
    torch.manual_seed(0)
    task = ts.Task(lambda: Net(5), data(5))
    recipe = {**COMMON, "train.epochs": 1, "model.pretrained": source, "model.output_bias": "data"}

    with pytest.raises(RecipeError, match="would overwrite the last layer"):
        ts.fit(task, recipe, display=QuietDisplay())
    fit({"model.output_bias": "data", "train.epochs": 1}, source)


def test_the_command_line_begins_from_a_run_and_resumes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = data(2, rows=200)
    rows = "\n".join(",".join([*map(str, row), f"kind {label}"]) for row, label in zip(x.tolist(), y, strict=True))
    (tmp_path / "t.csv").write_text(",".join([*(f"c{place}" for place in range(6)), "kind"]) + "\n" + rows)
    common = ["--target", "kind", "--quiet", "--json", "--set", "eval.bootstrap=0", "--set", "model.width=8"]
    app(["fit", "t.csv", *common, "--epochs", "2", "--folder", "first"], standalone_mode=False)
    capsys.readouterr()
    start = ["--set", "model.pretrained=first", "--set", "model.freeze=body", "--set", "model.unfreeze_every=1"]
    start += ["--set", "optim.rates.body=0.1"]

    app(
        ["fit", "t.csv", *common, *start, "--epochs", "3", "--folder", "then", "--until", "1 epochs"],
        standalone_mode=False,
    )
    answer = app(
        ["fit", "t.csv", *common, *start, "--epochs", "3", "--folder", "then", "--resume"], standalone_mode=False
    )

    run = ts.Run("then")
    assert run.status == "finished"
    assert (run.recipe.model.pretrained, run.recipe.optim.rates) == ("first", {"body": 0.1})
    assert any("100.0% of the numbers" in one["because"] for one in run.decisions)
    assert json.dumps(answer.data["scores"])
    assert ts.load("then").predict("t.csv").labels
