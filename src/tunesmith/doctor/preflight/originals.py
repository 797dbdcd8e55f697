"""What the user brought, kept as it was: copies of it, or a snapshot that is put back."""

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import Program
from tunesmith.records.state import copied, random_state, set_random_state
from tunesmith.training.generators import generator_states, set_generator_states

PLAIN = (str, bytes, int, float, bool, complex, type(None), type)


class Originals:
    """The live objects of a program, and what they held when the bench was made."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.holders = [part for part in (program.model, program.loss_fn) if isinstance(part, nn.Module)]
        self.random = random_state()
        self.loaders = [data for data in (program.train, program.val, program.test) if data is not None]
        self.generators = [generator_states(loader) for loader in self.loaders]
        self.tensors = [(tensor, tensor.detach().clone()) for tensor in self._held()]
        self.gradients = [(each, None if each.grad is None else each.grad.clone()) for each in self._parameters()]
        self.trainable = [(each, each.requires_grad) for each in self._parameters()]
        self.modes = [(module, module.training) for holder in self.holders for module in holder.modules()]
        self.states = [
            (part, copied(part.state_dict()))
            for part in (program.optimizer, program.scheduler)
            if hasattr(part, "state_dict")
        ]
        self.rates = [dict(group) | {"params": list(group["params"])} for group in self._groups()]

    def _held(self) -> Iterator[Tensor]:
        for holder in self.holders:
            yield from holder.parameters()
            yield from holder.buffers()

    def _parameters(self) -> Iterator[nn.Parameter]:
        seen: set[int] = set()
        stepped = [parameter for group in self._groups() for parameter in group["params"]]
        for each in (*(one for holder in self.holders for one in holder.parameters()), *stepped):
            if id(each) not in seen:
                seen.add(id(each))
                yield each

    def _groups(self) -> list[Any]:
        return list(getattr(self.program.optimizer, "param_groups", ()))

    def changed(self) -> bool:
        """Whether weights, buffers or gradients are no longer what they were."""
        if any(not _same(tensor, was) for tensor, was in self.tensors):
            return True
        return any(
            (each.grad is None) != (was is None)
            or (each.grad is not None and was is not None and not _same(each.grad, was))
            for each, was in self.gradients
        )

    def restore(self) -> None:
        """Puts everything back, bit for bit."""
        with torch.no_grad():
            for tensor, was in self.tensors:
                if not _same(tensor, was):
                    tensor.copy_(was)
        for each, gradient in self.gradients:
            each.grad = None if gradient is None else gradient.clone()
        for each, wanted in self.trainable:
            each.requires_grad_(wanted)
        for module, training in self.modes:
            module.training = training
        for part, state in self.states:
            part.load_state_dict(copied(state))
        for group, held in zip(self._groups(), self.rates, strict=True):
            group.update(held)
        self.restore_random()

    def restore_random(self) -> None:
        """The global generators, and those of the loaders."""
        set_random_state(self.random)
        for loader, states in zip(self.loaders, self.generators, strict=True):
            set_generator_states(loader, states)

    def copy(self) -> tuple[Any, Any, Any, Any]:
        """Model, loss, optimizer and scheduler, copied together so that they still belong together."""
        program = self.program
        memo: dict[int, Any] = {}
        made = copy.deepcopy((program.model, program.loss_fn, program.optimizer, program.scheduler), memo)
        carry_over(program.optimizer, made[2], memo)
        for holder, original in zip((made[0], made[1]), (program.model, program.loss_fn), strict=True):
            if isinstance(holder, nn.Module):
                for mine, theirs in zip(holder.parameters(), original.parameters(), strict=True):
                    mine.grad = None if theirs.grad is None else theirs.grad.clone()
        return made


def carry_over(original: Any, made: Any, memo: dict[int, Any]) -> None:
    """What a copy of an optimizer of torch leaves behind: attributes of its own (LBFGS keeps its parameters in one), and the mark
    that a scheduler sets on `step` to see the order of the calls."""
    for name, value in vars(original).items():
        if name not in vars(made) and not callable(value):
            setattr(made, name, copy.deepcopy(value, memo))
    if not hasattr(getattr(original, "step", None), "_wrapped_by_lr_sched"):
        return
    plain = type(made).step

    @functools.wraps(plain)
    def step(*args: Any, **named: Any) -> Any:
        made._opt_called = True
        return plain(made, *args, **named)

    step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
    made.step = step


def _same(one: Tensor, other: Tensor) -> bool:
    """Equal bit for bit, NaN equal to NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(torch.equal(one, other)) or bool(torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True))


def closes_over(function: Callable[..., Any] | None, program: Program) -> str:
    """The name by which a function reaches the program's own model, optimizer or weights from outside its arguments; "" if none."""
    if function is None or isinstance(function, nn.Module):
        return ""
    wanted = {id(part) for part in (program.model, program.optimizer, program.scheduler) if part is not None}
    if isinstance(program.model, nn.Module):
        wanted |= {id(part) for part in (*program.model.modules(), *program.model.parameters())}
    return next((name for name, value in reached(function) if id(value) in wanted), "")


def reached(function: Any, depth: int = 3) -> Iterator[tuple[str, Any]]:
    """Objects that a function holds: its closure, the globals it names, its defaults, its `self`; and theirs."""
    if depth == 0 or isinstance(function, PLAIN):
        return
    if isinstance(function, functools.partial):
        held = [("an argument", value) for value in (*function.args, *function.keywords.values(), function.func)]
    else:
        held = list(_named(function))
    for name, value in held:
        yield name, value
        if callable(value) and not isinstance(value, nn.Module | type):
            yield from reached(value, depth - 1)
        elif isinstance(value, list | tuple | dict) and len(value) <= 64:
            items = value.values() if isinstance(value, dict) else value
            yield from ((name, item) for item in items)


def _named(function: Any) -> Iterator[tuple[str, Any]]:
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, type):
        yield "self", owner
        yield from getattr(owner, "__dict__", {}).items()
    inner = getattr(function, "__func__", function)
    code = getattr(inner, "__code__", None)
    if code is None:
        yield from (getattr(function, "__dict__", None) or {}).items()
        return
    for name, cell in zip(code.co_freevars, inner.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a cell not filled yet
            continue
    yield from ((name, inner.__globals__[name]) for name in code.co_names if name in inner.__globals__)
    yield from (("a default", value) for value in inner.__defaults__ or ())
