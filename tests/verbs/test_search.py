"""`search`: a function, a task, a data file; what it may spend; what it says of wrong use."""

import math

import numpy as np
import pytest

import tunesmith as ts
from tunesmith.records import DataError, Recipe, RecipeError, RunError, Source, UnknownName, revise
from tunesmith.search.auto_space import auto_space
from tunesmith.search.study import RUN
from tunesmith.verbs.search_budget import amount_of
from tunesmith.verbs.search_files import read_space
from tunesmith.verbs.search_task import TaskSubject

SMALL = {
    "model.width": 8,
    "model.depth": 1,
    "train.batch_size": 32,
    "optim.name": "adamw",
    "schedule.warmup": 0,
    "data.val": 0.3,
}
RATES = {"optim.lr": ts.Real(1e-4, 1e-1, log=True)}
RANDOM = {"sampler": "random", "scheme": "full"}


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 4)).astype("float32")
    return ts.Task("mlp", train=(inputs, (inputs[:, 0] + 0.2 * rng.normal(size=120) > 0).astype(int)))


@pytest.fixture
def subject(task):
    return TaskSubject(task, revise(Recipe(), {**SMALL, "train.epochs": 4, "train.patience": None, "run.watch": False}))


def test_the_verb_is_the_room_too():
    study = ts.search(lambda config: config["x"] ** 2, {"x": ts.Real(-1, 1)}, budget=12, **RANDOM)

    assert isinstance(study, ts.Study)
    assert len(study.trials) == 12
    assert study.best_score == min(trial.change["x"] ** 2 for trial in study.trials)
    assert ts.search.Real is ts.Real


def test_a_search_over_a_task_keeps_a_run_a_trial_and_a_model(task, tmp_path):
    given = {"recipe": SMALL, "max_budget": 3, "sampler": "random", "scheme": "asha", "confirm": 0}

    study = ts.search(task, RATES, budget="8 epochs", folder=tmp_path / "s", **given)

    assert study.trials.spent == 8
    record = study.best_record
    assert record["score"] == -record["value"]
    assert {"metric", "train_loss", "val_loss", "seconds"} <= set(record)
    run = ts.Run(study.trial_folder(study.best.id) / RUN)
    assert run.recipe.optim.lr == study.best_config["optim.lr"]
    assert [row["score"] for row in run.evaluations] == [one["value"] for one in study.best.records]
    assert len(study.model().predict(task.train[0]).probabilities) == 120


def test_a_trial_that_pauses_comes_to_the_same_as_one_that_does_not(subject, tmp_path):
    for name in ("paused", "whole"):
        (tmp_path / name).mkdir()
    config, about = {"optim.lr": 3e-3, "model.dropout": 0.3}, {"seed": 1, "copy_from": None}

    first = list(subject.train(config, start=0, upto=1, folder=tmp_path / "paused", **about))
    rest = list(subject.train(config, start=1, upto=4, folder=tmp_path / "paused", **about))
    whole = list(subject.train(config, start=0, upto=4, folder=tmp_path / "whole", **about))

    assert _numbers([*first, *rest]) == _numbers(whole)
    assert len(_numbers(whole)) == 4


def test_epochs_that_were_trained_before_a_crash_are_read_not_trained_again(subject, tmp_path):
    config, about = {"optim.lr": 3e-3}, {"seed": 1, "copy_from": None, "folder": tmp_path}
    whole = list(subject.train(config, start=0, upto=3, **about))

    again = list(subject.train(config, start=1, upto=3, **about))

    assert again[0] is None
    assert _numbers(again) == _numbers(whole[1:])
    assert len(ts.Run(tmp_path / RUN).evaluations) == 3


def _numbers(records):
    return [{name: value for name, value in one.items() if name != "seconds"} for one in records if one is not None]


def test_weights_are_taken_over_from_another_trial(subject, tmp_path):
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    good = list(subject.train({"optim.lr": 3e-2}, start=0, upto=2, folder=tmp_path / "good", seed=1, copy_from=None))
    bad = list(subject.train({"optim.lr": 1e-7}, start=0, upto=2, folder=tmp_path / "bad", seed=2, copy_from=None))

    after = list(
        subject.train({"optim.lr": 1e-7}, start=2, upto=3, folder=tmp_path / "bad", seed=2, copy_from=tmp_path / "good")
    )

    assert abs(after[-1]["val_loss"] - good[-1]["val_loss"]) < 0.001 < abs(bad[-1]["val_loss"] - good[-1]["val_loss"])


def test_a_training_that_blows_up_fails_its_trial_alone(task):
    space = {"optim.lr": ts.Choice([1e-2, 1e8])}
    recipe = {**SMALL, "optim.name": "sgd", "train.recover": "off"}

    study = ts.search(
        task, space, budget="2 trials", recipe=recipe, max_budget=2, sampler="grid", scheme="full", confirm=0
    )

    states = {trial.change["optim.lr"]: trial.state for trial in study.trials}
    assert states[1e-2] == "done"
    assert states[1e8] in ("failed", "stopped")
    assert math.isfinite(study.best_score)


def test_the_best_is_confirmed_beside_the_default(task, tmp_path):
    study = ts.search(task, RATES, budget=2, recipe=SMALL, max_budget=1, **RANDOM, confirm=2, folder=tmp_path / "s")

    told = study.confirmation
    assert told["seeds"] == 2
    assert [row["trial"] for row in told["trials"]] == [row["trial"] for row in study.best_rows(2)]
    assert len(told["default"]["scores"]) == 2
    assert ts.Study(tmp_path / "s").confirmation == told


def test_an_unknown_field_is_told_before_anything_is_trained(task):
    with pytest.raises(UnknownName, match=r"optim\.lrr"):
        ts.search(task, {"optim.lrr": ts.Real(0, 1)}, recipe=SMALL)


def test_steps_are_no_epochs(task):
    with pytest.raises(RecipeError, match="a search counts epochs"):
        ts.search(task, RATES, recipe={**SMALL, "train.steps": 10})


SPACE = {"x": ts.Real(0, 1)}


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"space": "auto"}, DataError, "of a function nobody knows what to search"),
        ({"space": SPACE, "target": "y"}, DataError, "target came with a function"),
        ({"space": SPACE, "budget": "ten"}, DataError, "budget = 'ten'"),
        ({"space": SPACE, "budget": 0}, DataError, "budget = 0"),
        ({"space": SPACE, "executor": "slurm"}, DataError, "slurm needs a folder"),
        ({"space": SPACE, "executor": "pol"}, UnknownName, "no executor called 'pol'"),
    ],
)
def test_wrong_use_is_said(given, error, said):
    with pytest.raises(error, match=said):
        ts.search(lambda config: 0.0, **RANDOM, **given)


def test_an_interrupted_search_is_gone_on_with(tmp_path):
    def broken(config):
        if not (tmp_path / "mended").exists():
            raise KeyboardInterrupt
        return config["x"]

    given = {"space": SPACE, "budget": 3, "folder": tmp_path / "s", **RANDOM}
    with pytest.raises(KeyboardInterrupt):
        ts.search(broken, **given)
    with pytest.raises(RunError, match="holds a search already"):
        ts.search(broken, **given)
    (tmp_path / "mended").touch()

    study = ts.search(broken, **given, resume=True)

    assert [trial.state for trial in study.trials] == ["done"] * 3


@pytest.mark.parametrize(
    ("asked", "total", "trials", "seconds"),
    [
        (20, 180, None, None),
        ("20", 180, None, None),
        ("2.5 trainings", 23, None, None),
        ("540 epochs", 540, None, None),
        ("1 epoch", 1, None, None),
        ("100 trials", None, 100, None),
        ("10m", None, None, 600),
        ("90 s", None, None, 90),
        ("1.5 hours", None, None, 5400),
        ("2 days", None, None, 172800),
    ],
)
def test_amounts(asked, total, trials, seconds):
    amount = amount_of(asked)

    assert (amount.total(9), amount.trials, amount.seconds) == (total, trials, seconds)


@pytest.mark.parametrize("asked", ["", "-3", "2.5 trials", "3 apples", "m10", None, "nan"])
def test_what_is_no_amount_is_said(asked):
    with pytest.raises(DataError, match="expected a number of full trainings"):
        amount_of(asked)


RESOLVED = {
    "optim.name": "adamw",
    "optim.lr": 1e-3,
    "optim.weight_decay": 0.01,
    "train.batch_size": 32,
    "model.width": 64,
    "model.depth": 2,
    "model.dropout": 0.1,
}


def test_the_space_of_a_task_holds_what_nobody_said():
    recipe = revise(Recipe(), RESOLVED, Source("derived", "test"))

    space, prior = auto_space(recipe, {"model": "mlp", "rows": 1000})
    fixed, _ = auto_space(revise(recipe, {"optim.lr": 0.5}, Source("command line")), {"model": "mlp", "rows": 1000})

    assert set(space) == {*RESOLVED, "schedule.warmup"}
    assert all(space[path].holds(prior[path]) for path in space)
    assert {path: prior[path] for path in RESOLVED} == RESOLVED
    assert "optim.lr" not in fixed
    revise(recipe, space.from_units(dict.fromkeys(space, 0.99)))  # every value fits the recipe


def test_a_rate_outside_the_rules_widens_its_range():
    recipe = revise(Recipe(), {"optim.name": "adamw", "optim.lr": 0.5}, Source("derived", "test"))

    space, _ = auto_space(recipe, {"model": "mlp"})

    assert (space["optim.lr"].low, space["optim.lr"].high) == (1e-5, 0.5)


def test_a_space_in_a_file(tmp_path):
    (tmp_path / "s.toml").write_text(
        'constraints = ["model.depth * model.width <= 100"]\n[prior]\n"optim.lr" = 1e-3\n[optim.lr]\ntype = "float"\n'
        'low = 1e-5\nhigh = 1e-2\nlog = true\n[model.depth]\ntype = "int"\nlow = 1\nhigh = 4\n'
        '[model.width]\ntype = "ord"\nchoices = [8, 64]\n',
        encoding="utf-8",
    )

    space, prior = read_space(tmp_path / "s.toml")

    assert space["optim.lr"] == ts.Real(1e-5, 1e-2, log=True)
    assert space["model.depth"] == ts.Int(1, 4)
    assert prior == {"optim.lr": 1e-3}
    assert not space.allows({"model.depth": 2, "model.width": 64})


def test_a_file_that_holds_no_space_is_said(tmp_path):
    (tmp_path / "s.toml").write_text("[x\n", encoding="utf-8")
    (tmp_path / "s.json").write_text("[1]", encoding="utf-8")

    for name, said in (("s.toml", "cannot be read"), ("s.json", "it holds a list"), ("no.toml", "No such file")):
        with pytest.raises(DataError, match=said):
            read_space(tmp_path / name)


def test_a_search_has_a_page_an_importance_and_constraints_that_can_be_sent(tmp_path):
    import pickle

    from tunesmith.search import Real, Space
    from tunesmith.search.ask import Search
    from tunesmith.search.study import Study
    from tunesmith.verbs.report import report

    space = Space({"x": Real(0, 1), "y": Real(0, 1)}, constraints=["x + y <= 1.5"])
    search = Search(space, 1, total=30, sampler="random", budget="full", folder=tmp_path / "study")
    for _ in range(30):
        proposal = search.ask()
        search.tell(proposal.trial, [{"score": proposal.config["x"] ** 2}])
    search.close()

    place = report(tmp_path / "study")

    assert place == tmp_path / "study" / "report.html"
    assert "x + y" in str(pickle.loads(pickle.dumps(space)).constraints[0])
    assert not pickle.loads(pickle.dumps(space)).allows({"x": 1.0, "y": 0.9})
    importance = Study(tmp_path / "study").importance()
    assert importance["x"] > importance["y"]
    assert place.read_text().startswith("<!")


def test_a_stack_of_what_cannot_be_stacked_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match="the executor batched trains a BatchedSubject, and here is function"):
        ts.search(lambda config: 0.0, {"x": ts.Real(0, 1)}, executor="batched", folder=tmp_path / "s")

    assert not (tmp_path / "s").exists()
