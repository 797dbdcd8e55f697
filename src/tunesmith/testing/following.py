"""Looks on while a program trains as it stands, whether the loop is the plain one or their own, and judges it after each epoch."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from tunesmith.records import Program
from tunesmith.records.state import random_state, set_random_state
from tunesmith.testing.training import LOWER_IS_BETTER, Seen, length, picked, score, tensors, train

SHORT = {"balanced_accuracy": "balanced_accuracy", "roc_auc": "auc", "f1_macro": "f1"}  # as authors call them


def follow(program: Program, seen: Seen) -> None:
    """Trains the program's own objects; whatever it raises is raised. The weights are those of `train` to the bit."""
    if program.loop is None:
        train(program, seen=seen)
        return
    own = program.train, program.loss_fn
    with ExitStack() as held:
        loop = _Loop(program, seen)
        held.callback(_put_back, program, *own)
        held.callback(register_optimizer_step_post_hook(loop.stepped).remove)
        if isinstance(program.loss_fn, nn.Module):
            held.callback(program.loss_fn.register_forward_hook(lambda _module, _given, loss: loop.lost(loss)).remove)
        else:
            program.loss_fn = loop.around(program.loss_fn)
        if not isinstance(program.train, tuple):
            program.train = _Feed(program.train, loop)
        train(program)
        loop.end_if_begun()


def _put_back(program: Program, train_part: Any, loss_fn: Callable[..., Any]) -> None:
    program.train, program.loss_fn = train_part, loss_fn


class _Loop:
    """What a loop of their own does, told by its loss, its optimizer and its loader."""

    def __init__(self, program: Program, seen: Seen) -> None:
        self.program, self.seen = program, seen
        self.epoch = _first(program)
        self.rows = len(tensors(program.train)[1])
        self.by_loader = not isinstance(program.train, tuple)
        self.losses: list[Tensor] = []
        self.updates = self.ended_at = 0

    def around(self, loss_fn: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(loss_fn)
        def told(*given: Any, **named: Any) -> Any:
            loss = loss_fn(*given, **named)
            self.lost(loss)
            return loss

        return told

    def lost(self, loss: Any) -> None:
        if isinstance(loss, Tensor) and loss.requires_grad:  # a loss under no_grad is a judgement
            self.losses.append(loss.detach())

    def stepped(self, optimizer: torch.optim.Optimizer, *_given: Any) -> None:
        mine = {id(each) for each in self.program.model.parameters()}
        if not self.losses or not any(id(each) in mine for group in optimizer.param_groups for each in group["params"]):
            return
        loss = torch.stack([each.float().mean() for each in self.losses]).mean()
        self.losses.clear()
        self.updates += 1
        self.seen.updated(loss)
        if not self.by_loader and self.updates % max(1, -(-self.rows // self.program.batch_size)) == 0:
            self.end_if_begun()

    def end_if_begun(self) -> None:
        """Ends an epoch, unless nothing was updated since the last one ended."""
        if self.updates > self.ended_at:
            self.ended_at = self.updates
            self.seen.ended(self.epoch)
            self.epoch += 1


class _Feed:
    """Their loader, which tells when it has been gone through."""

    def __init__(self, loader: Any, loop: _Loop) -> None:
        self._loader, self._loop = loader, loop

    def __iter__(self) -> Iterator[Any]:
        self._loop.end_if_begun()  # a loop that broke out of its last epoch begins another
        yield from self._loader
        self._loop.end_if_begun()

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _first(program: Program) -> int:
    held = program.resume_from
    return int(held.get("epoch", 0)) if isinstance(held, dict) else 0


# Judging


def judged_now(program: Program) -> dict[str, float]:
    """`val_loss` and the metric by its usual name on the validation part; mode, buffers and generators are as they were."""
    if program.val is None:
        return {}
    with untouched(program.model):
        if program.eval_mode:
            program.model.eval()
        found = {"val_loss": _mean_loss(program)}
        if program.metric is not None:
            value = score(program, program.val)
            found[metric_name(program)] = -value if program.metric in LOWER_IS_BETTER else value
        return found


def metric_name(program: Program) -> str:
    """What an author would call it in a log."""
    if callable(program.metric):
        return getattr(program.metric, "__name__", "score")
    return SHORT.get(str(program.metric), str(program.metric))


def _mean_loss(program: Program) -> float:
    inputs, target = tensors(program.val)
    at_once = program.batch_size if isinstance(program.val, tuple) else int(program.val.batch_size)
    total, count = 0.0, length(inputs)
    with torch.no_grad():
        for rows in torch.split(torch.arange(count), at_once):
            loss = program.loss_fn(program.model(picked(inputs, rows)), target[rows])
            total += float(loss.float().mean()) * len(rows)
    return total / count


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Mode, buffers and the global generators are afterwards as they were before."""
    modes = [(each, each.training) for each in model.modules()]
    buffers = [(each, each.detach().clone()) for each in model.buffers()]
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)
        for each, was in modes:
            each.training = was
        with torch.no_grad():
            for buffer, kept in buffers:
                if not torch.equal(buffer, kept):
                    buffer.copy_(kept)
