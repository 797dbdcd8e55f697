"""Faults of the course of a run: stages, schedules, resumes, and what the optimizer keeps over time."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

from tunesmith.records import Program
from tunesmith.testing.sabotage.catalogue import as_written, late_sabotage
from tunesmith.testing.sabotage.inputs import is_supervised
from tunesmith.testing.sabotage.networks import is_layered, learns_all
from tunesmith.testing.sabotage.tools import (
    at,
    at_full_rate,
    every,
    inputs_of,
    is_plainly_stepped,
    rebatched,
    row_count,
    scaled_rate,
    settings,
    updates,
)
from tunesmith.testing.sabotage.training_loop import clip, has_memory, is_adam, is_sgd, own_step, unscheduled

Optimizer = torch.optim.Optimizer
Loop = Callable[[Program, int], None]


def has_room_for_loop(program: Program) -> bool:
    """One tensor of inputs, a plain step, no schedule by which it lives, at least six epochs: a loop of one's own fits."""
    plain = is_plainly_stepped(program) and program.resume_from is None
    return plain and is_supervised(program) and isinstance(inputs_of(program), Tensor) and program.epochs >= 6


def own_loop(program: Program, loop: Loop) -> Program:
    """A loop of their own over a loader, at a constant rate unless it has a schedule of its own."""
    at_full_rate(program)
    if isinstance(program.train, tuple):
        draw = torch.Generator().manual_seed(program.seed)
        program.train = DataLoader(
            TensorDataset(*program.train), batch_size=program.batch_size, shuffle=program.shuffle, generator=draw
        )
    program.loop = as_written("fit")(loop)
    return program


def one_epoch(
    program: Program, optimizer: Optimizer | None = None, each_step: Callable[[], None] | None = None
) -> None:
    """What every loop does with the batches of an epoch."""
    optimizer = program.optimizer if optimizer is None else optimizer
    program.model.train()
    for xb, yb in program.train:
        optimizer.zero_grad()
        program.loss_fn(program.model(xb), yb).backward()
        clip(program.model, program.clip_norm)
        optimizer.step()
        if each_step is not None:
            each_step()


def _scheduled(program: Program, factor: Callable[[int], float], unit: Any = "step") -> Program:
    optimizer = at_full_rate(program).optimizer
    program.scheduler = LambdaLR(optimizer, as_written("factor")(factor))
    program.schedule_unit, program.scheduler_first = unit, False
    return program


# Schedules that harm late, or at once


@late_sabotage("ramp_without_top", "lr.bad_schedule", "lr.too_high", mechanism="schedule", fits=unscheduled)
def ramp_without_top(program: Program, strength: int) -> Program:
    """A warm-up that goes on after its end: the rate grows to 10, 40, 200 times itself."""
    total = updates(program) * program.epochs
    warm = max(1.0, total / at(strength, 10, 40, 200))
    return _scheduled(program, lambda step: (step + 1) / warm)


@late_sabotage("cycle_with_late_top", "lr.bad_schedule", "lr.too_high", mechanism="schedule", fits=unscheduled)
def cycle_with_late_top(program: Program, strength: int) -> Program:
    """One cycle whose top, 10, 50, 300 times the rate, comes near the end of the run."""
    optimizer = at_full_rate(program).optimizer
    total = updates(program) * program.epochs + 1
    top = [at(strength, 10.0, 50.0, 300.0) * group["lr"] for group in optimizer.param_groups]
    program.scheduler = OneCycleLR(optimizer, max_lr=top, total_steps=total, pct_start=0.9, cycle_momentum=False)
    program.schedule_unit, program.scheduler_first = "step", False
    return program


@late_sabotage("second_stage_faster", "lr.bad_schedule", "lr.too_high", mechanism="schedule", fits=unscheduled)
def second_stage_faster(program: Program, strength: int) -> Program:
    """A second stage that begins after two thirds of the epochs, at 10, 50, 300 times the rate."""
    begins = max(1, round(program.epochs * 2 / 3))
    factor = at(strength, 10.0, 50.0, 300.0)
    return _scheduled(program, lambda epoch: factor if epoch >= begins else 1.0, "epoch")


@late_sabotage(
    "root_from_far_up", "lr.bad_schedule", "lr.too_high", "act.dead_relu", mechanism="schedule", fits=unscheduled
)
def root_from_far_up(program: Program, strength: int) -> Program:
    """A decay by the root of the step that begins at 30, 200, 2000 times the rate, with no warm-up before it."""
    factor = at(strength, 30.0, 200.0, 2000.0)
    return _scheduled(program, lambda step: max(0.3, factor / (step + 1) ** 1.5))


@late_sabotage(
    "waits_for_wrong_direction",
    "lr.bad_schedule",
    "lr.too_low",
    mechanism="schedule",
    fits=every(has_room_for_loop, lambda program: program.epochs >= 8),
)
def waits_for_wrong_direction(program: Program, strength: int) -> Program:
    """Less rate at every plateau, where a falling loss counts as one: it waits for a rise, epoch by epoch, of every fifth batch, of every batch."""
    batches = at(strength, 0, 5, 1)

    def fit(program: Program, epochs: int) -> None:
        plateau = ReduceLROnPlateau(program.optimizer, mode="max", factor=0.1 if batches == 0 else 0.5, patience=1)
        for _ in range(epochs):
            program.model.train()
            losses = []
            for count, (xb, yb) in enumerate(program.train):
                program.optimizer.zero_grad()
                loss = program.loss_fn(program.model(xb), yb)
                loss.backward()
                clip(program.model, program.clip_norm)
                program.optimizer.step()
                losses.append(loss.item())
                if batches and count % batches == 0:
                    plateau.step(losses[-1])
            if not batches:
                plateau.step(sum(losses) / len(losses))

    return own_loop(program, fit)


# Resumes


@late_sabotage(
    "schedule_from_the_top_again",
    "optim.lost_state",
    "lr.bad_schedule",
    mechanism="loop",
    fits=every(has_room_for_loop, has_memory, lambda program: program.epochs >= 8),
    invariant=True,
)
def schedule_from_the_top_again(program: Program, strength: int) -> Program:
    """A job that was cut off after 50, 70, 90 % went on with weights alone: optimizer and cosine begin anew."""
    cut = max(1, round(program.epochs * at(strength, 0.5, 0.7, 0.9)))
    total = program.epochs

    def fit(program: Program, epochs: int) -> None:
        scheduler = CosineAnnealingLR(program.optimizer, T_max=total)
        fresh = copy.deepcopy(program.optimizer.state_dict()), copy.deepcopy(scheduler.state_dict())
        for epoch in range(epochs):
            if epoch == cut:
                kept = copy.deepcopy(program.model.state_dict())
                program.model.load_state_dict(kept)
                program.optimizer.load_state_dict(fresh[0])
                program.optimizer.state.clear()
                scheduler.load_state_dict(fresh[1])
            one_epoch(program)
            scheduler.step()

    return own_loop(program, fit)


@late_sabotage(
    "first_rows_again",
    "optim.lost_state",
    "data.duplicates",
    "fit.overfit",
    mechanism="loop",
    fits=every(has_room_for_loop, lambda program: updates(program) >= 8),
    invariant=True,
)
def first_rows_again(program: Program, strength: int) -> Program:
    """Jobs of a limited time, each going on from the last one's weights and optimizer but from the first row: the rest is never seen.

    Half, an eighth, a twentieth of the rows come up, in one order.
    """
    share = at(strength, 0.5, 0.125, 0.05)
    jobs = round(program.epochs / share)
    reached = max(1, round(share * updates(program)))

    def fit(program: Program, epochs: int) -> None:
        for _ in range(min(jobs, 4 * epochs)):
            program.train.generator.manual_seed(0)  # every job starts like the first
            program.model.train()
            for count, (xb, yb) in enumerate(program.train):
                if count == reached:
                    break
                program.optimizer.zero_grad()
                program.loss_fn(program.model(xb), yb).backward()
                clip(program.model, program.clip_norm)
                program.optimizer.step()

    return own_loop(program, fit)


@late_sabotage(
    "optimizer_made_again",
    "optim.lost_state",
    "optim.bad_hyperparameters",
    "lr.too_high",
    mechanism="loop",
    fits=every(has_room_for_loop, has_memory),
    invariant=True,
)
def optimizer_made_again(program: Program, strength: int) -> Program:
    """The optimizer is made inside the loop: for every epoch, every ten batches, every batch."""
    every_steps = at(strength, 10**9, 10, 1)

    def fit(program: Program, epochs: int) -> None:
        kind, groups = type(program.optimizer), program.optimizer.param_groups
        given = [{name: value for name, value in group.items() if name != "initial_lr"} for group in groups]
        for _ in range(epochs):
            program.model.train()
            for count, (xb, yb) in enumerate(program.train):
                if count % every_steps == 0:
                    optimizer = kind([dict(group) for group in given])
                optimizer.zero_grad()
                program.loss_fn(program.model(xb), yb).backward()
                clip(program.model, program.clip_norm)
                optimizer.step()

    return own_loop(program, fit)


@late_sabotage(
    "weights_set_back",
    "optim.lost_state",
    mechanism="loop",
    fits=every(has_room_for_loop, is_layered, learns_all),
    invariant=True,
)
def weights_set_back(program: Program, strength: int) -> Program:
    """Each epoch, layers are drawn anew as the model was first drawn: the last, half of them, all."""

    def fit(program: Program, epochs: int) -> None:
        layers = [each for each in program.model.modules() if hasattr(each, "reset_parameters")]
        drawn = layers[at(strength, len(layers) - 1, len(layers) // 2, 0) :]
        for _ in range(epochs):
            for layer in drawn:
                layer.reset_parameters()
            one_epoch(program)

    return own_loop(program, fit)


@late_sabotage(
    "never_back_to_training",
    "model.train_eval_mode",
    "model.bad_normalization",
    mechanism="loop",
    fits=every(
        has_room_for_loop,
        lambda program: any(
            isinstance(each, nn.Dropout | nn.BatchNorm1d | nn.BatchNorm2d) for each in program.model.modules()
        ),
    ),
    invariant=True,
)
def never_back_to_training(program: Program, strength: int) -> Program:
    """`train()` is called once, before the loop, and `eval()` at each validation, which begin after a half, a fifth, the first of the epochs."""
    first = max(1, round(program.epochs * at(strength, 0.5, 0.2, 0.0)))

    def fit(program: Program, epochs: int) -> None:
        program.model.train()
        for epoch in range(epochs):
            for xb, yb in program.train:
                program.optimizer.zero_grad()
                program.loss_fn(program.model(xb), yb).backward()
                clip(program.model, program.clip_norm)
                program.optimizer.step()
            if epoch + 1 >= first:
                program.model.eval()
                with torch.no_grad():
                    program.model(inputs_of(program)[: program.batch_size])

    return own_loop(program, fit)


# Optimizers


@late_sabotage(
    "plain_descent_at_small_rate",
    "lr.too_low",
    "optim.bad_hyperparameters",
    mechanism="optimizer",
    fits=every(unscheduled, is_adam, lambda program: program.scheduler is None),
)
def plain_descent_at_small_rate(program: Program, strength: int) -> Program:
    """Plain descent at the rate that was right for moments: with momentum, without, at a tenth of it."""
    groups = [{"params": group["params"], "lr": group["lr"]} for group in program.optimizer.param_groups]
    program.optimizer = torch.optim.SGD(groups, lr=1e-3, momentum=at(strength, 0.9, 0.0, 0.0))
    return scaled_rate(program, at(strength, 0.3, 0.3, 0.03))


@late_sabotage(
    "moments_at_large_rate",
    "lr.too_high",
    "optim.bad_hyperparameters",
    mechanism="optimizer",
    fits=every(unscheduled, is_sgd, lambda program: program.scheduler is None),
)
def moments_at_large_rate(program: Program, strength: int) -> Program:
    """Adam at the rate that was right for plain descent, three and ten times that."""
    groups = [{"params": group["params"], "lr": group["lr"]} for group in program.optimizer.param_groups]
    program.optimizer = torch.optim.Adam(groups, lr=1e-3)
    return scaled_rate(program, at(strength, 1.0, 3.0, 10.0))


@late_sabotage(
    "signs_of_small_batches",
    "optim.bad_hyperparameters",
    "batch.too_small",
    mechanism="optimizer",
    fits=every(unscheduled, is_supervised, lambda program: program.scheduler is None and row_count(program) >= 300),
)
def signs_of_small_batches(program: Program, strength: int) -> Program:
    """Resilient propagation, which is made for whole sets, on batches as they were, a third, a tenth of them."""
    parameters = [each for group in program.optimizer.param_groups for each in group["params"]]
    program.optimizer = torch.optim.Rprop(parameters, lr=program.optimizer.param_groups[0]["lr"])
    return rebatched(program, max(4, program.batch_size // at(strength, 1, 3, 10)))


@late_sabotage(
    "root_mean_of_nothing",
    "optim.bad_hyperparameters",
    "lr.too_low",
    mechanism="optimizer",
    fits=every(unscheduled, lambda program: isinstance(program.optimizer, torch.optim.RMSprop)),
)
def root_mean_of_nothing(program: Program, strength: int) -> Program:
    """An epsilon that outweighs the mean square: 0.1, 3, 100."""
    return settings(program, eps=at(strength, 0.1, 3.0, 100.0))


@late_sabotage(
    "memory_as_long_as_the_run",
    "optim.bad_hyperparameters",
    "lr.too_high",
    mechanism="optimizer",
    fits=every(unscheduled, is_adam),
)
def memory_as_long_as_the_run(program: Program, strength: int) -> Program:
    """A memory of the gradient that is as long as the run: beta 1 of 0.99, 0.997, 0.9995."""
    return settings(program, betas=(at(strength, 0.99, 0.997, 0.9995), program.optimizer.param_groups[0]["betas"][1]))


def _last_weighted(program: Program) -> list[nn.Parameter]:
    found = [each for each in program.model.modules() if isinstance(each, nn.Linear)]
    return list(found[-1].parameters())


def _split(program: Program, part: list[nn.Parameter], factor: float) -> Program:
    """Some parameters in a group of their own, at a multiple of the rate."""
    ids = {id(each) for each in part}
    group = program.optimizer.param_groups[0]
    group["params"] = [each for each in group["params"] if id(each) not in ids]
    about = {name: value for name, value in group.items() if name not in ("params", "lr")}
    program.optimizer.add_param_group({"params": part, "lr": factor * group["lr"], **about})
    return program


one_group = every(
    unscheduled,
    is_layered,
    learns_all,
    lambda program: program.scheduler is None and len(program.optimizer.param_groups) == 1,
)


@late_sabotage("head_in_a_hurry", "lr.too_high", mechanism="optimizer", fits=one_group)
def head_in_a_hurry(program: Program, strength: int) -> Program:
    """The last layer has a rate of its own: 30, 300, 3000 times that of the others."""
    return _split(program, _last_weighted(program), at(strength, 30.0, 300.0, 3000.0))


@late_sabotage("body_left_behind", "lr.too_low", "optim.unregistered_params", mechanism="optimizer", fits=one_group)
def body_left_behind(program: Program, strength: int) -> Program:
    """All but the last layer, which were never trained before, learn at a rate as for fine-tuning: 1/100, 1/3000, 1/100,000."""
    last = {id(each) for each in _last_weighted(program)}
    body = [each for each in program.optimizer.param_groups[0]["params"] if id(each) not in last]
    return _split(program, body, at(strength, 1 / 100, 1 / 3000, 1e-5))


@as_written("Averaged")
class Averaged(nn.Module):
    """Trains one net and answers with a running average of it."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        super().__init__()
        self.net, self.decay = net, decay
        self.mean = copy.deepcopy(net).requires_grad_(False)

    def forward(self, x: Any) -> Any:
        return self.net(x) if self.training else self.mean(x)

    @torch.no_grad()
    def follow(self) -> None:
        for mean, now in zip(self.mean.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(now, 1 - self.decay)
        for held, found in zip(self.mean.buffers(), self.net.buffers(), strict=True):
            held.copy_(found)


@late_sabotage(
    "average_of_the_beginning",
    "optim.bad_hyperparameters",
    "fit.too_few_epochs",
    "lr.too_low",
    mechanism="optimizer",
    fits=every(is_plainly_stepped, is_supervised, learns_all, lambda program: program.resume_from is None),
)
def average_of_the_beginning(program: Program, strength: int) -> Program:
    """Answers come from an average of the weights that still holds the first ones: as long as the run, 5, 100 times as long."""
    length = updates(program) * program.epochs * at(strength, 1, 5, 100)
    program.model = Averaged(program.model, 1 - 1 / length)
    norm = program.clip_norm

    def train_step(model: Any, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        clip(model, norm)
        optimizer.step()
        model.follow()
        return float(loss.item())

    return own_step(program, train_step)


@late_sabotage(
    "private_to_a_fault",
    "reg.too_strong",
    "optim.bad_hyperparameters",
    "batch.too_small",
    mechanism="regularisation",
    fits=every(is_plainly_stepped, is_supervised),
)
def private_to_a_fault(program: Program, strength: int) -> Program:
    """Gradients are clipped and noised, so that no row can be told from the model; with far more noise than gradient."""
    size = at(strength, 0.03, 0.3, 3.0)

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad += size * torch.randn_like(parameter)
        optimizer.step()
        return float(loss.item())

    return own_step(program, train_step)


@late_sabotage(
    "weights_kept_small",
    "reg.too_strong",
    "model.too_small",
    mechanism="regularisation",
    fits=every(is_plainly_stepped, is_supervised, is_layered),
)
def weights_kept_small(program: Program, strength: int) -> Program:
    """After each update all weights are brought back within bounds: ±0.1, ±0.03, ±0.005."""
    bound, norm = at(strength, 0.1, 0.03, 0.005), program.clip_norm

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        clip(model, norm)
        optimizer.step()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.clamp_(-bound, bound)
        return float(loss.item())

    return own_step(program, train_step)
