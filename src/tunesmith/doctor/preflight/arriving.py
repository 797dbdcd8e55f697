"""The gradient that a program's own code leaves for its optimizer at the first update, and the rows it came from: a tool."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.seeing import _looped, quiet
from tunesmith.doctor.preflight.trace import Enough, parameters_of
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records.check import Inapplicable

PASSES = 64  # forward passes after which no update is waited for; assumption


@dataclass(slots=True)
class Arrival:
    """One update: the gradients as the optimizer found them, and the calls that led to it."""

    gradient: Tensor
    inputs: list[Any] = field(default_factory=list)  # of the model, (args, kwargs) of each forward pass with a graph
    losses: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(
        default_factory=list
    )  # arguments of each call of the loss


class Listener:
    """The loss of a copy, which notes what it is given while a graph is recorded."""

    def __init__(self, loss: Any, heard: list[Any]) -> None:
        self.loss, self.heard = loss, heard

    def __call__(self, *args: Any, **named: Any) -> Any:
        if torch.is_grad_enabled():
            self.heard.append((args, named))
        return self.loss(*args, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loss, name)


def first_arrival(bench: Bench, twin: Twin, rows: int = 0, skip: int = 0) -> Arrival:
    """What stands in `grad` when the update after `skip` others begins. Raises `Inapplicable` where none comes."""
    inputs: list[Any] = []
    losses: list[Any] = []
    found: list[Arrival] = []
    parameters = parameters_of(twin)
    mine = {id(parameter) for parameter in parameters}

    def passed(module: Any, args: Any, named: Any, result: Any) -> None:
        if torch.is_grad_enabled():
            inputs.append((args, named))
            if len(inputs) > PASSES:
                raise Enough

    def arrived(optimizer: Any, args: Any, named: Any) -> None:
        if not any(id(parameter) in mine for group in optimizer.param_groups for parameter in group["params"]):
            return
        found.append(Arrival(gradient_of(parameters), list(inputs), list(losses)))
        inputs.clear()
        losses.clear()
        if len(found) > skip:
            raise Enough

    handles = [twin.model.register_forward_hook(passed, with_kwargs=True), register_optimizer_step_pre_hook(arrived)]
    original, twin.loss_fn = twin.loss_fn, Listener(twin.loss_fn, losses)
    try:
        with quiet():
            _run(bench, twin, rows, skip)
    except Enough:
        pass
    except Exception as error:  # whatever a user's own code raises
        raise Inapplicable(f"the program's own code raises {type(error).__name__}: {error}") from error
    finally:
        twin.loss_fn = original
        for handle in handles:
            handle.remove()
    if len(found) <= skip:
        raise Inapplicable("the program's own code makes no update with a torch optimizer")
    return found[skip]


def _run(bench: Bench, twin: Twin, rows: int, skip: int) -> None:
    program = bench.program
    if program.step is None and program.loop is not None:
        _looped(bench, twin)
        return
    count = max(1, program.accumulate)
    size = rows or program.batch_size
    for update in range(skip + 1):
        window = [bench.batch(size, f"arriving.{update}.{place}") for place in range(count)]
        twin.step(window if count > 1 else window[0])


def gradient_of(parameters: list[Any]) -> Tensor:
    """All gradients in one vector; zeros where there is none."""
    return torch.cat(
        [
            (torch.zeros(each.numel()) if each.grad is None else each.grad.detach().reshape(-1).float().cpu())
            for each in parameters
        ]
    )
