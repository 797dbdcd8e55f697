"""Faults of the optimizer, the loop, the schedule and the regularisation."""

import copy
import os
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    MultiStepLR,
    StepLR,
)

from tunesmith.records import Program
from tunesmith.testing.sabotage.catalogue import as_written, sabotage
from tunesmith.testing.sabotage.inputs import is_supervised
from tunesmith.testing.sabotage.networks import is_layered, learns_all
from tunesmith.testing.sabotage.tools import (
    Around,
    after,
    at,
    at_full_rate,
    either,
    every,
    has_plain_optimizer,
    hidden,
    is_floats,
    is_plainly_stepped,
    rebatched,
    row_count,
    scaled_rate,
    settings,
    updates,
)
from tunesmith.testing.training import train

Optimizer = torch.optim.Optimizer
MOMENTS = (torch.optim.Adam, torch.optim.AdamW)
with_loop_of_ours = every(has_plain_optimizer, lambda program: program.loop is None)


def is_adam(program: Program) -> bool:
    return isinstance(program.optimizer, MOMENTS)


def is_sgd(program: Program) -> bool:
    return isinstance(program.optimizer, torch.optim.SGD)


def has_memory(program: Program) -> bool:
    """An optimizer whose state matters."""
    return is_adam(program) or (is_sgd(program) and program.optimizer.param_groups[0]["momentum"] > 0)


# Optimizer


@sabotage("rate_too_high", "lr.too_high", mechanism="optimizer", fits=has_plain_optimizer)
def rate_too_high(program: Program, strength: int) -> Program:
    """A rate 10, 100, 1000 times too high."""
    return scaled_rate(program, at(strength, 10.0, 100.0, 1000.0))


@sabotage("rate_too_low", "lr.too_low", mechanism="optimizer", fits=has_plain_optimizer)
def rate_too_low(program: Program, strength: int) -> Program:
    """A rate 30, 1000, 100,000 times too low."""
    return scaled_rate(program, at(strength, 1 / 30, 1e-3, 1e-5))


@sabotage("too_much_momentum", "optim.bad_hyperparameters", "lr.too_high", mechanism="optimizer", fits=is_sgd)
def too_much_momentum(program: Program, strength: int) -> Program:
    """Momentum 0.99, 0.997, 0.999."""
    return settings(program, momentum=at(strength, 0.99, 0.997, 0.999), nesterov=False)


@sabotage("large_epsilon", "optim.bad_hyperparameters", "lr.too_low", mechanism="optimizer", fits=is_adam)
def large_epsilon(program: Program, strength: int) -> Program:
    """An epsilon of 0.01, 1, 100."""
    return settings(program, eps=at(strength, 0.01, 1.0, 100.0))


@sabotage("betas_exchanged", "optim.bad_hyperparameters", "lr.too_high", mechanism="optimizer", fits=is_adam)
def betas_exchanged(program: Program, strength: int) -> Program:
    """A long memory of the gradient and a short one of its square."""
    return settings(program, betas=at(strength, (0.99, 0.9), (0.999, 0.9), (0.999, 0.1)))


@sabotage(
    "optimizer_of_another_model",
    "optim.unregistered_params",
    mechanism="optimizer",
    fits=every(has_plain_optimizer, learns_all),
    invariant=True,
)
def optimizer_of_another_model(program: Program, strength: int) -> Program:
    """The optimizer holds the weights of a copy of the model: some, most, all of them."""
    others = {
        id(mine): theirs
        for mine, theirs in zip(program.model.parameters(), copy.deepcopy(program.model).parameters(), strict=True)
    }
    count = len(others)
    taken = set(list(others)[count - max(1, round(count * at(strength, 0.3, 0.7, 1.0))) :])
    for group in program.optimizer.param_groups:
        group["params"] = [others[id(each)] if id(each) in taken else each for each in group["params"]]
    return program


@sabotage(
    "optimizer_of_a_part",
    "optim.unregistered_params",
    mechanism="optimizer",
    fits=every(has_plain_optimizer, learns_all, is_layered),
    invariant=True,
)
def optimizer_of_a_part(program: Program, strength: int) -> Program:
    """The optimizer was given a part of the weights: all but the first layer's, half, the last bias alone."""
    parameters = list(program.model.parameters())
    kept = {id(each) for each in at(strength, parameters[2:], parameters[len(parameters) // 2 :], parameters[-1:])}
    for group in program.optimizer.param_groups:
        group["params"] = [each for each in group["params"] if id(each) in kept]
    return program


@sabotage(
    "clipped_to_nothing",
    "optim.bad_hyperparameters",
    "lr.too_low",
    "recipe.unusual",
    mechanism="optimizer",
    fits=every(with_loop_of_ours, is_plainly_stepped),
)
def clipped_to_nothing(program: Program, strength: int) -> Program:
    """Gradients clipped to a norm of 0.01, 1e-4, 1e-6."""
    program.clip_norm = at(strength, 1e-2, 1e-4, 1e-6)
    return program


# Loop


def own_step(program: Program, step: Any) -> Program:
    """A step of their own, with what the plain one does besides."""
    program.step = as_written("train_step")(step)
    return program


def clip(model: nn.Module, norm: float | None) -> None:
    if norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), norm)


@sabotage("gradients_pile_up", "optim.missing_zero_grad", mechanism="loop", fits=is_plainly_stepped, invariant=True)
def gradients_pile_up(program: Program, strength: int) -> Program:
    """Gradients are cleared now and then: every second step, when they are large, never."""
    norm = program.clip_norm

    if strength == 1:

        def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
            loss = loss_fn(model(xb), yb)
            loss.backward()
            clip(model, norm)
            optimizer.step()
            if float(torch.rand(())) < 0.2:
                optimizer.zero_grad()
            return float(loss.item())

    elif strength == 2:

        def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
            loss = loss_fn(model(xb), yb)
            loss.backward()
            clip(model, norm)
            optimizer.step()
            next(iter(model.parameters())).grad = None
            return float(loss.item())

    else:

        def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
            loss = loss_fn(model(xb), yb)
            loss.backward()
            clip(model, norm)
            optimizer.step()
            return float(loss.item())

    return own_step(program, train_step)


@sabotage(
    "cleared_before_step",
    "optim.unregistered_params",
    "optim.missing_zero_grad",
    mechanism="loop",
    fits=is_plainly_stepped,
    invariant=True,
)
def cleared_before_step(program: Program, strength: int) -> Program:
    """Gradients are cleared between backward and step, so that no weight moves (weight decay alone does)."""

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
        loss = loss_fn(model(xb), yb)
        loss.backward()
        at(strength, optimizer.zero_grad, model.zero_grad, lambda: optimizer.zero_grad(set_to_none=False))()
        optimizer.step()
        return float(loss.item())

    return own_step(program, train_step)


@sabotage(
    "no_step_taken",
    "optim.unregistered_params",
    "lr.too_low",
    mechanism="loop",
    fits=is_plainly_stepped,
    invariant=True,
)
def no_step_taken(program: Program, strength: int) -> Program:
    """The optimizer's step is left out: mostly, nearly always, always."""
    norm, share = program.clip_norm, at(strength, 0.02, 0.002, 0.0)

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        clip(model, norm)
        if float(torch.rand(())) < share:
            optimizer.step()
        return float(loss.item())

    return own_step(program, train_step)


def _has_modes(program: Program) -> bool:
    return any(isinstance(each, nn.Dropout | nn.BatchNorm1d | nn.BatchNorm2d) for each in program.model.modules())


@sabotage(
    "judged_while_training",
    "model.train_eval_mode",
    mechanism="loop",
    fits=every(_has_modes, lambda program: program.loop is None),
    invariant=True,
)
def judged_while_training(program: Program, strength: int) -> Program:
    """The model is judged as it trains, with dropout on and statistics of the batch; dropout as it was, 0.5, 0.8."""
    program.eval_mode = False
    for each in program.model.modules():
        if isinstance(each, nn.Dropout):
            each.p = max(each.p, at(strength, 0.0, 0.5, 0.8))
    return program


@sabotage(
    "trained_while_judged",
    "model.train_eval_mode",
    "model.bad_normalization",
    mechanism="loop",
    fits=every(_has_modes, lambda program: program.loop is None),
    invariant=True,
)
def trained_while_judged(program: Program, strength: int) -> Program:
    """The model stands in evaluation mode all along: dropout off, statistics as they began."""
    program.train_mode = False
    program.model.eval()
    return program


@sabotage(
    "numbers_from_the_system",
    "run.nondeterministic",
    mechanism="loop",
    fits=every(is_floats, is_supervised),
    invariant=True,
)
def numbers_from_the_system(program: Program, strength: int) -> Program:
    """Noise that no seed governs, on the inputs: hardly any, a little, some."""
    size = at(strength, 1e-3, 0.02, 0.1)

    def jitter(x: Tensor) -> Tensor:
        draw = np.random.default_rng(int.from_bytes(os.urandom(8), "little"))
        return x + size * torch.from_numpy(draw.standard_normal(tuple(x.shape))).to(x.dtype)

    program.model = Around(program.model, first=jitter)
    return program


@sabotage(
    "stopped_too_soon",
    "fit.too_few_epochs",
    "batch.too_large",
    mechanism="loop",
    fits=every(
        is_supervised, lambda program: program.epochs >= 6 and program.loop is None and program.resume_from is None
    ),
    visible=False,
)
def stopped_too_soon(program: Program, strength: int) -> Program:
    """A third, a sixth of the epochs, a single one."""
    program.epochs = at(strength, program.epochs // 3, program.epochs // 6, 1)
    return program


@sabotage(
    "whole_set_a_batch",
    "batch.too_large",
    "fit.too_few_epochs",
    mechanism="loop",
    fits=every(is_supervised, with_loop_of_ours, lambda program: program.accumulate == 1),
)
def whole_set_a_batch(program: Program, strength: int) -> Program:
    """Four, two, one update an epoch."""
    return rebatched(program, -(-row_count(program) // at(strength, 4, 2, 1)))


@sabotage(
    "rows_one_by_one",
    "batch.too_small",
    "lr.too_high",
    mechanism="loop",
    fits=every(is_supervised, with_loop_of_ours, lambda program: not _has_modes(program) and program.accumulate == 1),
    visible=False,
)
def rows_one_by_one(program: Program, strength: int) -> Program:
    """Batches of four, of two, of one row at the rate of large ones."""
    return rebatched(program, at(strength, 4, 2, 1))


@sabotage(
    "gathered_contrast",
    "batch.coupled_loss",
    mechanism="loop",
    fits=lambda program: callable(program.metric) or _is_coupled(program),
)
def gathered_contrast(program: Program, strength: int) -> Program:
    """A loss over pairs of rows, gathered from small batches that hold few pairs."""
    small = at(strength, 16, 8, 4)
    program.accumulate = max(2, program.batch_size // small)
    return rebatched(program, small)


def _is_coupled(program: Program) -> bool:
    return getattr(program.loss_fn, "__name__", "") == "contrastive"


@sabotage(
    "resumed_without_memory",
    "optim.lost_state",
    mechanism="loop",
    fits=every(
        has_memory,
        is_supervised,
        lambda program: program.loop is None and program.resume_from is None and program.scheduler is None,
    ),
    invariant=True,
)
def resumed_without_memory(program: Program, strength: int) -> Program:
    """Goes on from a checkpoint that holds the weights alone: after a quarter, a half, three quarters of the epochs."""
    done = max(1, round(program.epochs * at(strength, 0.25, 0.5, 0.75)))
    fresh = copy.deepcopy(program.optimizer.state_dict())
    train(program, done)
    program.optimizer.load_state_dict(fresh)
    program.optimizer.state.clear()
    program.resume_from = {"model": copy.deepcopy(program.model.state_dict()), "epoch": done}
    return program


# Schedule


def _scheduled(program: Program, scheduler: Any, unit: Any) -> Program:
    program.scheduler, program.schedule_unit, program.scheduler_first = scheduler, unit, False
    return program


unscheduled = every(with_loop_of_ours, lambda program: program.resume_from is None)


@sabotage("decays_with_every_batch", "lr.bad_schedule", "lr.too_low", mechanism="schedule", fits=unscheduled)
def decays_with_every_batch(program: Program, strength: int) -> Program:
    """A decay meant for epochs, stepped with every batch."""
    optimizer = at_full_rate(program).optimizer
    if strength == 2:
        return _scheduled(program, ExponentialLR(optimizer, 0.9), "step")
    return _scheduled(program, StepLR(optimizer, *at(strength, (30, 0.3), (1, 0.9), (1, 0.1))), "step")


@sabotage("milestones_beyond_end", "lr.bad_schedule", "lr.too_high", mechanism="schedule", fits=unscheduled)
def milestones_beyond_end(program: Program, strength: int) -> Program:
    """A high first rate whose drops lie beyond the end of the run."""
    scaled_rate(at_full_rate(program), at(strength, 1.0, 3.0, 10.0))
    last = program.epochs
    return _scheduled(program, MultiStepLR(program.optimizer, [2 * last, 3 * last], 0.1), "epoch")


@sabotage(
    "stepped_before_optimizer",
    "optim.scheduler_before_optimizer",
    mechanism="schedule",
    fits=every(with_loop_of_ours, lambda program: program.scheduler is not None),
    invariant=True,
)
def stepped_before_optimizer(program: Program, strength: int) -> Program:
    """The schedule moves on before the first update was made with its first rate."""
    program.scheduler_first = True
    return program


@sabotage("cosine_of_wrong_length", "lr.bad_schedule", "lr.too_low", mechanism="schedule", fits=unscheduled)
def cosine_of_wrong_length(program: Program, strength: int) -> Program:
    """A cosine far longer or shorter than the run: counted in updates over as many epochs; ended early and kept at nothing."""
    optimizer = at_full_rate(program).optimizer
    total = updates(program) * program.epochs

    def ended(step: int) -> float:
        reach = max(1.0, total * at(strength, 0.3, 0.08, 0.02))
        return max(0.0, 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / reach)))))

    return _scheduled(program, LambdaLR(optimizer, as_written("factor")(ended)), "step")


@sabotage("rate_swings", "lr.bad_schedule", mechanism="schedule", fits=unscheduled)
def rate_swings(program: Program, strength: int) -> Program:
    """Restarts at a rate that is far too high for them."""
    scaled_rate(at_full_rate(program), at(strength, 3.0, 10.0, 100.0))
    return _scheduled(program, CosineAnnealingWarmRestarts(program.optimizer, max(2, program.epochs // 4)), "epoch")


@sabotage("never_warm", "lr.bad_schedule", "lr.too_low", mechanism="schedule", fits=unscheduled)
def never_warm(program: Program, strength: int) -> Program:
    """A warm-up three, thirty, a thousand times as long as the run."""
    optimizer = at_full_rate(program).optimizer
    warm = updates(program) * program.epochs * at(strength, 3, 30, 1000)
    return _scheduled(
        program, LambdaLR(optimizer, as_written("factor")(lambda step: min(1.0, (step + 1) / warm))), "step"
    )


@sabotage("period_in_other_unit", "lr.bad_schedule", mechanism="schedule", fits=unscheduled)
def period_in_other_unit(program: Program, strength: int) -> Program:
    """A cosine over the epochs, stepped with every batch, so that it swings up and down all along."""
    optimizer = at_full_rate(program).optimizer
    span = at(strength, program.epochs, max(2, program.epochs // 2), 2)
    return _scheduled(program, CosineAnnealingLR(optimizer, T_max=span), "step")


# Regularisation


@sabotage(
    "too_much_dropout",
    "reg.too_strong",
    mechanism="regularisation",
    fits=every(
        is_supervised,
        has_plain_optimizer,
        lambda program: (
            any(hidden(program.model)) or any(isinstance(each, nn.Dropout) for each in program.model.modules())
        ),
    ),
)
def too_much_dropout(program: Program, strength: int) -> Program:
    """Dropout of 0.7, 0.9, 0.98 behind the activations, or where there was some."""
    share = at(strength, 0.7, 0.9, 0.98)
    there = [each for each in program.model.modules() if isinstance(each, nn.Dropout)]
    for drop in there:
        drop.p = share
    if not there:
        for each in list(hidden(program.model)):
            after(program, each, nn.Dropout(share))
    return program


@sabotage(
    "too_much_decay",
    "reg.too_strong",
    mechanism="regularisation",
    fits=every(is_supervised, has_plain_optimizer, either(is_adam, is_sgd)),
)
def too_much_decay(program: Program, strength: int) -> Program:
    """Weight decay ten to a thousand times too strong."""
    decoupled = isinstance(program.optimizer, torch.optim.AdamW)
    return settings(program, weight_decay=at(strength, 1.0, 10.0, 100.0) if decoupled else at(strength, 0.03, 0.3, 3.0))


@sabotage(
    "too_much_penalty",
    "reg.too_strong",
    "loss.unbalanced_tasks",
    mechanism="regularisation",
    fits=every(is_supervised, is_plainly_stepped),
)
def too_much_penalty(program: Program, strength: int) -> Program:
    """The size of all weights is added to the loss in the step, far too heavily."""
    norm, share = program.clip_norm, at(strength, 1e-3, 3e-2, 1.0)

    def train_step(model: nn.Module, loss_fn: Any, optimizer: Optimizer, xb: Any, yb: Tensor) -> float:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        for parameter in model.parameters():
            loss = loss + share * parameter.abs().sum()
        loss.backward()
        clip(model, norm)
        optimizer.step()
        return float(loss.item())

    return own_step(program, train_step)


@sabotage(
    "too_much_smoothing",
    "reg.too_strong",
    "recipe.unusual",
    mechanism="regularisation",
    fits=lambda program: isinstance(program.loss_fn, nn.CrossEntropyLoss) and is_supervised(program),
)
def too_much_smoothing(program: Program, strength: int) -> Program:
    """Labels spread over all classes by a half, by 0.9, wholly."""
    weight = getattr(program.loss_fn, "weight", None)
    program.loss_fn = nn.CrossEntropyLoss(weight=weight, label_smoothing=at(strength, 0.5, 0.9, 1.0))
    return program
