"""One pass of a model over a batch, gone through again without a trace: model, gradients and random numbers are as before."""

import contextlib
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from tunesmith.doctor.probes.nonfinite_trace import STAND_INS, Birth, Modules, Trace, finite, floats, mended
from tunesmith.doctor.probes.watcher_view import inside

LONGEST = 30.0  # seconds that are spent on one batch; assumption


OWN = frozenset(nn.Module().__dict__)  # what every module has


class Replaying:
    """Whether a pass is being gone through again just now; hooks that measure a run look away meanwhile."""

    now = False


@dataclass(slots=True, kw_only=True)
class Call:
    """What the model was called with, and the random numbers and precision at that time."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    name: str = ""  # of the module that is called, where it is a part of the model
    number: int = 0  # of the call, from 1
    step: int = 0  # the update that it belongs to, from 1
    training: bool = True
    random: Tensor | None = None  # state of the generator of the processor
    device_random: Tensor | None = None
    autocast: tuple[str, torch.dtype] | None = None
    outputs: list[Tensor] = field(default_factory=list)  # that keep what comes back to them
    ends: list[int] = field(default_factory=list)  # sequence numbers of the autograd nodes that made the outputs

    @property
    def gradients(self) -> list[Tensor]:
        """What came back to the outputs, where it was kept."""
        return [one.grad for one in self.outputs if one.grad is not None]

    @property
    def rows(self) -> int:
        """The length of the first axis of the first tensor that has one."""
        leaves = tree_leaves((self.args, self.kwargs))
        return next((len(one) for one in leaves if isinstance(one, Tensor) and one.dim()), 0)

    @property
    def bytes(self) -> int:
        leaves = tree_leaves((self.args, self.kwargs))
        return sum(one.numel() * one.element_size() for one in leaves if isinstance(one, Tensor))


def call_of(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], number: int = 0, *, draws: bool = True
) -> Call:
    """Of a call about to be made: references to its arguments, nothing is copied but random states, where the model `draws`."""
    call = Call(args=args, kwargs=kwargs, number=number, training=model.training)
    if draws:
        call.random = torch.get_rng_state()
    if torch.cuda.is_initialized() or torch.is_autocast_enabled("cpu"):  # type: ignore[no-untyped-call]
        device = next(
            (one.device for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)), torch.device("cpu")
        )
        if torch.is_autocast_enabled(device.type):
            call.autocast = (device.type, torch.get_autocast_dtype(device.type))
        if device.type == "cuda" and draws:
            call.device_random = torch.cuda.get_rng_state(device)
    return call


@dataclass(slots=True, kw_only=True)
class Passed:
    """What a pass gave. `reached` are the births behind what is wrong, the first one first."""

    outputs: list[Tensor]
    loss: Tensor | None = None
    bad: str = ""  # "loss", "outputs", "gradient", "buffer"; "" where all is finite
    births: list[Birth] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)  # with a gradient that is not finite
    gradient_norm: float | None = None
    error: str = ""
    outputs_finite: bool = True
    rows: int = 0


@dataclass(slots=True, kw_only=True)
class Replay:
    """A batch, and all that is needed to go through it again."""

    model: nn.Module
    call: Call
    loss_fn: Callable[..., Any] | None = None
    target: Any = None
    sound_buffers: frozenset[str] = (
        frozenset()
    )  # that were finite before the call: what it spoiled of them is mended first
    of_buffers: bool = False  # what the pass leaves in the buffers is asked for, not its result
    weights: Sequence[Tensor] | None = (
        None  # to go through it on, in the order of `model.parameters()`; None is as they are
    )

    spent: float = 0.0  # seconds on all passes so far
    failed: str = ""  # what a pass raised

    @property
    def dear(self) -> bool:
        """Whether no more passes are worth their time."""
        return self.spent > LONGEST

    def passed(
        self,
        *,
        patched: Sequence[Birth] = (),
        backward: bool = True,
        traced: bool = True,
        rows: Sequence[int] | None = None,
        stand_in: float = STAND_INS[0],
    ) -> Passed:
        """One pass; `patched` are births whose numbers are made finite, `rows` the rows of the batch that are used."""
        began = time.perf_counter()
        with untouched(self.model, self.call):
            for one, old in zip(inside(self.model).parameters(), self.weights or (), strict=False):
                one.data = old
            passed = self._pass(list(patched), backward, traced, rows, stand_in)
        self.spent += time.perf_counter() - began
        if rows is None and not patched:
            self.failed = passed.error
        return passed

    def _pass(
        self, patched: list[Birth], backward: bool, traced: bool, rows: Sequence[int] | None, stand_in: float
    ) -> Passed:
        inner = inside(self.model)
        given, target = (self.call.args, self.call.kwargs), self.target
        if rows is not None:
            given, target = _cut((given, target), rows, self.call.rows)
        with torch.no_grad():
            for name, one in inner.named_buffers(prefix=self.call.name):
                if name in self.sound_buffers and self.call.training:
                    one.copy_(mended(one, 0.0))
        sources = {(one.source, one.name) for one in patched if one.source}
        given = _named_mended("input", given, sources)
        target = _named_mended("target", target, sources)
        _mend_held(inner, sources, self.call.name)
        passed = Passed(outputs=[], rows=self.call.rows)
        with Modules(inner, self.call.name) as modules:
            front = f"{self.call.name}." if self.call.name else ""
            trace = Trace(modules, [one.index for one in patched if not one.source], stand_in)
            trace.source("input", _leaves("input", given))
            trace.source("target", _leaves("target", target))
            trace.source("weight", ((front + name, one) for name, one in inner.named_parameters()))
            trace.source(
                "buffer", ((front + name, one) for name, one in inner.named_buffers() if one.is_floating_point())
            )
            with trace if traced else contextlib.nullcontext():
                try:
                    self._carry_out(inner, given, target, backward and rows is None, trace, passed)
                except Exception as error:  # whatever a user's model raises when it is called once more
                    passed.error = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return passed

    def _carry_out(
        self, model: nn.Module, given: Any, target: Any, backward: bool, trace: Trace, passed: Passed
    ) -> None:
        grad = self.call.training
        with torch.set_grad_enabled(grad), _cast(self.call.autocast):
            result = model(*given[0], **given[1])
            passed.outputs = floats(result)
            if self.loss_fn is not None:
                passed.loss = self.loss_fn(result) if target is None else self.loss_fn(result, target)
        if self.of_buffers:
            after = [(name, one) for name, one in model.named_buffers() if one.is_floating_point() and not finite(one)]
            passed.bad = "buffer" if after else ""
            passed.births, passed.parameters = trace.behind([one for _, one in after]), [name for name, _ in after]
            return
        passed.outputs_finite = not any(breaks(one) for one in passed.outputs)
        if passed.loss is not None and not finite(passed.loss):
            passed.bad, passed.births = "loss", trace.behind([passed.loss])
            return
        if passed.loss is None and not passed.outputs_finite:
            passed.bad, passed.births = "outputs", trace.behind([one for one in passed.outputs if breaks(one)])
            return
        if backward and self.call.training:
            self._backward(model, trace, passed)

    def _backward(self, model: nn.Module, trace: Trace, passed: Passed) -> None:
        held = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
        starts: list[Tensor] | None = None
        if passed.loss is not None:
            ends = [passed.loss.sum()]
        else:
            ends = [one for one in passed.outputs if one.requires_grad]
            known = len(self.call.gradients) == len(ends)
            starts = list(self.call.gradients) if known else [torch.randn_like(one) for one in ends]
            trace.source("gradient", (("", one) for one in starts))
        if not ends or not held or not any(one.requires_grad for one in ends):
            return
        gradients = torch.autograd.grad(ends, [one for _, one in held], starts, allow_unused=True)
        found = [(name, one) for (name, _), one in zip(held, gradients, strict=True) if one is not None]
        passed.gradient_norm = float(sum(float(one.detach().double().square().sum()) for _, one in found) ** 0.5)
        bad = [(name, one) for name, one in found if not finite(one)]
        if bad:
            passed.bad, passed.births = "gradient", trace.behind([one for _, one in bad])
            passed.parameters = [name for name, _ in bad]


@contextlib.contextmanager
def untouched(model: nn.Module, call: Call) -> Iterator[None]:
    """Puts back gradients, buffers, plain attributes and modes of the modules, and the random state; nothing is compiled meanwhile."""
    inner = inside(model)
    buffers = [(one, one.detach().clone()) for one in inner.buffers()]
    weights = [(one, one.data) for one in inner.parameters()]
    attributes = [(module, dict(module.__dict__)) for module in inner.modules()]
    held = [(module, dict(module._buffers)) for module in inner.modules()]
    containers = [
        (value, value.copy())
        for module in inner.modules()
        for name, value in module.__dict__.items()
        if type(value) in (list, dict, set, deque) and name not in OWN
    ]
    gradients = [(one, one.grad) for one in inner.parameters()]
    devices = [torch.cuda.current_device()] if call.device_random is not None else []
    before, Replaying.now = Replaying.now, True
    try:
        with torch.random.fork_rng(devices=devices), warnings.catch_warnings(), _eager():
            warnings.simplefilter("ignore")
            if call.random is not None:
                torch.set_rng_state(call.random)
            if call.device_random is not None:
                torch.cuda.set_rng_state(call.device_random)
            yield
    finally:
        Replaying.now = before
        for module, kept in attributes:
            module.__dict__.update(kept)
            for name in module.__dict__.keys() - kept.keys():
                del module.__dict__[name]
        for module, kept in held:
            module._buffers.update(kept)
        for container, was in containers:
            _put_back(container, was)
        with torch.no_grad():
            for one, old in buffers:
                if not torch.equal(one, old):
                    one.copy_(old)
        for one, data in weights:
            if one.data_ptr() != data.data_ptr():
                one.data = data
        for one, grad in gradients:
            if one.grad is not grad:
                one.grad = grad


def _put_back(container: Any, was: Any) -> None:
    container.clear()
    container.extend(was) if isinstance(container, list | deque) else container.update(was)


def _eager() -> Any:
    """Compiled parts run as they are written. Where nothing was compiled yet, the compiler is not imported for it."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else contextlib.nullcontext()


def _cast(autocast: tuple[str, torch.dtype] | None) -> Any:
    return contextlib.nullcontext() if autocast is None else torch.autocast(autocast[0], autocast[1])


def breaks(values: Tensor) -> bool:
    """Not a number, or infinite upwards: minus infinity is how masks are written."""
    return not finite(values) and bool((torch.isnan(values) | (values == float("inf"))).any())


def _leaves(kind: str, tree: Any) -> Iterator[tuple[str, Tensor]]:
    for place, one in enumerate(floats(tree)):
        yield f"{kind} {place}", one


def _named_mended(kind: str, tree: Any, sources: set[tuple[str, str]]) -> Any:
    """The tree with the named tensors made finite."""
    if not any(one == kind for one, _ in sources):
        return tree
    chosen = {id(one) for name, one in _leaves(kind, tree) if (kind, name) in sources}
    return tree_map(lambda leaf: mended(leaf) if id(leaf) in chosen else leaf, tree)


def _mend_held(model: nn.Module, sources: set[tuple[str, str]], front: str) -> None:
    with torch.no_grad():
        for name, weight in model.named_parameters(prefix=front):
            if ("weight", name) in sources:
                weight.data = mended(weight.data)
        for name, buffer in model.named_buffers(prefix=front):
            if ("buffer", name) in sources:
                buffer.copy_(mended(buffer))


def _cut(tree: Any, rows: Sequence[int], count: int) -> Any:
    chosen = torch.tensor(list(rows))
    return tree_map(
        lambda leaf: (
            leaf[chosen.to(leaf.device)] if isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == count else leaf
        ),
        tree,
    )
