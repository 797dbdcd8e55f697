"""What a program does in its own step and its own loop, as events in their order: a tool of the checks.

Everything is watched on a copy: forward passes by hooks of the copied model, updates by torch's own hooks of all optimizers,
the rest (backward, zero_grad, the scheduler's step) by wrapping the functions of torch while the copy runs.
"""

import contextlib
import io
import os
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.cutting import cut, spread
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Program
from tunesmith.records.check import Inapplicable

SAMPLED = 512  # numbers of each parameter that are looked at; assumption: enough to tell two gradients apart
BATCHES = 4  # of the cut data; assumption: three would show each order of calls
EPOCHS = 2  # what happens after the first validation shows in the second epoch
LONGEST = 20.0  # seconds that a loop may take on the cut data; assumption
MODAL = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.dropout._DropoutNd,
    nn.modules.instancenorm._InstanceNorm,
)  # layers that do one thing in training and another in evaluation

Kind = Literal["forward", "backward", "zero_grad", "update", "scheduler"]


@dataclass(slots=True)
class Event:
    """One call. Gradients and weights are samples of the parameters that the model's optimizer may hold."""

    kind: Kind
    training: bool = True  # forward: the mode of the whole model
    asleep: bool = False  # forward: every layer that knows two modes stands in evaluation
    graph: bool = False  # forward: gradients are recorded
    taught: bool = False  # forward: a gradient came back through it
    rows: tuple[int, ...] = ()  # forward: a hash of each row of the inputs
    rates: tuple[float, ...] = ()  # update, scheduler: of each group, as the call found them
    owner: int = 0  # update, zero_grad: the optimizer
    before: Tensor | None = None  # gradient as the call found it
    after: Tensor | None = None  # gradient as the call left it
    held: Tensor | None = None  # update: which of the sampled numbers this optimizer holds, bool
    moved: float = 0.0  # update: length of the change of the weights
    weights: float = 0.0  # backward: a number that changes with the weights
    alive: int = 0  # update: forward passes whose graph is still held by somebody


@dataclass(slots=True)
class Trace:
    """The events of a run, and how it ended."""

    events: list[Event] = field(default_factory=list)
    first_rates: tuple[float, ...] = ()  # of the program's optimizer, before anything ran
    whole: bool = True  # False where the watch ended it
    error: str = ""  # what it raised, in one line
    printed: str = ""

    def of(self, *kinds: Kind) -> list[Event]:
        """The events of some kinds."""
        return [event for event in self.events if event.kind in kinds]

    def need(self, *kinds: Kind) -> None:
        """Raises `Inapplicable` where nothing of these kinds happened."""
        for kind in kinds:
            if not self.of(kind):
                raised = f" (it raised {self.error})" if self.error else ""
                raise Inapplicable(f"the program's own code showed no {kind} on its copy{raised}")


class Enough(BaseException):
    """Ends a loop that runs too long. No `Exception`, so that a loop that swallows those ends too."""


def step_trace(bench: Bench) -> Trace:
    """Some updates of a copy as the program feeds and steps."""
    return bench.kept("trace.steps", lambda: _steps(bench))


def loop_trace(bench: Bench) -> Trace:
    """The program's own loop on a copy, for two epochs of a few batches. Raises `Inapplicable` where it has none."""
    if bench.program.loop is None:
        raise Inapplicable("the program brings no loop of its own")
    return bench.kept("trace.loop", lambda: _loop(bench))


def own_trace(bench: Bench) -> Trace:
    """The trace of the loop where the program has one, else that of its steps."""
    return loop_trace(bench) if bench.program.loop is not None else step_trace(bench)


def _steps(bench: Bench) -> Trace:
    twin = bench.twin()
    count = max(1, bench.program.accumulate)
    fed = bench.fed(BATCHES * count)
    with watching(twin) as trace:
        for start in range(0, len(fed), count):
            window = fed[start : start + count]
            known = len(trace.events)
            weights = sampled_weights(twin)
            twin.step(window if len(window) > 1 else window[0])
            if not any(event.kind == "update" for event in trace.events[known:]):
                _by_hand(trace, known, twin, weights)
    return trace


def _by_hand(trace: Trace, known: int, twin: Twin, weights: Tensor) -> None:
    """An update that no optimizer made: the weights changed all the same."""
    moved = float((sampled_weights(twin) - weights).norm())
    taught = [event for event in trace.events[known:] if event.kind == "backward"]
    if moved > 0 and taught:
        used = taught[-1].after
        everything = None if used is None else torch.ones_like(used, dtype=torch.bool)
        place = trace.events.index(taught[-1]) + 1
        trace.events.insert(place, Event("update", before=used, held=everything, moved=moved))


def _loop(bench: Bench) -> Trace:
    program = bench.program
    assert program.loop is not None
    twin = bench.twin()
    small = replace(
        program_of(bench, twin),
        train=cut(program.train, spread(len(bench.train), BATCHES * max(1, program.batch_size)), BATCHES),
        val=None if bench.val is None else cut(program.val, spread(len(bench.val), 2 * max(1, program.batch_size)), 2),
        test=None
        if bench.test is None
        else cut(program.test, spread(len(bench.test), 2 * max(1, program.batch_size)), 2),
        epochs=EPOCHS,
    )
    with watching(twin, most=40 * BATCHES * EPOCHS, seconds=min(LONGEST, bench.clock.left())) as trace, aside():
        program.loop(small, EPOCHS)
    return trace


def program_of(bench: Bench, twin: Twin) -> Program:
    """The program with the live objects of a copy."""
    return replace(
        bench.program, model=twin.model, loss_fn=twin.loss_fn, optimizer=twin.optimizer, scheduler=twin.scheduler
    )


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """A working folder that is gone afterwards, for what a loop writes."""
    with tempfile.TemporaryDirectory() as folder:
        here = os.getcwd()
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


@contextlib.contextmanager
def watching(twin: Twin, *, most: int | None = None, seconds: float | None = None) -> Iterator[Trace]:
    """Watches a copy; what it raises ends the watch and stands in `error`. `most` forward passes, `seconds` in all."""
    trace = Trace(first_rates=rates_of(twin.optimizer))
    watch = _Watch(trace, twin, most, None if seconds is None else time.perf_counter() + seconds)
    heard = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of a copied scheduler, whose optimizer is not the one it was made with
        stack.enter_context(contextlib.redirect_stdout(heard))
        stack.enter_context(contextlib.redirect_stderr(heard))
        stack.enter_context(watch.hooks())
        try:
            yield trace
        except Enough:
            trace.whole = False
        except Exception as error:  # whatever a user's own code raises
            trace.error = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    trace.printed = heard.getvalue()


class _Watch:
    """Turns calls into events."""

    def __init__(self, trace: Trace, twin: Twin, most: int | None, until: float | None) -> None:
        self.trace, self.twin, self.most, self.until = trace, twin, most, until
        self.parameters = parameters_of(twin)
        self.ids = {id(parameter) for parameter in self.parameters}
        self.forwards = 0
        self.graphs: list[weakref.ref[Any]] = []
        self.inside = 0  # depth of a scheduler that steps others
        self.modal = [module for module in twin.model.modules() if isinstance(module, MODAL)]

    @contextlib.contextmanager
    def hooks(self) -> Iterator[None]:
        model = self.twin.model
        handles: list[Any] = [
            model.register_forward_hook(self.forward, with_kwargs=True),
            register_optimizer_step_pre_hook(self.before_update),
            register_optimizer_step_post_hook(self.after_update),
        ]
        patched: list[tuple[Any, str, Any]] = []

        def patch(owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
            patched.append((owner, name, owner.__dict__.get(name)))
            setattr(owner, name, wrap(getattr(owner, name)))

        try:
            patch(torch.autograd, "backward", self.wrapped_backward)
            patch(torch.optim.Optimizer, "zero_grad", self.wrapped_zero)
            patch(nn.Module, "zero_grad", self.wrapped_zero)
            for kind in _schedulers():
                patch(kind, "step", self.wrapped_scheduler)
            for part, wrap in (
                (self.twin.optimizer, self.own_optimizer),
                (self.twin.scheduler, self.wrapped_scheduler_of_another),
            ):
                known = (torch.optim.Optimizer, LRScheduler, ReduceLROnPlateau, type(None))
                if not isinstance(part, known) and hasattr(part, "step"):
                    patch(part, "step", wrap)
            yield
        finally:
            for owner, name, was in reversed(patched):
                if was is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, was)
            for handle in handles:
                handle.remove()

    def enough(self) -> None:
        if (self.most is not None and self.forwards > self.most) or (
            self.until is not None and time.perf_counter() > self.until
        ):
            raise Enough

    def forward(self, module: nn.Module, inputs: Any, named: Any, result: Any) -> None:
        self.forwards += 1
        self.enough()
        event = Event(
            "forward",
            training=module.training,
            asleep=bool(self.modal) and not any(one.training for one in self.modal),
            graph=torch.is_grad_enabled(),
            rows=rows_of((inputs, named)),
        )
        self.trace.events.append(event)

        def taught(gradient: Tensor) -> None:
            event.taught = True

        for tensor in tensors_in(result):
            if tensor.requires_grad and tensor.grad_fn is not None:
                tensor.register_hook(taught)  # type: ignore[no-untyped-call]
                self.graphs.append(weakref.ref(taught))  # the graph holds the hook, and nothing else does
                break

    def wrapped_backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def backward(*args: Any, **named: Any) -> Any:
            event = Event("backward", before=self.gradient(), weights=float(sampled_weights(self.twin).sum()))
            given = original(*args, **named)
            event.after = self.gradient()
            self.trace.events.append(event)
            return given

        return backward

    def wrapped_zero(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def zero_grad(owner: Any, *args: Any, **named: Any) -> Any:
            ours = self.holds(owner)
            event = Event("zero_grad", owner=id(owner), before=self.gradient() if ours else None)
            given = original(owner, *args, **named)
            if ours:
                event.after = self.gradient()
                self.trace.events.append(event)
            return given

        return zero_grad

    def wrapped_scheduler(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(scheduler: Any, *args: Any, **named: Any) -> Any:
            self.scheduled(scheduler)
            self.inside += 1
            try:
                return original(scheduler, *args, **named)
            finally:
                self.inside -= 1

        return step

    def wrapped_scheduler_of_another(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **named: Any) -> Any:
            self.trace.events.append(Event("scheduler", rates=rates_of(self.twin.optimizer)))
            return original(*args, **named)

        return step

    def scheduled(self, scheduler: Any) -> None:
        first = getattr(scheduler, "_is_initial", False) or getattr(scheduler, "_step_count", 1) == 0
        optimizer = getattr(scheduler, "optimizer", None)
        if not first and not self.inside and self.holds(optimizer):
            self.trace.events.append(Event("scheduler", rates=rates_of(optimizer)))

    def own_optimizer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **named: Any) -> Any:
            self.before_update(self.twin.optimizer, args, named)
            given = original(*args, **named)
            self.after_update(self.twin.optimizer, args, named)
            return given

        return step

    def before_update(self, optimizer: Any, args: Any, named: Any) -> None:
        if self.holds(optimizer):
            self.weights = sampled_weights(self.twin)
            held = held_by(optimizer, self.parameters)
            self.trace.events.append(
                Event("update", rates=rates_of(optimizer), owner=id(optimizer), before=self.gradient(), held=held)
            )

    def after_update(self, optimizer: Any, args: Any, named: Any) -> None:
        if self.holds(optimizer):
            mine = next(event for event in reversed(self.trace.events) if event.kind == "update")
            mine.moved = float((sampled_weights(self.twin) - self.weights).norm())
            mine.alive = sum(graph() is not None for graph in self.graphs)

    def holds(self, owner: Any) -> bool:
        if isinstance(owner, nn.Module):
            return any(id(parameter) in self.ids for parameter in owner.parameters())
        groups = getattr(owner, "param_groups", None)
        if groups is None:
            return owner is self.twin.optimizer and owner is not None
        return any(id(parameter) in self.ids for group in groups for parameter in group["params"])

    def gradient(self) -> Tensor:
        return torch.cat([_sample(parameter.grad, parameter) for parameter in self.parameters])


def _schedulers() -> list[type]:
    """Every class of schedulers that has a `step` of its own."""
    found: list[type] = [LRScheduler]
    for kind in found:
        children: list[type] = kind.__subclasses__()
        found.extend(child for child in children if child not in found)
    if ReduceLROnPlateau not in found:
        found.append(ReduceLROnPlateau)
    return [kind for kind in found if "step" in kind.__dict__]


def parameters_of(twin: Twin) -> list[nn.Parameter]:
    """Trainable parameters of model, loss and optimizer, each once."""
    found: dict[int, nn.Parameter] = {}
    for holder in (twin.model, twin.loss_fn):
        if isinstance(holder, nn.Module):
            found |= {id(each): each for each in holder.parameters() if each.requires_grad}
    for group in getattr(twin.optimizer, "param_groups", ()):
        found |= {id(each): each for each in group["params"] if each.requires_grad}
    return list(found.values())


def sampled_weights(twin: Twin) -> Tensor:
    """A sample of each trainable parameter, in one vector."""
    return torch.cat([_sample(parameter.detach(), parameter) for parameter in parameters_of(twin)])


def held_by(optimizer: Any, parameters: Iterable[nn.Parameter]) -> Tensor:
    """Which numbers of the sample an optimizer holds; all of them where it does not say."""
    groups = getattr(optimizer, "param_groups", None)
    mine = None if groups is None else {id(each) for group in groups for each in group["params"]}
    return torch.cat(
        [torch.full((_count(each),), mine is None or id(each) in mine, dtype=torch.bool) for each in parameters]
    )


def _count(parameter: Tensor) -> int:
    return -(-parameter.numel() // _stride(parameter))


def _stride(parameter: Tensor) -> int:
    return max(1, -(-parameter.numel() // SAMPLED))


def _sample(values: Tensor | None, parameter: Tensor) -> Tensor:
    if values is None:
        return torch.zeros(_count(parameter), dtype=torch.float64)
    dense = values.to_dense() if values.is_sparse else values
    return dense.detach().reshape(-1)[:: _stride(parameter)].to("cpu", torch.float64, copy=True)


def rates_of(optimizer: Any) -> tuple[float, ...]:
    """The rate of each group."""
    groups = getattr(optimizer, "param_groups", ())
    return tuple(float(group["lr"]) for group in groups if "lr" in group)


def rows_of(tree: Any) -> tuple[int, ...]:
    """A hash of each row of the first tensor of some inputs."""
    first = next(iter(tensors_in(tree)), None)
    if first is None or first.dim() == 0:
        return ()
    values = first.detach().cpu().contiguous().numpy()
    return tuple(hash(np.ascontiguousarray(row).tobytes()) for row in values)


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """The tensors of inputs or of a result, in their order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from tensors_in(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from tensors_in(value)
    elif hasattr(tree, "logits"):
        yield from tensors_in(tree.logits)
