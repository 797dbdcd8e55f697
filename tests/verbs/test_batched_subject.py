"""`BatchedSubject` in real trainings on digits: as a stack and one after the other the same trials, paused, resumed and failing alone."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import tunesmith as ts
from tunesmith.records import DataError, RecipeError
from tunesmith.search.executors import EXECUTORS
from tunesmith.search.executors.work import Job
from tunesmith.search.subjects import subject_of
from tunesmith.training import batched
from tunesmith.verbs.batched_subject import FILE, BatchedSubject

EPOCHS = 4
DIGITS = load_digits()
ROWS, LABELS = (DIGITS.data / 16).astype(np.float32), DIGITS.target
SPACE = {
    "lr": ts.Real(1e-4, 1e-2, log=True),
    "weight_decay": ts.Real(0, 0.1),
    "dropout": ts.Real(0, 0.3),
    "width": ts.Choice([8, 16]),
}


def net(width=8, dropout=0.0):
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10))


def subject(make_model=net, **given):
    settings = {"loss": "cross_entropy", "batch_size": 32, "epochs": EPOCHS} | given
    return BatchedSubject(make_model, ROWS[:320], LABELS[:320], val=(ROWS[320:600], LABELS[320:600]), **settings)


@pytest.fixture
def stacks(monkeypatch):
    """Stacks always pay; the sizes of those that were made."""
    sizes = []

    def paying(group):
        sizes.append(len(group.trials))
        return batched.Timing(trials=len(group.trials), stacked_seconds=1.0, sequential_seconds=2.0)

    monkeypatch.setattr(batched, "pays", paying)
    return sizes


def searched(executor, of=None, space=None, **given):
    about = {"sampler": "random", "scheme": "asha", "budget": "24 epochs", "max_budget": EPOCHS, "workers": 4} | given
    return ts.search(of or subject(), space or SPACE, executor=executor, **about)


def scores(study):
    return [score for trial in study.trials for score in study.trials.scores(trial.id)]


def same(one, other):
    assert [trial.change for trial in one.trials] == [trial.change for trial in other.trials]
    assert [trial.state for trial in one.trials] == [trial.state for trial in other.trials]
    np.testing.assert_allclose(scores(one), scores(other), rtol=1e-4)


def test_the_same_trials_as_one_after_the_other(stacks):
    together, local = searched("batched"), searched("local")

    same(together, local)
    assert together.best.id == local.best.id
    assert max(stacks) > 1


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "momentum": 0.9, "lr": 0.05, "schedule": "cosine"},
        {"optimizer": "nesterov", "momentum": 0.9, "lr": 0.05},
        {"optimizer": "adam", "clip_norm": 0.5},
        {"optimizer": "adamw"},
        {"optimizer": "rmsprop", "momentum": 0.5},
    ],
)
def test_a_state_goes_from_the_stack_to_one_alone_and_back(settings, stacks, tmp_path):
    made = subject(settings=settings)
    configs = [{"weight_decay": 0.0, "dropout": 0.2}, {"weight_decay": 0.01, "dropout": 0.0}]
    whole, mixed = [], []
    for k, config in enumerate(configs):
        for name in ("whole", "mixed"):
            (tmp_path / f"{name}{k}").mkdir()
        about = {"seed": k, "copy_from": None}
        whole.append(list(made.train(config, start=0, upto=4, folder=tmp_path / f"whole{k}", **about)))

    def jobs(start, upto):
        return [
            Job(number=k, trial=k, config=config, start=start, upto=upto, folder=tmp_path / f"mixed{k}", seed=k)
            for k, config in enumerate(configs)
        ]

    stacked = list(made.train_together(jobs(0, 1)))
    for k, config in enumerate(configs):
        middle = list(made.train(config, start=1, upto=3, folder=tmp_path / f"mixed{k}", seed=k, copy_from=None))
        mixed.append([stacked[0][k], *middle])
    for told in made.train_together(jobs(3, 4)):
        for k, record in told.items():
            mixed[k].append(record)

    assert stacks
    for one, other in zip(mixed, whole, strict=True):
        np.testing.assert_allclose([r["score"] for r in one], [r["score"] for r in other], rtol=1e-4)


def test_a_stack_that_does_not_pay_is_not_made(monkeypatch):
    def slower(group):
        return batched.Timing(trials=len(group.trials), stacked_seconds=2.0, sequential_seconds=1.0)

    monkeypatch.setattr(batched, "pays", slower)
    monkeypatch.setattr(batched.Group, "train_epoch", lambda group: pytest.fail("it was trained as a stack"))

    same(searched("batched", budget="8 epochs"), searched("local", budget="8 epochs"))


def test_one_that_blows_up_fails_alone(stacks):
    space = {"lr": ts.Choice([1e-3, 3e-3, 1e30])}
    made = subject(optimizer="sgd")

    study = searched("batched", made, space, budget="3 trials", sampler="grid", scheme="full")

    states = {trial.change["lr"]: trial.state for trial in study.trials}
    assert states == {1e-3: "done", 3e-3: "done", 1e30: "failed"}
    assert max(stacks) == 3


def test_a_net_that_cannot_be_stacked_is_trained_all_the_same(stacks):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 10)
            self.again = self.first

        def forward(self, x):
            return self.first(x) + self.again(x)

    study = searched("batched", subject(lambda: Shared()), {"lr": ts.Real(1e-4, 1e-2)}, budget="8 epochs")

    assert {trial.state for trial in study.trials} <= {"done", "paused"}
    assert not stacks


def test_a_stack_that_breaks_leaves_its_trials_to_be_trained_one_by_one(monkeypatch, stacks, tmp_path):
    monkeypatch.setattr(batched.Group, "train_epoch", lambda group: 1 / 0)

    study = searched("batched", budget="8 epochs", folder=tmp_path / "s")

    same(study, searched("local", budget="8 epochs"))
    assert any("ZeroDivisionError" in file.read_text() for file in tmp_path.glob("s/trials/*/traceback.txt"))


def test_what_a_kill_left_behind_is_trained_again_and_not_told_again(stacks, tmp_path):
    made, about = subject(), {"seed": 1, "folder": tmp_path, "copy_from": None}
    whole = list(made.train({}, start=0, upto=4, **about))
    (tmp_path / FILE).unlink()

    list(made.train({}, start=0, upto=1, **about))
    again = list(made.train({}, start=3, upto=4, **about))

    assert again[:-1] == [None, None]
    assert again[-1]["score"] == pytest.approx(whole[-1]["score"])


def test_a_checkpoint_ahead_is_told_from(tmp_path):
    made, about = subject(), {"seed": 1, "folder": tmp_path, "copy_from": None}
    whole = list(made.train({}, start=0, upto=4, **about))

    assert list(made.train({}, start=1, upto=3, **about)) == whole[1:3]


def test_jobs_join_and_an_iterator_that_is_closed_loses_nothing(stacks, tmp_path):
    made = subject()
    carrier = EXECUTORS["batched"]()
    carrier.start(made, 3, None)
    found = {0: [], 1: []}

    for number in found:
        (tmp_path / str(number)).mkdir()
        carrier.submit(
            Job(number=number, trial=number, config={}, start=0, upto=4, folder=tmp_path / str(number), seed=number)
        )
        for report in carrier.wait():
            found[report.number] += report.records
    over = set()
    while len(over) < 2:
        for report in carrier.wait():
            found[report.number] += report.records
            over |= {report.number} if report.over else set()
    carrier.stop()

    for number, records in found.items():
        place = tmp_path / f"alone{number}"
        place.mkdir()
        alone = list(made.train({}, start=0, upto=4, folder=place, seed=number, copy_from=None))
        np.testing.assert_allclose([r["score"] for r in records], [r["score"] for r in alone], rtol=1e-4)


def test_weights_are_taken_over(tmp_path):
    made = subject(settings={"lr": 1e-2})
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    good = list(made.train({}, start=0, upto=2, folder=tmp_path / "good", seed=1, copy_from=None))

    still = {"lr": 0.0}
    about = {"seed": 2, "folder": tmp_path / "bad", "copy_from": tmp_path / "good"}
    after = list(made.train(still, start=2, upto=3, **about))

    assert after[-1]["val_loss"] == pytest.approx(good[-1]["val_loss"], rel=1e-5)


def test_the_model_of_a_trial(tmp_path):
    made = subject()
    last = list(made.train({"width": 16}, start=0, upto=2, folder=tmp_path, seed=1, copy_from=None))[-1]

    model = made.model({"width": 16}, tmp_path)

    with torch.no_grad():
        z = model(torch.from_numpy(ROWS[320:600]))
    assert float(nn.CrossEntropyLoss()(z, torch.from_numpy(LABELS[320:600]).long())) == pytest.approx(last["val_loss"])


def test_what_has_no_stack_is_told():
    with pytest.raises(DataError, match="search a BatchedSubject"):
        EXECUTORS["batched"]().start(subject_of(lambda config: 1.0), 2, None)


def test_wrong_use_is_told(tmp_path):
    with pytest.raises(RecipeError, match="score is 'loss'"):
        subject(score="loss")
    with pytest.raises(DataError, match="max_budget"):
        list(subject().train({}, start=0, upto=9, folder=tmp_path, seed=0, copy_from=None))
    with pytest.raises(RecipeError, match="make_model cannot be called with widht"):
        list(subject().train({"widht": 3}, start=0, upto=1, folder=tmp_path, seed=0, copy_from=None))


def test_a_score_that_more_is_better_of_has_its_sign_turned(tmp_path):
    (record,) = subject(score="val_accuracy").train({}, start=0, upto=1, folder=tmp_path, seed=0, copy_from=None)

    assert record["score"] == -record["val_accuracy"]
    assert math.isfinite(record["score"])
