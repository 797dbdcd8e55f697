"""`ts.scale` and `tunesmith scale`: a ladder in a folder, resumed, with its law; what cannot be laid out is said."""

import json

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.cli import run
from tunesmith.records import DataError, ModelError, RecipeError, RunError

FAST = {"train.epochs": 2, "train.batch_size": 64, "model.depth": 1, "model.dropout": 0.0, "data.test": 0.0}


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    y = (np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]).astype(np.float32)
    return ts.Task("mlp", (x[:300], y[:300]), val=(x[300:], y[300:]), kind="regression")


def test_a_ladder_is_trained_kept_and_gone_on_with(task, tmp_path):
    told = []
    found = ts.scale(task, FAST, widths=(4, 8, 16), rates=(1, 4), reach=64, folder=tmp_path / "one", step=told.append)

    assert len(told) == len(found.rungs) == 6
    assert [one.parameters for one in found.rungs] == sorted(one.parameters for one in found.rungs)
    assert found.law is None  # of three sizes
    assert "3 different sizes" in found.why
    again = ts.scale(task, FAST, widths=(4, 8, 16, 32), rates=(1, 4), reach=64, folder=tmp_path / "one", resume=True, step=told.append)  # fmt: skip
    assert len(told) == 8  # two more
    assert again.rungs[:6] == found.rungs
    kept = json.loads((tmp_path / "one" / "scaling.json").read_text())
    assert [one["loss"] for one in kept["rungs"]] == [one.loss for one in again.rungs]
    assert (tmp_path / "one" / "scaling.svg").read_text().startswith("<svg")
    with pytest.raises(RunError, match="holds a ladder"):
        ts.scale(task, FAST, widths=(4,), folder=tmp_path / "one")
    with pytest.raises(RunError, match="other recipe"):
        ts.scale(task, FAST | {"train.epochs": 3}, widths=(4,), folder=tmp_path / "one", resume=True)


def test_a_training_that_was_cut_off_goes_on(task, tmp_path, monkeypatch):
    whole = ts.scale(task, FAST, widths=(4, 8), folder=tmp_path / "whole")
    from tunesmith.verbs import scale as verb

    cut = {"left": 1}
    original = verb.Ground.train

    def breaks(self, rung, folder):
        if not cut["left"]:
            raise KeyboardInterrupt
        cut["left"] -= 1
        return original(self, rung, folder)

    monkeypatch.setattr(verb.Ground, "train", breaks)
    with pytest.raises(KeyboardInterrupt):
        ts.scale(task, FAST, widths=(4, 8), folder=tmp_path / "cut")
    monkeypatch.setattr(verb.Ground, "train", original)
    lines = tmp_path / "cut" / "rungs.jsonl"
    lines.write_text(lines.read_text() + '{"width": 8, "sha')  # as a kill leaves it
    found = ts.scale(task, FAST, widths=(4, 8), folder=tmp_path / "cut", resume=True)

    assert [one.loss for one in found.rungs] == [one.loss for one in whole.rungs]


def test_shares_of_the_rows_give_a_law_of_rows(task):
    found = ts.scale(task, FAST, widths=(16,), shares=(0.1, 0.2, 0.4, 1.0), seeds=2, reach_rows=1200)

    assert found.measure == "rows"
    assert {one.rows for one in found.rungs} == {30, 60, 120, 300}
    assert found.law is not None
    assert found.expected.low < found.expected.value < found.expected.high
    assert found.reach == (1200.0,)
    losses = {rows: np.mean([one.loss for one in found.rungs if one.rows == rows]) for rows in (30, 300)}
    assert losses[300] < losses[30]
    assert "times the rows" in found.worth(losses[30], losses[300])


def test_a_base_width_changes_rates_of_wider_nets_alone(task):
    plain = ts.scale(task, FAST, widths=(8, 32))
    carried = ts.scale(task, FAST, widths=(8, 32), base_width=8)

    assert plain.rungs[0].loss == carried.rungs[0].loss
    assert plain.rungs[1].loss != carried.rungs[1].loss


def test_a_plan_tells_what_it_carries_and_trains_with_it(task):
    from tunesmith.data import prepare
    from tunesmith.training.plan import make
    from tunesmith.training.session import seeded
    from tunesmith.verbs.fit import as_recipe

    recipe = as_recipe(FAST | {"model.width": 32, "model.base_width": 8, "optim.lr": 0.01})
    with seeded(0):
        made = make(task, recipe, prepare(task, recipe))

    rates = {name: part["lr"] for part in made.plan.state.optimizer.param_groups for name in part["names"]}
    assert "rates, decay and starts are carried from width 8 to 32 (µP):" in made.notices
    assert rates["head.weight"] == pytest.approx(0.0025)
    assert rates["head.bias"] == 0.01
    assert ts.fit(task, recipe).scores["best"]["score"] is not None


def test_the_command_ends_in_a_table_and_a_picture(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 3))
    lines = ["a,b,c,y", *(f"{a:.4f},{b:.4f},{c:.4f},{a * b + c:.4f}" for a, b, c in x)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    monkeypatch.setenv("COLUMNS", "80")
    code = run(["scale", str(tmp_path / "rows.csv"), "--target", "y", "--widths", "4,8,16", "--epochs", "1", "--check",
                "--base-width", "4", "--folder", str(tmp_path / "ladder")])  # fmt: skip

    shown = capsys.readouterr().out
    assert code == 0, shown
    assert "no law: 3 different sizes" in shown
    assert "coordinate check:" in shown
    assert max(map(len, shown.splitlines())) <= 80 or str(tmp_path) in shown


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"widths": ()}, RecipeError, "widths = "),
        ({"widths": (4,), "shares": (0.0,)}, RecipeError, "shares = "),
        ({"widths": (4,), "rates": (-1.0,)}, RecipeError, "rates = "),
        ({"widths": (4,), "seeds": 0}, RecipeError, "seeds = 0"),
        ({"widths": (4,), "reach": 64}, RecipeError, "reach = 64"),
        ({"widths": (4, 8), "reach_rows": 900}, RecipeError, "reach_rows = 900"),
        ({"widths": (4,), "base_width": 0}, RecipeError, "base_width = 0"),
        ({"widths": (4, 8), "check": True}, DataError, "three or more are needed"),
    ],
)
def test_what_cannot_be_laid_out_is_said(task, asked, error, words):
    with pytest.raises(error, match=words):
        ts.scale(task, FAST, **asked)


def test_a_net_of_ones_own_is_sent_to_the_parts(task):
    from torch import nn

    own = ts.Task(nn.Linear(6, 1), task.train, val=task.val, kind="regression")
    with pytest.raises(RecipeError, match="a ladder needs a built-in net"):
        ts.scale(own, FAST, widths=(4, 8))


def test_a_base_width_that_cannot_be_carried_from_is_said(task):
    from torch import nn

    own = ts.Task(nn.Linear(6, 1), task.train, val=task.val, kind="regression")
    with pytest.raises(ModelError, match="for built-in nets"):
        ts.fit(own, FAST | {"model.base_width": 8})
    with pytest.raises(RecipeError, match="is known for"):
        ts.fit(task, FAST | {"model.base_width": 8, "optim.name": "muon"})


def test_heads_fit_all_widths_unless_somebody_set_them():
    from tunesmith.verbs.fit import as_recipe
    from tunesmith.verbs.scale import Ground

    text = ts.Task("decoder", [f"a line of text, number {n}" for n in range(60)], kind="language")
    free = Ground(text, as_recipe({"train.epochs": 1}), None)
    free.fit_heads([16, 32, 48])
    given = Ground(text, as_recipe({"train.epochs": 1, "model.width": 64, "model.heads": 2}), None)
    given.fit_heads([16, 32, 48])

    assert [free.recipe(width).model.heads for width in (16, 32, 48)] == [1, 2, 3]
    with pytest.raises(RecipeError, match="heads are 32 wide"):
        given.recipe(48)
