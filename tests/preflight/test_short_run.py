import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR

from tests.preflight.planted import WIDTH, batches, diabetes, digits, findings, mlp, program, regression, usual_step
from tunesmith.doctor.preflight import CHECKS, bench_of_program, bench_of_task
from tunesmith.records import Clock, OutOfTime, Recipe, Task


def raw(factor=255.0, offset=100.0):
    return tuple((part[0] * factor + offset, part[1]) for part in digits())


def raw_targets():
    return tuple((X, (y * 77 + 1520).astype(np.float32)) for X, y in diabetes())


def plain_loop(own, epochs):
    for _ in range(epochs):
        for xb, yb in batches(own.train, own.batch_size):
            usual_step(own.model, own.loss_fn, own.optimizer, xb, yb)


def heavy(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=2.0)


def huge_epsilon(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, eps=10.0)


@pytest.mark.parametrize(
    ("fault", "brought"),
    [
        ("lr.too_high", lambda: program(lr=10.0)),
        pytest.param(
            "lr.too_high",
            lambda: program(optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1.0)),
            marks=pytest.mark.slow,
        ),
        ("lr.too_low", lambda: program(lr=1e-5)),
        pytest.param("lr.too_low", lambda: program(lr=1e-4, loop=plain_loop), marks=pytest.mark.slow),
        pytest.param("lr.too_low", lambda: regression(lr=1e-6), marks=pytest.mark.slow),
        ("reg.too_strong", lambda: program(optimizer=heavy)),
        pytest.param("optim.bad_hyperparameters", lambda: program(optimizer=huge_epsilon), marks=pytest.mark.slow),
        pytest.param(
            "data.unscaled_targets",
            lambda: regression(data=raw_targets(), lr=1e-3, clip_norm=1.0),
            marks=pytest.mark.slow,
        ),
        pytest.param("data.unscaled_inputs", lambda: program(data=raw(), lr=0.1), marks=pytest.mark.slow),
        ("batch.too_large", lambda: program(batch_size=300, lr=0.02, epochs=10)),
        pytest.param(
            "lr.bad_schedule",
            lambda: program(scheduler=lambda opt: ExponentialLR(opt, 0.5), schedule_unit="step"),
            marks=pytest.mark.slow,
        ),
        ("fit.too_few_epochs", lambda: program(lr=0.003, epochs=2)),
    ],
)
def test_the_change_that_helps_names_the_cause(fault, brought):
    found, *others = findings("short_run", brought())

    assert fault in (found.fault, *(one.fault for one in others))
    assert len(others) <= 1
    assert found.severity == "warning"
    assert found.values["better"] > found.values["reference"] - 0.2


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(),
        lambda: program(lr=0.01),
        lambda: program(scheduler=lambda opt: CosineAnnealingLR(opt, 8)),
        lambda: program(loop=plain_loop),
        lambda: regression(),
        lambda: program(mlp(64, 10, nn.BatchNorm1d(WIDTH), nn.Dropout(0.5))),
        lambda: program(nn.Linear(64, 10)),
        lambda: program(optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=3e-3)),
    ],
)
def test_programs_that_reach_their_reference_are_quiet(brought):
    assert findings("short_run", brought(), above="") == []


def test_noise_to_learn_is_no_fault_of_the_rate():
    rng = np.random.default_rng(0)
    noise = (rng.normal(size=(400, 10)).astype(np.float32), rng.normal(size=(400, 1)).astype(np.float32))

    assert findings("short_run", regression(data=(noise, noise), lr=1e-6)) == []


@pytest.mark.slow
def test_a_task_with_its_recipe():
    (X, y), _ = digits()
    task = Task("mlp", (X, y))
    small = {"width": 32, "depth": 1}

    slow = bench_of_task(task, Recipe(model=small, optim={"lr": 1e-7}, train={"epochs": 8}))
    sound = bench_of_task(task, Recipe(model=small, train={"epochs": 8}))

    (found,) = CHECKS["short_run"].look(slow)
    assert found.fault == "lr.too_low"
    assert found.remedies[0].change["optim.lr"] > 1e-6
    assert list(CHECKS["short_run"].look(sound)) == []


def test_without_time_it_says_so():
    bench = bench_of_program(program(), clock=Clock(1e-3))

    with pytest.raises(OutOfTime):
        list(CHECKS["short_run"].look(bench))


@pytest.mark.slow
def test_twice_the_same():
    one, other = (findings("short_run", program(lr=10.0)) for _ in range(2))

    assert [found.values for found in one] == [found.values for found in other]
