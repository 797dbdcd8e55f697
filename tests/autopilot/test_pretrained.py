"""A tuning that is given a start: the ways to use it stand beside each other, and one drawn anew too."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import tunesmith as ts
from tunesmith.reports import QuietDisplay

COMMON = {"train.threads": 1, "run.watch": False, "eval.bootstrap": 0, "optim.lr": 1e-2, "train.batch_size": 16}


def rows(seed, count=400):
    """Classes by the angle of a point in a plane that lies askew in ten columns."""
    drawn = np.random.default_rng(seed)
    plane = np.random.default_rng(7).normal(size=(2, 10))
    place = drawn.normal(size=(count, 2))
    angle = np.arctan2(place[:, 0], place[:, 1])
    return (place @ plane + 0.1 * drawn.normal(size=(count, 10))).astype(np.float32), angle


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 24), nn.ReLU())
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        return self.head(self.body(x))


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    """Weights that know the plane: eight slices of the angle."""
    x, angle = rows(0, 2000)
    torch.manual_seed(0)
    net = Net()
    net.head = nn.Linear(24, 8)
    recipe = {**COMMON, "train.epochs": 15}
    run = ts.fit(ts.Task(net, (x, np.digitize(angle, np.linspace(-3.2, 3.2, 9)[1:-1]))), recipe, display=QuietDisplay())
    place = tmp_path_factory.mktemp("body") / "body.pt"
    torch.save(run.model.state_dict(), place)
    return str(place)


def task():
    train, val, test = ((x, np.digitize(angle, [-1.2, 1.0])) for x, angle in (rows(1, 60), rows(2, 300), rows(3, 300)))
    return ts.Task(Net, train, val, test)


@pytest.fixture(scope="module")
def tuned(body, tmp_path_factory):
    recipe = {**COMMON, "train.epochs": 4, "model.pretrained": body}
    return ts.tune(task(), recipe, budget="120 epochs", folder=tmp_path_factory.mktemp("t") / "tuned", seed=0)


def test_every_way_is_tried_and_has_the_figure_of_the_way_not_taken(tuned):
    found = [one for one in tuned.decisions if one.stage == "pretrained"]
    titles = " · ".join(one.title for one in found)

    for word in (
        "the body frozen",
        "the body at 0.1 of the rate",
        "all weights drawn anew",
        "a layer unfrozen every 1 epoch",
        "dropout 0 is",
    ):
        assert word in titles
    judged = [one for one in found if "gain" in one.evidence]
    assert len(judged) >= 4
    assert all(np.isfinite(one.instead["accuracy"]) for one in judged)
    assert all(one.evidence["chance"] >= 0.9 for one in found if one.taken)


def test_what_was_trained_is_what_the_titles_say(tuned):
    steps = {}
    for place in (tuned.folder / "steps").glob("pretrained-*"):
        recipe = ts.Run(place / "run").recipe
        steps[place.name] = recipe.model

    assert steps["pretrained-1"].freeze == "body"
    assert steps["pretrained-3"].pretrained is None
    assert [name for name, one in steps.items() if one.unfreeze_every == 1 and one.freeze == "body"]


def test_it_goes_on_after_a_stop_and_is_the_same_again(tuned, body, tmp_path, monkeypatch):
    from tunesmith.autopilot.pilot import STAGES

    class Stopped(BaseException):
        pass

    def breaks(flight):
        raise Stopped

    recipe = {**COMMON, "train.epochs": 4, "model.pretrained": body}
    with monkeypatch.context() as patch:
        patch.setitem(STAGES, "search", (breaks, "breaks"))
        with pytest.raises(Stopped):
            ts.tune(task(), recipe, budget="120 epochs", folder=tmp_path / "a", seed=0)

    after = ts.tune(task(), recipe, budget="120 epochs", folder=tmp_path / "a", seed=0, resume=True)

    assert [one.title for one in after.decisions] == [one.title for one in tuned.decisions]
    assert after.judged == tuned.judged


def test_what_the_user_set_stays_and_a_small_budget_ends_the_stage(body, tmp_path):
    recipe = {
        **COMMON,
        "train.epochs": 4,
        "model.pretrained": body,
        "model.freeze": "body",
        "optim.rates": {"body": 0.5},
    }

    tuned = ts.tune(task(), recipe, budget="12 epochs", folder=tmp_path / "a", seed=0)

    found = [one.title for one in tuned.decisions if one.stage == "pretrained"]
    assert not [one for one in found if "frozen" in one or "of the rate" in one]
    assert found[-1].endswith("is not tried")
    spent = [json.loads(line) for line in (tuned.folder / "steps.jsonl").read_text().splitlines()]
    assert sum(one.get("epochs", 0) for one in spent if "step" in one) <= 12


def test_without_a_start_nothing_is_tried(tmp_path):
    tuned = ts.tune(task(), {**COMMON, "train.epochs": 2}, budget="8 epochs", folder=tmp_path / "a", seed=0)

    assert not [one.title for one in tuned.decisions if one.stage == "pretrained"]
    assert not list((tuned.folder / "steps").glob("pretrained-*"))
