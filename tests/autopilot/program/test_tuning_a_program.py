"""Whole tunings of programs, small: what is decided, that the live objects stay, and what a stop in the middle changes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import datasets
from torch import nn

import tunesmith as ts
import tunesmith.verbs.tune as verb
from tunesmith.autopilot.program.pilot import STAGES
from tunesmith.doctor.causes import Case
from tunesmith.doctor.causes.rate_sweep import at_rate
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.repair import Repair
from tunesmith.doctor.repair.outcome import Attempt
from tunesmith.doctor.repair.patient import operated
from tunesmith.records import Clock, DataError, Findings, ModelError, Program, RunError
from tunesmith.reports.tuned_page import tuned_page
from tunesmith.runs.tuning import read_tuning
from tunesmith.verbs.tune import plan

BUDGET = "30 epochs"


def wine(seed=0, *, rate=0.003, **about):
    """A net that learns too slowly."""
    data = datasets.load_wine()
    drawn = np.random.default_rng(0).permutation(len(data.data))
    inputs = torch.tensor((data.data - data.data.mean(0)) / data.data.std(0), dtype=torch.float32)[drawn]
    target = torch.tensor(data.target)[drawn]
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    parts = {"val": (inputs[90:140], target[90:140]), "test": (inputs[140:], target[140:])}
    return Program(
        net,
        about.pop("loss", nn.CrossEntropyLoss()),
        optimizer,
        (inputs[:90], target[:90]),
        **{"batch_size": 16, "epochs": 3} | parts | about,
    )


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        _quick(patch)
        return ts.tune(wine(), budget=BUDGET, folder=tmp_path_factory.mktemp("a") / "tuned", seed=1)


@pytest.fixture
def quick(monkeypatch):
    _quick(monkeypatch)


def _quick(patch):
    """Without the checks before a run; `tests/cli/test_tune_program.py` carries them out."""
    whole = verb.hands()
    patch.setattr(verb, "hands", lambda: replace(whole, preflight=lambda *given, **about: Findings()))


def test_every_stage_decides_and_the_tuned_program_is_better_than_the_one_that_was_brought(tuned):
    rows = tuned.judged["rows"]

    assert set(STAGES) <= {one.stage for one in tuned.decisions}
    assert tuned.judged["part"] == "test"
    assert set(rows) == {"handed over", "program as it is", "constant answer"}
    assert tuned.scores["accuracy"] > rows["program as it is"]["scores"]["accuracy"] + 0.1
    assert "test rows that nothing was chosen on" in tuned.decisions[-1].because
    assert any(line.startswith("lr = ") for line in tuned.lines)
    found = [one.evidence["states"] for one in tuned.decisions if one.title.startswith("round ")]
    assert found
    assert all(states["failed"] == 0 for states in found)


def test_what_was_left_has_its_measured_figure(tuned):
    chosen = [one for one in tuned.decisions if "gain" in one.evidence]

    assert chosen
    assert all(one.instead["way"] and np.isfinite(one.instead["accuracy"]) for one in chosen)


def test_the_live_objects_are_as_they_were(tmp_path, quick):
    program = wine()
    before = {name: value.clone() for name, value in program.model.state_dict().items()}
    settings = {name: value for name, value in program.optimizer.param_groups[0].items() if name != "params"}
    drawn = torch.get_rng_state()

    ts.tune(program, budget="8 epochs", folder=tmp_path / "a")

    assert all(torch.equal(value, before[name]) for name, value in program.model.state_dict().items())
    now = program.optimizer.param_groups[0]
    assert all(now[name] == value for name, value in settings.items())
    assert not program.optimizer.state
    assert all(each.grad is None for each in program.model.parameters())
    assert torch.equal(torch.get_rng_state(), drawn)


def test_the_budget_is_planned_for_the_stages_of_a_program_alone(tuned):
    planned = {name for one in tuned.decisions if one.stage == "plan" for name in one.evidence["shares"]}

    assert planned
    assert planned <= set(STAGES)


def test_no_more_epochs_are_trained_than_were_given_and_no_step_twice(tuned):
    steps = [json.loads(line) for line in (tuned.folder / "steps.jsonl").read_text().splitlines()]
    done = [one for one in steps if "step" in one]

    assert 15 < sum(one["epochs"] for one in done) <= 30
    assert len({one["step"] for one in done}) == len(done)


def test_the_model_has_the_weights_that_were_judged_here_and_from_the_folder(tuned):
    inputs, target = wine().test
    model = tuned.model
    again = ts.load(tuned.folder, model=wine(seed=5).model)

    with torch.no_grad():
        said = model(inputs)
        assert float((said.argmax(1) == target).float().mean()) == pytest.approx(tuned.scores["accuracy"])
        assert torch.equal(again(inputs), said)
    with pytest.raises(RunError, match="your own module"):
        ts.load(tuned.folder)
    with pytest.raises(RunError, match="inputs of its loaders"):
        tuned.predict(inputs)
    with pytest.raises(RunError, match="no recipe"):
        _ = tuned.recipe
    with pytest.raises(RunError, match="another module"):
        ts.load(tuned.folder, model=nn.Linear(2, 2))


@pytest.mark.parametrize("stop", ["plain", "search", "regularise", "judge"])
def test_one_that_was_stopped_goes_on_with_other_first_weights_and_decides_the_same(
    stop, tuned, tmp_path, monkeypatch, quick
):
    class Stopped(BaseException):
        pass

    def breaks(flight):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setitem(STAGES, stop, (breaks, "breaks"))
        with pytest.raises(Stopped):
            ts.tune(wine(), budget=BUDGET, folder=tmp_path / "a", seed=1)
    after = ts.tune(wine(seed=7), budget=BUDGET, folder=tmp_path / "a", seed=1, resume=True)

    assert after.judged == tuned.judged
    assert [one.title for one in after.decisions] == [one.title for one in tuned.decisions]


def test_a_training_that_was_killed_between_epochs_goes_on_as_if_it_had_not_been(tuned, tmp_path, monkeypatch, quick):
    from tunesmith.autopilot.program.training import Training

    class Killed(BaseException):
        pass

    whole = Training._stepped

    def killed(self):
        if len(self.records) == 2:
            raise Killed
        whole(self)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_stepped", killed)
        with pytest.raises(Killed):
            ts.tune(wine(), budget=BUDGET, folder=tmp_path / "a", seed=1)
    trained = []
    monkeypatch.setattr(Training, "_stepped", lambda self: (trained.append(self.folder.name), whole(self))[1])
    after = ts.tune(wine(), budget=BUDGET, folder=tmp_path / "a", seed=1, resume=True)

    assert trained.count("plain-net") == 1
    assert after.judged == tuned.judged


def test_the_page_says_what_to_change(tuned):
    page = tuned_page(read_tuning(tuned.folder))

    assert "What to change in the program" in page
    assert tuned.lines[0].replace("'", "&#x27;") in page
    assert "program as it is" in page
    assert "No net was better" not in page


def test_a_loop_of_its_own_with_a_loader_and_a_schedule(tmp_path, quick):
    def loop(program, epochs):
        for _ in range(epochs):
            program.model.train()
            for xb, yb in program.train:
                program.optimizer.zero_grad()
                program.loss_fn(program.model(xb), yb).backward()
                program.optimizer.step()
            program.scheduler.step()

    program = wine()
    data = torch.utils.data.TensorDataset(*program.train)
    program.train = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)
    program.loop, program.scheduler = loop, torch.optim.lr_scheduler.StepLR(program.optimizer, 2)

    tuned = ts.tune(program, budget="60 epochs", folder=tmp_path / "a")

    found = next(one for one in tuned.decisions if one.title.startswith("round 1"))
    assert found.evidence["trials"] >= 2
    assert tuned.scores["accuracy"] > tuned.judged["rows"]["program as it is"]["scores"]["accuracy"]
    assert program.scheduler.last_epoch == 0


@pytest.mark.slow
def test_a_broken_program_is_mended_and_the_mended_one_is_searched(tmp_path, monkeypatch):
    program = wine(rate=300.0, epochs=6)

    tuned = ts.tune(program, budget="90 epochs", folder=tmp_path / "a")

    mend = next(one for one in tuned.decisions if one.stage == "mend")
    assert mend.title.startswith("mended: ")
    assert tuned.scores["accuracy"] > 0.8
    assert any('["lr"]' in line for line in tuned.lines)

    asked = []
    (tmp_path / "a" / "scores.json").unlink()
    whole = verb.hands()
    monkeypatch.setattr(verb, "hands", lambda: replace(whole, repair=lambda *given, **about: asked.append(given)))
    again = ts.tune(wine(rate=300.0, epochs=6), budget="90 epochs", folder=tmp_path / "a", resume=True)

    assert asked == []
    assert again.judged == tuned.judged
    assert again.lines == tuned.lines


def test_what_repair_gives_is_kept_where_it_is_better_and_made_again_by_its_name(tmp_path, monkeypatch):
    whole, asked = verb.hands(), []

    def repair(program, **about):
        asked.append(about)
        bench = Bench(program)
        mended = operated(bench, at_rate(Case(bench, Clock()), 0.001, 1.0))
        change = Attempt(change="rate × 0.001", surgery="rate", lines=('group["lr"] = 0.3',), kept=True)
        return Repair(program=mended, changes=[change], spent=12.0)

    hands = replace(whole, preflight=lambda *given, **about: Findings(), repair=repair)
    monkeypatch.setattr(verb, "hands", lambda: hands)
    about = {"budget": "40 epochs", "folder": tmp_path / "a"}

    tuned = ts.tune(wine(rate=300.0), **about)

    mend = next(one for one in tuned.decisions if one.stage == "mend")
    assert mend.title == "mended: rate × 0.001 is taken"
    assert mend.instead["way"] == "program as it is"
    assert asked == [{"epochs": 18.0, "seconds": None}]
    assert tuned.lines[:2] == ["# rate × 0.001", 'group["lr"] = 0.3']

    (tmp_path / "a" / "scores.json").unlink()
    again = ts.tune(wine(rate=300.0), resume=True, **about)
    assert len(asked) == 1
    assert again.judged == tuned.judged


def test_a_repair_that_finds_nothing_or_cannot_be_paid_is_said(tmp_path, quick):
    program = wine(rate=0.0)
    for each in program.model[2].parameters():
        nn.init.zeros_(each)

    poor = ts.tune(program, budget="12 epochs", folder=tmp_path / "a")

    mend = next(one for one in poor.decisions if one.stage == "mend")
    assert not mend.taken
    assert "no better than a constant answer" in mend.because
    assert "no budget for a repair" in mend.because


def test_a_task_that_no_metric_is_known_for_is_judged_by_its_own_loss(quick):
    def apart(outputs, target):
        return (outputs.norm(dim=1) - target.float().sum(1)).abs().mean()

    drawn = torch.Generator().manual_seed(0)
    inputs = torch.randn(80, 4, generator=drawn)
    target = (inputs[:, :3] > 0).long()
    torch.manual_seed(0)
    net = nn.Linear(4, 5)
    parts = {"val": (inputs[60:], target[60:]), "batch_size": 10, "epochs": 2}
    program = Program(net, apart, torch.optim.Adam(net.parameters(), lr=1e-4), (inputs[:60], target[:60]), **parts)

    tuned = ts.tune(program, budget="16 epochs")

    assert tuned.judged["metric"] == "loss"
    assert tuned.judged["part"] == "val"
    assert tuned.scores["loss"] < tuned.judged["rows"]["program as it is"]["scores"]["loss"]
    assert "the score flatters itself" in tuned.decisions[-1].because


def test_numbers_a_metric_of_ones_own_and_rows_that_are_cut_off_to_choose(quick):
    def worst(model, inputs, target):
        with torch.no_grad():
            return float((model(inputs) - target).abs().max())

    drawn = np.random.default_rng(0)
    inputs = drawn.normal(size=(200, 5)).astype(np.float32)
    target = (inputs @ np.array([1, -2, 0.5, 0, 0], np.float32))[:, None]
    torch.manual_seed(0)
    net = nn.Linear(5, 1)
    about = {"batch_size": 20, "epochs": 2, "metric": worst}
    program = Program(net, nn.MSELoss(), torch.optim.Adam(net.parameters()), (inputs, target), **about)

    tuned = ts.tune(program, budget="12 epochs")

    assert tuned.judged["metric"] == "r2"
    assert tuned.judged["rows"]["handed over"]["count"] == 40
    assert np.isfinite(tuned.scores["worst"])


def test_under_a_budget_in_time_the_clock_decides_and_what_it_chose_is_kept(tmp_path, quick):
    about = {"budget": "12s", "folder": tmp_path / "a", "seed": 1}
    first = ts.tune(wine(), **about)
    (tmp_path / "a" / "scores.json").unlink()

    again = ts.tune(wine(), resume=True, **about)

    assert [one.title for one in again.decisions] == [one.title for one in first.decisions]


def test_the_plan_trains_nothing():
    told = plan(wine(), budget="10m")

    assert (told["unit"], told["total"], told["kind"], told["metric"]) == ("seconds", 600.0, "multiclass", "accuracy")
    assert (told["rows"], told["epochs"], told["model"]) == (90, 3, "Sequential")
    assert [one["stage"] for one in told["stages"]] == list(STAGES)


def closing_over():
    program = wine()
    program.loss_fn = lambda outputs, target: (
        nn.functional.cross_entropy(outputs, target) + program.model[0].weight.norm()
    )
    return program


def reaching_the_net():
    program = wine()
    net = program.model
    program.step = lambda model, loss_fn, optimizer, xb, yb: float(loss_fn(net(xb), yb))
    return program


def without_val():
    program = wine(val=None)
    data = torch.utils.data.TensorDataset(*program.train)
    program.train = torch.utils.data.DataLoader(data, batch_size=16)
    return program


@pytest.mark.parametrize(
    ("make", "about", "error", "said"),
    [
        (closing_over, {}, ModelError, "changed the original"),
        (reaching_the_net, {}, ModelError, "pass it in"),
        (without_val, {}, DataError, "val=\\(X, y\\)"),
        (lambda: wine(metric="r2"), {}, ts.TunesmithError, "does not fit a multiclass"),
        (lambda: wine(epochs=0), {}, DataError, "epochs = 0"),
        (wine, {"budget": "soon"}, DataError, "budget = 'soon'"),
        (wine, {"recipe": {"optim.lr": 1.0}}, DataError, "a recipe came with a Program"),
        (wine, {"target": "y"}, DataError, "a target came with a Program"),
    ],
)
def test_what_cannot_be_tuned_is_one_sentence(make, about, error, said, tmp_path):
    program = make()

    with pytest.raises(error, match=said):
        ts.tune(program, **{"budget": "4 epochs", "folder": tmp_path / "a"} | about)
    assert all(each.grad is None for each in program.model.parameters())
    assert not (tmp_path / "a").exists()


def test_another_program_does_not_go_on_with_a_folder(tuned):
    with pytest.raises(DataError, match="data differ"):
        ts.tune(wine(rate=0.1), budget=BUDGET, folder=tuned.folder, seed=1, resume=True)
