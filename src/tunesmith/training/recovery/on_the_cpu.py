"""An assertion from inside a kernel says nothing of its cause: the batch is run again on the CPU, which names the operation."""

import copy
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tunesmith.records import DeviceError
from tunesmith.records.state import State
from tunesmith.training.batch import Batch, Window, moved, seen_by
from tunesmith.training.guards import Action, Guard
from tunesmith.training.recovery.bounds import Bounds
from tunesmith.training.recovery.held import Held
from tunesmith.training.update import Update

SAID = ("device-side assert", "Assertion `", "CUDA error: an illegal memory access")
CPU = torch.device("cpu")


class NamesOperation(Guard):
    """Ends a run that broke inside a kernel with the operation that did it.

    After such an error nothing on the device can be read: weights come from the newest snapshot in memory, the batch from the
    host, where it is still there (`on_host`).
    """

    def __init__(
        self, update: Update, held: Held, on_host: Callable[[], Window | None], bounds: Bounds | None = None
    ) -> None:
        self.update = update
        self.held = held
        self.on_host = on_host
        self.bounds = bounds
        self.window: Window = ()  # in hand

    def on_exception(self, state: State, error: Exception) -> Action | None:
        text = " ".join(str(error).split())
        if isinstance(error, IndexError) and self.bounds is not None:
            for batch in self.window:  # the CPU's own words name neither the row nor the table
                self.bounds.check(moved(batch, CPU), f"the update after step {state.step}")
        if not isinstance(error, RuntimeError) or not any(words in text for words in SAID):
            return None
        window = self.window if self.update.precision.device.type == "cpu" else self.on_host()
        before = f"the update after step {state.step} broke inside a kernel of the device ({text[:120]})"
        if window is None or not self.held.snapshots:
            raise DeviceError(
                f"{before}; the batch lies on the device and cannot be read any more: run once with train.device = 'cpu', which "
                "names the operation"
            ) from error
        weights = self.held.snapshots[-1][0]["model"]
        found = broken_on_the_cpu(self.update, weights, window)
        if not found:
            raise DeviceError(
                f"{before}; on the CPU the same batch goes through: set CUDA_LAUNCH_BLOCKING=1 to see which kernel it was, and "
                "look at its driver and library versions"
            ) from error
        raise DeviceError(f"{before}; run again on the CPU, the batch fails in {found}") from error


def broken_on_the_cpu(update: Update, weights: Mapping[str, Tensor], window: Window) -> str:
    """The operation that raises, with its module and what it says; "" where nothing does."""
    model = on_cpu(update.model, weights)
    for place, batch in enumerate(window):
        said = _passed(model, update, moved(batch, CPU))
        if said:
            return said if len(window) == 1 else f"{said} (micro-batch {place + 1} of {len(window)})"
    return ""


def on_cpu(model: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """A copy on the CPU that reads nothing from the model's device; a buffer that no snapshot holds is zeros."""
    memo: dict[int, Any] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        memo.setdefault(id(weight), nn.Parameter(weights[name].clone(), weight.requires_grad))
    for name, buffer in model.named_buffers(remove_duplicate=False):
        held = weights.get(name)
        memo.setdefault(id(buffer), torch.zeros(buffer.shape, dtype=buffer.dtype) if held is None else held.clone())
    return copy.deepcopy(model, memo)


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers the operation being carried out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.name = str(func).removeprefix("aten.").split(".")[0]
        return func(*args, **(kwargs or {}))


def _passed(model: nn.Module, update: Update, batch: Batch) -> str:
    inside: list[str] = ["the loss"]
    operations = _Operations()
    with ExitStack() as stack:
        for name, module in model.named_modules():
            shown = f"module {name!r} ({type(module).__name__})" if name else f"the model ({type(module).__name__})"
            stack.callback(module.register_forward_pre_hook(_entering(inside, shown)).remove)
            stack.callback(module.register_forward_hook(lambda *about: inside.pop() and None).remove)
        try:
            with operations, torch.enable_grad():
                total, _ = update.loss(seen_by(update.loss, model(batch.inputs)), batch.target, batch.weight)
                inside.append("the backward pass")
                torch.autograd.backward(total)
        except Exception as error:  # whatever it is, it is what was looked for
            text = " ".join(str(error).split())[:200]
            return f"{operations.name or 'an operation'} of {inside[-1]}: {text}{_beyond(model, update, batch)}"
    return ""


def _entering(inside: list[str], shown: str) -> Callable[..., None]:
    def entered(module: nn.Module, args: Any) -> None:
        inside.append(shown)

    return entered


def _beyond(model: nn.Module, update: Update, batch: Batch) -> str:
    """The range of whole numbers in the batch: what lies beyond a table or the outputs is among them."""
    named = {"inputs": batch.inputs} if isinstance(batch.inputs, Tensor) else dict(_named(batch.inputs))
    told = [
        f"{name} hold {int(value.min())} to {int(value.max())}"
        for name, value in {**named, "targets": batch.target}.items()
        if isinstance(value, Tensor) and value.numel() and not value.is_floating_point() and value.dtype != torch.bool
    ]
    tables = [
        f"{name} has {module.num_embeddings} rows"
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding | nn.EmbeddingBag)
    ]
    return f" ({'; '.join([*told, *tables])})" if told else ""


def _named(inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return inputs.items()
    return enumerate(inputs) if isinstance(inputs, list | tuple) else ()
