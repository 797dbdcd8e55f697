"""Where the training of what is returned begins, and what a purse and a plan keep to."""

from types import SimpleNamespace

import numpy as np
import pytest

import tunesmith as ts
from tests.preflight.planted import program
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.repair import Attempt, Repair
from tunesmith.doctor.repair.budget import Purse
from tunesmith.doctor.repair.mending import restart
from tunesmith.doctor.repair.plan import loud, planned
from tunesmith.records import Clock, Finding


def repaired(*anew, checkpoint):
    own = program(resume_from={"model": {}, "epoch": 2} if checkpoint else None)
    return Repair(program=own, changes=[Attempt(change="a", surgery="rate", anew=one) for one in anew])


@pytest.mark.parametrize(
    ("anew", "checkpoint", "place"),
    [
        ((False,), True, "checkpoint"),
        ((False, True), True, "beginning"),
        ((False,), False, "beginning"),
        ((), True, "checkpoint"),
    ],
)
def test_a_checkpoint_is_gone_on_from_unless_a_change_asks_for_fresh_weights(anew, checkpoint, place):
    told = repaired(*anew, checkpoint=checkpoint)

    assert restart(told, told.program) == place
    assert (told.program.resume_from is not None) == (place == "checkpoint")


def test_a_purse_counts_epochs_and_ends_with_the_seconds():
    purse = Purse(3.0)
    purse.take(1.0)

    assert purse.lasts(2.0)
    assert not purse.lasts(2.1)
    assert Purse(3.0, Clock(0.0)).left() == 0.0


def finding(fault, severity="warning", status="suspected", confidence=0.9):
    return Finding(fault=fault, severity=severity, message="found", confidence=confidence, status=status)


def test_notes_and_refuted_suspicions_ask_for_no_surgery():
    told = [finding("lr.too_high", "note"), finding("lr.too_low", status="refuted"), finding("reg.too_strong")]

    assert [one.fault for one in loud(told)] == ["reg.too_strong"]


@pytest.fixture
def surgeries(monkeypatch):
    """Three surgeries whose changes are likely, less likely, and broken."""

    def made(name, *faults, likely=0.5, invariant=False):
        def propose(case):
            if likely is None:
                raise RuntimeError("broken")
            return [Change(name, likely)]

        return SimpleNamespace(name=name, faults=faults, propose=propose, invariant=invariant, crashed=False)

    some = [
        made("first", "lr.too_high", likely=0.9),
        made("second", "optim.missing_zero_grad", likely=0.1, invariant=True),
        made("broken", "reg.too_strong", likely=None),
    ]
    monkeypatch.setattr("tunesmith.doctor.repair.plan.SURGERIES", {one.name: one for one in some})


def order(failed, *findings, generic=True):
    case = SimpleNamespace()
    return [one.change.name for one in planned(case, findings, failed, generic=generic)]


def test_the_likelier_change_comes_first_and_what_breaks_is_told(surgeries):
    failed = {}

    assert order(failed) == ["first", "second"]
    assert "broken" in failed["broken"]


def test_a_change_that_two_surgeries_make_is_tried_once_and_where_it_is_worth_most(surgeries, monkeypatch):
    twice = SimpleNamespace(
        name="twice",
        faults=("lr.too_low",),
        propose=lambda case: [Change("second", 0.95)],
        invariant=False,
        crashed=False,
    )
    known = dict.fromkeys(("first", "second"))
    from tunesmith.doctor.repair import plan

    monkeypatch.setattr(plan, "SURGERIES", {**{name: plan.SURGERIES[name] for name in known}, "twice": twice})

    assert order({}) == ["second", "first"]


def test_the_change_for_what_is_proved_comes_before_a_likelier_one(surgeries):
    proof = finding("optim.missing_zero_grad", "error", "confirmed")

    assert order({}, proof) == ["second", "first"]
    assert order({}, proof, generic=False) == ["second"]


@pytest.mark.slow
def test_the_recipe_of_a_task_is_mended():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 6)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)

    told = ts.repair(ts.Task(train=(X, y)), {"optim.lr": 1e-7, "train.epochs": 10, "model.name": "mlp"}, seconds=120)

    assert told.program is None
    assert told.recipe.optim.lr > 1e-5
    assert told.change == {"optim.lr": told.recipe.optim.lr}
    assert told.learns
    assert told.after > told.before + 0.2
