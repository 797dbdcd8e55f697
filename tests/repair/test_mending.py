"""Repairs of real small programs: what is planted is undone, what is sound is left alone, what was brought is never touched."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import tunesmith as ts
from tests.preflight.planted import digits, mlp, program
from tunesmith.doctor.causes import observed
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.doctor.repair import mended
from tunesmith.records import Clock, DataError, Finding, Findings
from tunesmith.testing.training import trained


def look(*faults, status="suspected"):
    """Looks that find the same each time until the program learns: a diagnosis without its seconds."""

    def seen(patient):
        bench = bench_of_program(patient.program)
        with bench.guarded():
            made = observed(bench, Clock())[1]
        told = [
            Finding(fault=fault, severity="error", message="found", confidence=0.9, status=status) for fault in faults
        ]
        return Findings([] if made.finite and made.held > 0.8 else told), bench

    return seen


def weights_of(one):
    return [each.detach().clone() for each in one.model.parameters()]


def in_class_order():
    (X, y), val = digits()
    order = np.argsort(y, kind="stable")
    return (X[order], y[order]), val


def never_cleared(model, loss_fn, optimizer, xb, yb):
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    return loss.item()


PLANTED = {
    "rate": ("lr.too_high", lambda: program(lr=30.0)),
    "output_activation": ("output.wrong_activation", lambda: program(nn.Sequential(*mlp(), nn.Softmax(1)), lr=0.01)),
    "zero_grad": ("optim.missing_zero_grad", lambda: program(lr=0.3, step=never_cleared)),
    "registration": (
        "optim.unregistered_params",
        lambda: program(optimizer=lambda net: torch.optim.SGD([net[-1].bias], lr=0.1, momentum=0.9)),
    ),
}


SLOW = ("output_activation", "registration")


@pytest.mark.parametrize(
    "surgery", [pytest.param(one, marks=pytest.mark.slow) if one in SLOW else one for one in PLANTED]
)
def test_what_is_planted_is_undone_on_a_copy_that_trains(surgery):
    fault, make = PLANTED[surgery]
    brought = make()
    before = weights_of(brought)

    told = mended(brought, None, look(fault))

    assert told.changes[0].surgery == surgery
    assert told.changes[0].fault == fault
    assert told.learns
    assert told.after > told.before + 0.2
    assert all(map(torch.equal, before, weights_of(brought)))
    assert told.program is not brought
    assert told.program.model is not brought.model
    assert told.lines
    assert replace_metric(told.program) > 0.8


def replace_metric(one):
    """The score of the returned program, trained by a plain loop that knows nothing of repairs; also of its copy."""
    ready = replace(one, train=tensors(one.train), val=tensors(one.val), metric="accuracy")
    again = copy.deepcopy(ready)
    return min(trained(ready), trained(again))


def tensors(part):
    return tuple(torch.as_tensor(each) for each in part)


@pytest.mark.slow
def test_a_larger_batch_is_weighed_on_a_twin_where_small_ones_collapsed_the_answers():
    told = mended(program(lr=0.25, batch_size=9), None, look("collapse.constant_prediction"))

    larger = next(one for one in (*told.changes, *told.tried) if one.change == "batch × 8")
    assert larger.fault in ("collapse.constant_prediction", "batch.too_small")
    assert larger.after[0] - larger.before[0] > 2 * larger.noise
    assert told.learns


def test_evidence_is_paired_and_beyond_noise_in_two_orders():
    told = mended(program(lr=30.0), None, look("lr.too_high"))

    kept = told.changes[0]
    assert len(kept.before) == len(kept.after) == 2
    assert min(np.subtract(kept.after, kept.before)) > 2 * kept.noise
    assert [one.value for one in kept.evidence] == list(kept.after)
    assert kept.because
    assert kept.text("zh")
    assert all(one.because and one.text("zh") for one in told.tried)
    assert not any(one.kept for one in told.tried)


def test_a_sound_program_is_left_alone():
    brought = program()

    told = mended(brought, None, look())

    assert told.program is brought
    assert not told.changed
    assert told.before == told.after
    assert told.learns
    assert told.spent == 0.0


def test_a_false_alarm_about_a_sound_program_changes_nothing():
    told = mended(program(), None, alarm("lr.too_high"))

    assert not told.changed
    assert told.tried


def alarm(*faults):
    def seen(patient):
        bench = bench_of_program(patient.program)
        with bench.guarded():
            observed(bench, Clock())
        return Findings(
            [Finding(fault=one, severity="warning", message="found", confidence=0.6) for one in faults]
        ), bench

    return seen


def test_the_purse_bounds_what_twins_train():
    told = mended(program(lr=30.0), None, look("lr.too_high"), epochs=2)

    assert told.spent <= 2 + 1e-9
    assert not told.changed
    assert told.findings.unreached


@pytest.mark.slow
def test_two_faults_are_undone_one_after_the_other():
    brought = program(nn.Sequential(*mlp(), nn.Softmax(1)), lr=1e-6)

    told = mended(brought, None, look("output.wrong_activation", "lr.too_low"), epochs=60)

    assert told.learns
    assert told.after > 0.8


def test_a_program_that_raises_is_made_to_run():
    told = mended(program(mlp(64, 7)), None, crashing)

    assert told.changes[0].surgery == "output_width"
    assert told.changes[0].why == "repair.runs"
    assert told.learns


def crashing(patient):
    bench = bench_of_program(patient.program)
    try:
        with bench.guarded():
            bench.twin().step(bench.fed(1))
            observed(bench, Clock())
    except IndexError as error:
        bench.measured["crash"] = str(error)
        crash = Finding(fault="run.crash", severity="error", message="it raises", status="confirmed")
        return Findings([crash]), bench
    return Findings(), bench


def test_the_global_generators_are_as_they_were():
    brought = program(lr=30.0)
    torch.manual_seed(5)
    np.random.seed(5)
    wanted = (torch.rand(1), np.random.rand())
    torch.manual_seed(5)
    np.random.seed(5)

    mended(brought, None, look("lr.too_high"), epochs=14)

    assert (torch.rand(1), np.random.rand()) == wanted


def test_a_program_that_cannot_be_copied_is_told_and_left():
    model = mlp()

    def own(net, loss_fn, optimizer, xb, yb):
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        return loss.item()

    told = mended(program(model, step=own, lr=30.0), None, look("lr.too_high"))

    assert not told.changed
    assert any("copied" in notice for notice in told.notices)


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"seconds": -1.0}, {"epochs": math.nan}])
def test_a_budget_is_a_positive_number(bad):
    with pytest.raises(DataError, match="expected a positive number"):
        ts.repair(program(), **bad)


def test_a_program_brings_no_recipe():
    with pytest.raises(DataError, match="a program has its own settings"):
        ts.repair(program(), {"optim.lr": 1.0})


@pytest.mark.slow
def test_the_verb_mends_a_program_whole():
    told = ts.repair(program(lr=30.0))

    assert told.changed
    assert told.learns
    assert told.findings[0].fault == "lr.too_high"
    assert set(told.as_dict()) >= {"changes", "before", "after", "tried", "lines"}
