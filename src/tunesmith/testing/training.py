"""Trains a program as it stands, with all its slips: no check, no guard, no mending."""

import math
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from sklearn import metrics
from torch import Tensor

from tunesmith.blocks.optim import needs_closure
from tunesmith.records import Program
from tunesmith.records.state import random_state, set_random_state

JUDGED_AT_ONCE = 256  # rows; a program that judges in its training mode is judged by batches of its own
LOWER_IS_BETTER = ("mae", "rmse", "log_loss")


class Seen(Protocol):
    """Who looks on while a program trains."""

    def updated(self, loss: Any) -> None:
        """After each update: the mean loss of its batches, a number or a tensor."""

    def ended(self, epoch: int) -> None:
        """After the last update of an epoch, before the schedule moves on; the first epoch is 0."""


def trained(program: Program, epochs: int | None = None) -> float:
    """Trains the program's own objects and gives its score on the test part (validation, where it has none).

    Higher is better: a metric of which less is better comes with its sign turned. nan where outputs are no numbers.
    The global random generators are as they were; whatever the program raises is raised.
    """
    with seeded(program.seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a planted slip may be one that torch warns of
        train(program, epochs)
        return score(program)


def train(program: Program, epochs: int | None = None, seen: Seen | None = None) -> None:
    """The program's own loop, or the plain one: epochs, batches, its step, its schedule.

    Nobody can look into a loop of their own from here: `following.follow` does.
    """
    last = program.epochs if epochs is None else epochs
    first = resumed(program)
    if program.loop is not None:
        program.loop(program, last)
        return
    for epoch in range(first, last):
        if program.train_mode:
            program.model.train()
        if program.scheduler_first and program.schedule_unit == "epoch" and program.scheduler is not None:
            program.scheduler.step()
        window: list[tuple[Any, Tensor]] = []
        for batch in batches(program, epoch):
            window.append(batch)
            if len(window) == program.accumulate:
                _update(program, window, seen)
                window = []
        if window:
            _update(program, window, seen)
        if seen is not None:
            seen.ended(epoch)
        if not program.scheduler_first and program.schedule_unit == "epoch" and program.scheduler is not None:
            program.scheduler.step()


def resumed(program: Program) -> int:
    """Loads what the checkpoint holds, and gives the epoch it was written after."""
    held = program.resume_from
    if not isinstance(held, Mapping):
        return 0
    parts = {"model": program.model, "optimizer": program.optimizer, "scheduler": program.scheduler}
    for name, part in parts.items():
        if name in held and part is not None:
            part.load_state_dict(held[name])
    return int(held.get("epoch", 0))


def batches(program: Program, epoch: int) -> Iterator[tuple[Any, Tensor]]:
    """The batches of an epoch as the program is fed."""
    if not isinstance(program.train, tuple):
        for inputs, target in program.train:
            yield inputs, target
        return
    inputs, target = program.train
    order = torch.arange(len(target))
    if program.shuffle:
        order = torch.randperm(len(target), generator=torch.Generator().manual_seed(program.seed + epoch))
    for rows in _cut(order, program.batch_size):
        yield picked(inputs, rows), target[rows]


def _update(program: Program, window: list[tuple[Any, Tensor]], seen: Seen | None) -> None:
    by_step = program.scheduler is not None and program.schedule_unit == "step"
    if by_step and program.scheduler_first:
        program.scheduler.step()
    loss: Any
    if program.step is not None:
        given = [program.step(program.model, program.loss_fn, program.optimizer, *batch) for batch in window]
        loss = sum(given) / len(given)
    elif needs_closure(program.optimizer):
        loss = program.optimizer.step(lambda: _backward(program, window))
    else:
        loss = _backward(program, window)
        program.optimizer.step()
    if seen is not None:
        seen.updated(loss)
    if by_step and not program.scheduler_first:
        program.scheduler.step()


def _backward(program: Program, window: list[tuple[Any, Tensor]]) -> Tensor:
    program.optimizer.zero_grad()
    total = torch.zeros(())
    for inputs, target in window:
        loss = program.loss_fn(program.model(inputs), target) / len(window)
        loss.backward()
        total = total + loss.detach()
    if program.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(program.model.parameters(), program.clip_norm)
    return total


# Judging


def score(program: Program, part: Any = None) -> float:
    """The program's metric on a part (test, else validation), higher is better."""
    wanted = next(each for each in (part, program.test, program.val) if each is not None)
    inputs, target = tensors(wanted)
    if program.eval_mode:
        program.model.eval()
    if callable(program.metric):
        with torch.no_grad():
            return float(program.metric(program.model, inputs, target))
    return judged(program, outputs(program, inputs), target)


def outputs(program: Program, inputs: Any) -> Tensor:
    """What the model gives for all rows, in the mode it stands in."""
    at_once = JUDGED_AT_ONCE if program.eval_mode else program.batch_size
    with torch.no_grad():
        return torch.cat([program.model(picked(inputs, rows)) for rows in _slices(length(inputs), at_once)])


def baseline(program: Program, part: Any = None) -> float:
    """The score of the best constant answer: the commonest class, the mean; 0.5 for a ranking. nan for a metric of their own."""
    wanted = next(each for each in (part, program.test, program.val) if each is not None)
    seen, target = tensors(program.train)[1], tensors(wanted)[1]
    name = program.metric
    if name == "roc_auc":
        return 0.5
    if callable(name):
        return float("nan")
    if name in ("r2", *LOWER_IS_BETTER):
        constant = (seen.float().median(0).values if name == "mae" else seen.float().mean(0)).expand(target.shape)
        return _numbers(str(name), constant.numpy(), target.numpy())
    held = seen[seen != -100] if seen.dtype == torch.int64 else seen
    commonest = held.flatten().mode().values if target.dim() < 2 or seen.dtype == torch.int64 else seen.mode(0).values
    return _classes(str(name), commonest.expand(target.shape).numpy(), target.numpy())


def judged(program: Program, given: Tensor, target: Tensor) -> float:
    """A named metric of outputs."""
    name = str(program.metric)
    if not bool(torch.isfinite(given.float()).all()):
        return float("nan")
    if name == "roc_auc":
        ranks = given[:, 1] - given[:, 0] if given.dim() == 2 and given.shape[1] == 2 else given.flatten()
        return float(metrics.roc_auc_score(target.flatten().numpy(), ranks.numpy()))
    if name in ("r2", *LOWER_IS_BETTER):
        values = program.predict(given) if program.predict is not None else given
        return _numbers(name, values.reshape(target.shape).numpy(), target.numpy())
    return _classes(name, labels(program, given, target).numpy(), target.numpy())


def labels(program: Program, given: Tensor, target: Tensor) -> Tensor:
    """Labels by the program's own `predict`; else the largest output, or the sign of a single one."""
    if program.predict is not None:
        found: Tensor = program.predict(given)
    elif given.shape == target.shape or given.shape[-1] == 1:
        found = given > 0
    else:
        found = given.argmax(-1)
    return found.reshape(target.shape)


def _numbers(name: str, given: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> float:
    if name == "r2":
        return float(metrics.r2_score(target, given))
    error = np.abs(given - target).mean() if name == "mae" else math.sqrt(((given - target) ** 2).mean())
    return -float(error)


def _classes(name: str, given: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> float:
    if name not in ("accuracy", "balanced_accuracy", "f1_macro"):
        raise ValueError(f"no metric called {name!r} here; there are accuracy, balanced_accuracy, f1_macro")
    known = target != -100
    truth, guess = target[known].astype(int), given[known].astype(int)
    if name == "accuracy":
        return float((truth == guess).mean())
    if name == "f1_macro":
        return float(metrics.f1_score(truth, guess, average="macro", zero_division=0.0))
    return float(np.mean([(guess[truth == each] == each).mean() for each in np.unique(truth)]))


# Data


def tensors(part: Any) -> tuple[Any, Tensor]:
    """Inputs and targets of a pair of tensors, or of a loader over a `TensorDataset`."""
    if isinstance(part, tuple):
        return part[0], part[1]
    *inputs, target = part.dataset.tensors
    return inputs[0] if len(inputs) == 1 else tuple(inputs), target


def picked(inputs: Any, rows: Tensor) -> Any:
    """Rows of a tensor, or of each tensor of a tuple."""
    return tuple(each[rows] for each in inputs) if isinstance(inputs, tuple) else inputs[rows]


def length(inputs: Any) -> int:
    return len(inputs[0]) if isinstance(inputs, tuple) else len(inputs)


def _slices(rows: int, at_once: int) -> Iterator[Tensor]:
    return _cut(torch.arange(rows), at_once)


def _cut(order: Tensor, at_once: int) -> Iterator[Tensor]:
    yield from (order[start : start + at_once] for start in range(0, len(order), at_once))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """All global generators seeded inside, and as before outside."""
    before = random_state()
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        yield
    finally:
        set_random_state(before)
