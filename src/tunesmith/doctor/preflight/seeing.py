"""What a program's loss is given: outputs and target as they come to it in the program's own step or loop. A tool of the checks.

A step may squeeze, rescale or one-hot what it hands to the loss, so the arguments are caught there, on a copy, and the copy's
update ends before it begins.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.courses import silent
from tunesmith.doctor.preflight.cutting import cut, spread
from tunesmith.doctor.preflight.trace import Enough, aside, program_of
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records.check import Inapplicable
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch, outputs_of

ROWS = 64  # of the batch that losses are probed with; assumption: each of a few classes comes in it
CALLS = 40  # forward passes after which a loop that has not called its loss is left; assumption


@dataclass(slots=True)
class Seen:
    """One call of the loss: `loss(outputs, target, *more, **named)`; all detached."""

    outputs: Any
    target: Any
    more: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)
    plain: bool = True  # the model's result and the rows' target came to the loss as they were

    @property
    def tensor(self) -> Tensor | None:
        """The outputs, where they are one floating tensor."""
        return self.outputs if isinstance(self.outputs, Tensor) and self.outputs.is_floating_point() else None


def plain(bench: Bench) -> bool:
    """Whether the loss sees what the model gives and what the data hold, so that any rows can be tried without the step."""
    if bench.program.step is None and bench.program.loop is None:
        return True
    return bench.kept("seeing.plain", lambda: look(bench).plain)


def look(bench: Bench) -> Seen:
    """What the loss is given for one batch, of the untouched copy. Raises `Inapplicable` where the loss is not called."""
    return bench.kept("seeing.look", lambda: seen(bench, bench.twin(), probed(bench)))


def probed(bench: Bench) -> Batch:
    """The batch that losses are probed with."""
    return bench.kept("seeing.batch", lambda: bench.batch(ROWS, "seeing"))


def seen(bench: Bench, twin: Twin, batch: Batch) -> Seen:
    """What the loss is given by a copy. Through a loop the rows are the loop's own."""
    program = bench.program
    random = random_state()
    try:
        with quiet():
            if program.step is None and program.loop is None:
                return _plainly(twin, batch)
            return _caught(bench, twin, batch)
    finally:
        set_random_state(random)


def _plainly(twin: Twin, batch: Batch) -> Seen:
    twin.mode(False)
    try:
        with torch.no_grad():
            result = detached(twin.result(batch))
    except Exception as error:  # whatever a user's own model raises
        raise Inapplicable(f"the net raises {type(error).__name__}: {error}".splitlines()[0][:200]) from error
    weighed = (batch.weight,) if batch.weight is not None and getattr(twin.loss_fn, "takes_weight", False) else ()
    return Seen(result, batch.target, weighed)


class Spy:
    """The loss of a copy, which notes the first call that a gradient could come from and ends it there."""

    def __init__(self, loss: Callable[..., Any]) -> None:
        self.loss = loss
        self.heard: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def __call__(self, *args: Any, **named: Any) -> Any:
        if torch.is_grad_enabled() and (args or named):
            self.heard = (args, named)
            raise Enough
        return self.loss(*args, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loss, name)


def _caught(bench: Bench, twin: Twin, batch: Batch) -> Seen:
    program = bench.program
    spy = Spy(twin.loss_fn)
    results: list[Any] = []
    passes = 0

    def noted(module: Any, inputs: Any, result: Any) -> None:
        nonlocal passes
        results[:] = [result]
        passes += 1
        if passes > CALLS:
            raise Enough

    handle = twin.model.register_forward_hook(noted)
    original, twin.loss_fn = twin.loss_fn, spy
    try:
        if program.step is not None:
            twin.step(batch)
        else:
            _looped(bench, twin)
    except Enough:
        pass
    except Exception as error:  # whatever a user's own code raises
        raise Inapplicable(f"the program's own code raises {type(error).__name__}: {error}") from error
    finally:
        handle.remove()
        twin.loss_fn = original
    if spy.heard is None:
        raise Inapplicable("the program's own code does not call its loss function")
    return _told(spy.heard, results, batch, program.step is not None)


def _looped(bench: Bench, twin: Twin) -> None:
    program = bench.program
    assert program.loop is not None
    places = spread(len(bench.train), 4 * max(1, program.batch_size))
    small = replace(program_of(bench, twin), train=cut(program.train, places, 4))
    with aside(), silent():
        program.loop(small, 1)


def _told(heard: Any, results: list[Any], batch: Batch, stepped: bool) -> Seen:
    args, named = heard
    if len(args) < 2:
        raise Inapplicable("the loss is not called as loss(outputs, target)")
    same = bool(results) and (args[0] is results[0])
    target = args[1]
    rows = isinstance(target, Tensor) and target.shape == batch.target.shape and target.dtype == batch.target.dtype
    equal = rows and (not stepped or torch.equal(target, batch.target))
    alone = len(args) == 2 and not named
    return Seen(detached(args[0]), detached(target), detached(args[2:]), detached(named), same and equal and alone)


def detached(tree: Any) -> Any:
    """The tree without its graph; what is no tensor or container of them as it is."""
    if isinstance(tree, Tensor):
        return tree.detach()
    if isinstance(tree, Mapping):
        values = {key: detached(value) for key, value in tree.items()}
        return values if type(tree) is dict else _like(tree, values)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(detached(value) for value in tree))
    if isinstance(tree, tuple | list):
        return type(tree)(detached(value) for value in tree)
    return tree


def _like(tree: Any, values: dict[Any, Any]) -> Any:
    try:
        return type(tree)(**values)
    except TypeError:
        return values


def main(seen: Seen) -> Tensor | None:
    """The tensor that the outputs mean; None where there is none."""
    try:
        return outputs_of(seen.outputs)
    except Exception:  # an object of the user's own, such as a distribution
        return None


@contextmanager
def quiet() -> Iterator[None]:
    """No warning of torch's own: what they are about is measured."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
