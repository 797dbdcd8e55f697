import pytest
import torch
from torch.optim import lr_scheduler

from tests.preflight.planted import batches, findings, program, usual_loop, usual_step


def exponential(optimizer):
    return lr_scheduler.ExponentialLR(optimizer, 0.5)


def first_in_loop(own, epochs):
    for _ in range(epochs):
        own.scheduler.step()
        for xb, yb in batches(own.train, own.batch_size):
            usual_step(own.model, own.loss_fn, own.optimizer, xb, yb)


def first_with_own(own, epochs):
    scheduler = lr_scheduler.StepLR(own.optimizer, 1, 0.5)
    for _ in range(epochs):
        for xb, yb in batches(own.train, own.batch_size):
            scheduler.step()
            usual_step(own.model, own.loss_fn, own.optimizer, xb, yb)


def last_with_own(own, epochs):
    scheduler = lr_scheduler.SequentialLR(
        own.optimizer,
        [lr_scheduler.LinearLR(own.optimizer, 0.1, total_iters=3), lr_scheduler.ExponentialLR(own.optimizer, 0.9)],
        [3],
    )
    for _ in range(epochs):
        for xb, yb in batches(own.train, own.batch_size):
            usual_step(own.model, own.loss_fn, own.optimizer, xb, yb)
        scheduler.step()


@pytest.mark.parametrize(
    "about",
    [
        {"scheduler": exponential, "scheduler_first": True},
        {"scheduler": exponential, "scheduler_first": True, "schedule_unit": "step"},
        {"scheduler": exponential, "loop": first_in_loop},
        {"loop": first_with_own},
    ],
)
def test_a_scheduler_before_the_optimizer(about):
    (found,) = findings("scheduler_order", program(lr=0.1, **about))

    assert found.fault == "optim.scheduler_before_optimizer"
    assert found.values["meant"] == pytest.approx(0.1)
    assert found.values["used"] == pytest.approx(0.05)


def test_a_schedule_of_epochs_stepped_after_every_update():
    (found,) = findings(
        "scheduler_order",
        program(scheduler=lambda opt: lr_scheduler.CosineAnnealingLR(opt, 8), schedule_unit="step"),
    )

    assert found.fault == "lr.bad_schedule"
    assert (found.values["length"], found.values["steps"]) == (8, 8 * 19)


def test_a_schedule_of_updates_stepped_once_an_epoch():
    def one_cycle(optimizer):
        return lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8 * 19)

    (found,) = findings("scheduler_order", program(scheduler=one_cycle, schedule_unit="epoch"))

    assert found.fault == "lr.bad_schedule"
    assert findings("scheduler_order", program(scheduler=one_cycle, schedule_unit="step")) == []


@pytest.mark.parametrize(
    "about",
    [
        {"scheduler": exponential},
        {"scheduler": exponential, "loop": usual_loop},
        {"loop": last_with_own},
        {"scheduler": lambda opt: lr_scheduler.CosineAnnealingLR(opt, 8)},
        {"scheduler": lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, 2)},
        {"scheduler": lambda opt: lr_scheduler.LinearLR(opt, total_iters=8), "schedule_unit": "step"},
        {"scheduler": lambda opt: lr_scheduler.ReduceLROnPlateau(opt)},
    ],
)
def test_sound_schedules_are_quiet(about):
    assert findings("scheduler_order", program(**about), above="") == []


def test_torch_is_as_it_was_after_a_watch():
    before = [torch.autograd.backward, torch.optim.Optimizer.zero_grad, lr_scheduler.LRScheduler.step]

    findings("scheduler_order", program(scheduler=exponential, loop=first_in_loop))

    assert [torch.autograd.backward, torch.optim.Optimizer.zero_grad, lr_scheduler.LRScheduler.step] == before
