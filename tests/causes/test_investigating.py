"""The experiments on real small programs: what cures is the cause, and a sound program is left in peace."""

import copy
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR

from tests.preflight.planted import diabetes, digits, mlp, program, regression
from tunesmith.doctor.causes import EXPERIMENTS, Case, investigated
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.doctor.preflight.courses import Variation
from tunesmith.records import Clock, Evidence, Finding


def raw(factor=255.0, offset=100.0):
    return tuple((part[0] * factor + offset, part[1]) for part in digits())


def raw_targets():
    return tuple((X, (y * 77 + 1520).astype(np.float32)) for X, y in diabetes())


def ending_in(last):
    return nn.Sequential(*mlp(), last)


def tiny_weights():
    model = mlp()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e-4)
    return model


def three_tanhs():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(part for width in (64, 32, 32, 32) for part in (nn.Linear(width, 32), nn.Tanh())), nn.Linear(32, 10)
    )
    with torch.no_grad():
        for layer in list(model)[:-1:2]:
            layer.weight.mul_(200.0)
    return model


def frozen_first():
    model = mlp(width=12)
    return program(model, optimizer=lambda net: torch.optim.SGD(list(net[-1:].parameters()), lr=0.1, momentum=0.9))


def never_cleared(model, loss_fn, optimizer, xb, yb):
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    return loss.item()


def in_class_order():
    (X, y), val = digits()
    order = np.argsort(y, kind="stable")
    return (X[order], y[order]), val


PLANTED = {
    "rate_sweep, lower": ("lr.too_high", lambda: program(lr=30.0)),
    "rate_sweep, higher": ("lr.too_low", lambda: program(lr=1e-5)),
    "input_scaling": ("data.unscaled_inputs", lambda: program(data=raw(), lr=0.1)),
    "target_scaling": ("data.unscaled_targets", lambda: regression(data=raw_targets(), lr=1e-3, clip_norm=1.0)),
    "swapped_output": ("output.wrong_activation", lambda: program(ending_in(nn.Softmax(1)), lr=0.01)),
    "fresh_init": ("init.bad_scale", lambda: program(tiny_weights(), lr=0.02)),
    "no_regulariser": (
        "reg.too_strong",
        lambda: program(
            optimizer=lambda net: torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=2.0)
        ),
    ),
    "default_optimizer": (
        "optim.bad_hyperparameters",
        lambda: program(optimizer=lambda net: torch.optim.Adam(net.parameters(), lr=1e-2, eps=100.0)),
    ),
    "flat_schedule": (
        "lr.bad_schedule",
        lambda: program(lr=0.05, scheduler=lambda one: ExponentialLR(one, 0.5), schedule_unit="step"),
    ),
    "smaller_batch": ("batch.too_large", lambda: program(batch_size=600, lr=0.02, epochs=10)),
    "longer_run": ("fit.too_few_epochs", lambda: program(lr=0.01, epochs=1)),
    "gradients_cleared": ("optim.missing_zero_grad", lambda: program(lr=0.1, step=never_cleared)),
    "shuffled": ("data.unshuffled", lambda: program(data=in_class_order(), shuffle=False, epochs=6)),
    "more_capacity": ("model.too_small", lambda: program(mlp(width=1), lr=0.02, epochs=12)),
}


SLOW = ("rate_sweep, higher", "target_scaling", "default_optimizer", "shuffled", "more_capacity", "longer_run")


def tried(brought, name, **about):
    bench = bench_of_program(brought)
    with bench.guarded():
        return investigated(bench, Clock(120.0), only=[name], **about)


@pytest.mark.parametrize("case", [pytest.param(one, marks=pytest.mark.slow) if one in SLOW else one for one in PLANTED])
def test_undoing_the_planted_fault_cures(case):
    fault, make = PLANTED[case]

    verdict = tried(make(), case.partition(",")[0])

    assert [one.fault for one in verdict.findings][:1] == [fault]
    found = verdict.findings[0]
    assert found.status == "confirmed"
    assert found.values["better"] > found.values["score"] + 0.1
    assert found.values["again"] > found.values["before"] + 0.1
    assert "{" not in found.because
    assert "{" not in found.text("zh")
    assert "word." not in found.text("zh")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_sound_program_is_not_experimented_with(name):
    verdict = tried(program(), name)

    assert list(verdict.findings) == []
    assert verdict.findings.measured["causes"]["tried"] == {}


def suspicion(fault, severity="warning", status="suspected"):
    seen = Evidence(name="a guess", value=1.0)
    return Finding(fault=fault, severity=severity, message="a guess", evidence=(seen,), confidence=0.5, status=status)


def test_a_suspicion_whose_undoing_gains_nothing_is_refuted():
    verdict = tried(program(), "rate_sweep", findings=[suspicion("lr.too_high")])

    assert verdict.refuted == ("lr.too_high",)
    assert list(verdict.findings) == []


def test_of_a_program_that_falls_short_for_another_reason_the_rate_is_refuted():
    brought = program(optimizer=lambda net: torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=2.0))
    bench = bench_of_program(brought)

    verdict = investigated(bench, Clock(120.0), [suspicion("lr.too_high")])

    assert verdict.findings[0].fault == "reg.too_strong"
    assert "lr.too_high" in verdict.refuted


def wrongly_labelled(share=0.35):
    """Validation rows are labelled as the others are."""
    draw = np.random.default_rng(0)

    def noisy(y):
        return np.where(draw.random(len(y)) < share, (y + draw.integers(1, 10, len(y))) % 10, y)

    return tuple((X, noisy(y)) for X, y in digits())


def beyond_fewer_rows():
    """How far leaving out contradicted rows goes, of the way from as many rows drawn at random to the goal."""
    verdict = tried(program(mlp(width=128), data=wrongly_labelled(), lr=0.05, epochs=30), "clean_subset")
    assert verdict.findings.measured["causes"]["measure"] == "validation score"
    ((_, closed),) = verdict.findings.measured["causes"]["tried"].values()
    return closed


def test_without_wrong_labels_a_net_gets_further_than_with_fewer_rows():
    assert beyond_fewer_rows() > 0.1


def test_rows_drawn_at_random_are_no_cure(monkeypatch):
    def at_random(bench):
        return np.random.default_rng(1).random(len(bench.train)) < 0.3

    monkeypatch.setattr(sys.modules[EXPERIMENTS["clean_subset"].propose.__module__], "contradicted", at_random)

    assert beyond_fewer_rows() < 0.1


def test_a_change_is_judged_against_its_control():
    brought = program(lr=1e-4, epochs=4)
    bench = bench_of_program(brought)
    with bench.guarded():
        case = Case(bench, Clock(60.0))
        rate = Change("ten times the rate", 0.5, Variation("ten times the rate", rate=10.0))
        same = replace(rate, control=replace(rate, name="the same again"))
        found = case.train(rate)

        assert case.beyond_noise(found)
        assert case.closed(found, change=same) == pytest.approx(0.0)
        assert not case.beyond_noise(found, change=same)
    assert same.cost == 2 * rate.cost


def test_a_proved_cause_leaves_nothing_to_try():
    proof = Finding(
        fault="lr.too_high", severity="error", message="measured", evidence=(), confidence=0.9, status="confirmed"
    )
    bench = bench_of_program(program(lr=30.0))

    verdict = investigated(bench, Clock(60.0), [proof])

    assert list(verdict.findings) == []
    assert set(verdict.findings.skipped) == set(EXPERIMENTS)


def test_no_budget_reaches_no_experiment():
    bench = bench_of_program(program(lr=30.0))
    Case(bench, Clock(60.0))  # the unchanged program is known

    verdict = investigated(bench, Clock(0.0))

    assert list(verdict.findings) == []
    assert verdict.findings.unreached


@pytest.mark.slow
def test_two_faults_that_only_cure_together_are_told_together():
    model = tiny_weights()
    brought = program(
        model, optimizer=lambda net: torch.optim.SGD(net.parameters(), lr=1e-5, momentum=0.9, weight_decay=0.0)
    )
    bench = bench_of_program(brought)

    verdict = investigated(bench, Clock(120.0))

    assert {"lr.too_low", "init.bad_scale"} & {one.fault for one in verdict.findings}


def test_the_program_is_bit_for_bit_what_it_was():
    brought = program(lr=30.0)
    before = copy.deepcopy(brought.model.state_dict())
    state = torch.get_rng_state()
    bench = bench_of_program(brought)

    with bench.guarded():
        investigated(bench, Clock(60.0))

    assert all(torch.equal(before[name], value) for name, value in brought.model.state_dict().items())
    assert brought.optimizer.param_groups[0]["lr"] == 30.0
    assert not brought.optimizer.state
    assert torch.equal(torch.get_rng_state(), state)


class Thresholds(nn.Module):
    """The usual loss of ordered classes: one output for each place between two of them."""

    def forward(self, outputs, target):
        above = (target[:, None] > torch.arange(outputs.shape[1])).float()
        return nn.functional.binary_cross_entropy_with_logits(outputs, above)


def test_ordered_classes_have_no_usual_loss_to_exchange():
    brought = program(mlp(64, 9), loss=Thresholds(), lr=1e-5, predict=lambda out: (out > 0).sum(1), num_classes=10)

    verdict = tried(brought, "usual_loss")

    assert verdict.findings.failed == {}
    assert verdict.findings.measured["causes"]["tried"] == {}
