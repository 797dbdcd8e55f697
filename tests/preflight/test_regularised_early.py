import numpy as np
import pytest

from tests.preflight.planted import digits, mlp, program
from tunesmith import Task
from tunesmith.doctor.preflight import CHECKS, bench_of_program, bench_of_task
from tunesmith.doctor.preflight.regularised_early import switched_on
from tunesmith.records import Recipe, revise
from tunesmith.records.check import Inapplicable

DEMO = "src/tunesmith/demo_data"


def look(recipe, task=None):
    if task is None:
        (X, y), held = digits()
        task = Task("mlp", (X, y), held)
    bench = bench_of_task(task, revise(recipe, {"train.epochs": 6, "train.seed": 0}))
    with bench.guarded():
        return list(CHECKS["regularised_early"].look(bench))


@pytest.mark.parametrize(
    "settings", [{"model.dropout": 0.85}, {"model.dropout": 0.95}, {"optim.weight_decay": 30.0, "optim.name": "adamw"}]
)
def test_regularised_before_there_is_anything_to_hold_back(settings):
    (finding,) = look(revise(Recipe(), settings))

    path = next(iter(settings))
    assert (finding.severity, finding.fault) == ("note", "reg.too_strong")
    assert finding.values["settings"] == f"{path} = {settings[path]:g}"
    assert finding.remedies[0].change == {path: 0.0}
    assert finding.values["better"] > finding.values["held"]
    assert all(one.value < one.threshold for one in finding.evidence)
    assert finding.text("zh")


@pytest.mark.parametrize(
    "settings", [{"model.dropout": 0.1}, {"optim.weight_decay": 0.01}, {"loss.label_smoothing": 0.05}]
)
def test_a_little_does_no_harm(settings):
    assert not look(revise(Recipe(), settings))


def test_where_it_holds_back_what_overfits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 40)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=1200) > 0).astype(np.int64)
    task = Task("mlp", (X[:300], y[:300]), (X[300:], y[300:]))

    assert not look(revise(Recipe(), {"model.dropout": 0.5, "train.batch_size": 16}), task)


def test_what_nobody_set_is_no_subject():
    task = Task(train=f"{DEMO}/sms_1000.csv.gz", target="label")

    bench = bench_of_task(task, Recipe())

    assert bench.recipe.model.dropout > 0
    assert switched_on(bench.recipe) == []
    with pytest.raises(Inapplicable, match="sets no dropout"):
        look(Recipe(), task)


def test_programs_are_left_out():
    with pytest.raises(Inapplicable):
        list(CHECKS["regularised_early"].look(bench_of_program(program(mlp()))))
