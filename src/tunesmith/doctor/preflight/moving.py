"""Which tensors of a program get a gradient and which move, over some of its own updates: a tool of the checks."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.courses import feeding, undisturbed
from tunesmith.doctor.preflight.cutting import cut, spread
from tunesmith.doctor.preflight.trace import Trace, aside, program_of, watching
from tunesmith.doctor.preflight.twin import Twin

STEPS = 4  # updates that are looked at: two zeros one behind the other have woken by then; assumption
MORE = 12  # and where something did not get a gradient or move: a branch left out half the time is seen with 0.9998; assumption
DEEP = 3  # containers within containers that are looked into; assumption


@dataclass(slots=True)
class Part:
    """A tensor that may train."""

    name: str
    tensor: Tensor
    where: str  # "model", "loss", "optimizer" (nowhere else) or "unregistered" (on the model, but no parameter of it)
    trainable: bool
    held: bool  # the optimizer has it
    rate: float | None = None  # of its group at the start
    before: Tensor | None = None
    reached: bool = False  # a gradient came, of whatever size
    taught: bool = False  # one that is not zero
    moved: bool = False

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return self.tensor.numel()


@dataclass(slots=True)
class Moves:
    """What happened to the parts of a copy."""

    twin: Twin
    parts: list[Part]
    trace: Trace = field(default_factory=Trace)
    steps: int = 0
    moving: int = 0  # steps in which anything moved


def moves(bench: Bench) -> Moves:
    """Some updates of a copy as the program makes them: four, and more where something has not got a gradient or not moved by then."""
    return bench.kept("moving.moves", lambda: _moves(bench))


def _moves(bench: Bench) -> Moves:
    twin = bench.twin()
    told = Moves(twin, parts_of(twin))
    handles: list[Any] = [
        part.tensor.register_hook(_noting(part))  # type: ignore[no-untyped-call]
        for part in told.parts
        if part.trainable
    ]
    try:
        with undisturbed(bench):
            if bench.program.loop is not None:
                _through_loop(bench, told)
            else:
                _through_steps(bench, told)
    finally:
        for handle in handles:
            handle.remove()
    return told


def _noting(part: Part) -> Any:
    def noted(gradient: Tensor) -> None:
        part.reached = True
        values = gradient.coalesce().values() if gradient.is_sparse else gradient
        part.taught = part.taught or bool((values != 0).any())

    return noted


def parts_of(twin: Twin) -> list[Part]:
    """Everything that may train, each once: of the model, on the model but not registered, of the loss, of the optimizer."""
    rates = {
        id(each): float(group.get("initial_lr", group.get("lr", 1.0)))
        for group in getattr(twin.optimizer, "param_groups", ())
        for each in group["params"]
    }
    found: dict[int, Part] = {}

    def add(name: str, tensor: Tensor, where: str) -> None:
        if id(tensor) not in found:
            mine = id(tensor) in rates
            part = Part(name, tensor, where, tensor.requires_grad, mine, rates.get(id(tensor)), tensor.detach().clone())
            found[id(tensor)] = part

    for name, own in twin.model.named_parameters():
        add(name, own, "model")
    for name, loose in unregistered(twin.model):
        add(name, loose, "unregistered")
    if isinstance(twin.loss_fn, nn.Module):
        for name, each in twin.loss_fn.named_parameters():
            add(f"loss.{name}", each, "loss")
    for group in getattr(twin.optimizer, "param_groups", ()):
        for place, each in enumerate(group["params"]):
            add(f"optimizer.{place}", each, "optimizer")
    return list(found.values())


def unregistered(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Tensors that ask for a gradient and hang on the model's modules without being their parameters: in lists, dicts, attributes."""
    own = {id(module) for module in model.modules()}
    known = {id(each) for each in (*model.parameters(), *model.buffers())}
    for prefix, module in model.named_modules():
        for name, value in vars(module).items():
            if name in ("_parameters", "_buffers", "_modules"):
                continue
            path = f"{prefix}.{name}" if prefix else name
            for label, tensor in _hanging(path, value, own, DEEP):
                if id(tensor) not in known and tensor.is_leaf and tensor.requires_grad:
                    yield label, tensor


def _hanging(path: str, value: Any, own: set[int], deep: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, nn.Module):
        if id(value) not in own:
            yield from ((f"{path}.{name}", each) for name, each in value.named_parameters())
    elif deep and isinstance(value, dict):
        for key, each in value.items():
            yield from _hanging(f"{path}[{key!r}]", each, own, deep - 1)
    elif deep and isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield from _hanging(f"{path}[{place}]", each, own, deep - 1)


def _compare(told: Moves) -> None:
    for part in told.parts:
        if not part.moved and part.before is not None and part.before.shape == part.tensor.shape:
            part.moved = not torch.equal(part.before, part.tensor.detach())


def _finished(told: Moves) -> bool:
    return all(part.moved or not part.trainable for part in told.parts if part.where != "optimizer")


def _through_steps(bench: Bench, told: Moves) -> None:
    feed = feeding(bench)
    with watching(told.twin) as told.trace:
        while told.steps < MORE and not (told.steps >= STEPS and (_finished(told) or bench.clock.spent_up)):
            held = [part.tensor.detach().clone() for part in told.parts]
            window = next(feed)
            told.twin.step(window if len(window) > 1 else window[0])
            told.steps += 1
            told.moving += any(
                not torch.equal(was, part.tensor.detach()) for was, part in zip(held, told.parts, strict=True)
            )
            _compare(told)


def _through_loop(bench: Bench, told: Moves) -> None:
    program = bench.program
    assert program.loop is not None
    size = max(1, program.batch_size)
    small = replace(
        program_of(bench, told.twin),
        train=cut(program.train, spread(len(bench.train), STEPS * size), STEPS),
        val=None if bench.val is None else cut(program.val, spread(len(bench.val), 2 * size), 2),
        test=None if bench.test is None else cut(program.test, spread(len(bench.test), 2 * size), 2),
        epochs=2,
    )
    seconds = min(10.0, bench.clock.left())  # assumption: a few batches take less
    with watching(told.twin, most=20 * STEPS, seconds=seconds) as told.trace, aside():
        program.loop(small, 2)
    told.steps = 2 * STEPS
    _compare(told)
    told.moving = told.steps if any(part.moved for part in told.parts) else 0
