"""A batch followed through a model, call by call, with its functional parts: `traced(model, batch) -> Graph`."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tunesmith.blocks.layers.init import vocabulary
from tunesmith.blocks.layers.init.graph import Graph, Step
from tunesmith.blocks.layers.init.passing import called, placed, refuse_lazy, untouched
from tunesmith.blocks.layers.init.vocabulary import tensors_in


class Known:
    """Something known of tensors, by identity and only while they live."""

    def __init__(self) -> None:
        self._values: dict[int, tuple[weakref.ref[Tensor], Any]] = {}

    def __setitem__(self, tensor: Tensor, value: Any) -> None:
        self._values[id(tensor)] = weakref.ref(tensor), value

    def get(self, tensor: Tensor) -> Any:
        held = self._values.get(id(tensor))
        return held[1] if held is not None and held[0]() is tensor else None


class Recorder(TorchFunctionMode):
    """Notes every call that takes what came from the batch. A module of a known kind is one call."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.steps: list[Step] = []
        self.origin = Known()  # the step that gave a tensor
        self.parameters = Known()  # the path of the parameter a tensor is, or is made of
        self.inside = 0  # modules entered that are one call
        for name, parameter in model.named_parameters():
            self.parameters[parameter] = name

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        result = func(*args, **given)
        if not self.inside:
            self.note(vocabulary.name_of(func), args, given, result)
        return result

    def note(self, name: str, args: Sequence[Any], given: Mapping[str, Any], result: Any) -> None:
        """Takes down one function's call."""
        operands = tensors_in([*args, *given.values()])
        outputs = tensors_in(result) or (operands[:1] if name == "setitem" else [])
        data = [number for tensor in operands if (number := self.origin.get(tensor)) is not None]
        weights = [path for tensor in operands if (path := self.parameters.get(tensor)) is not None]
        if not outputs or name in vocabulary.CONSTANTS:
            return
        if not data:
            for output in outputs if weights else ():
                self.parameters[output] = weights[0]
            return
        activation = vocabulary.activation_of_call(name, args, given)
        kind = self._kind(name, activation, data, weights)
        used = weights if kind in ("weight", "embedding") else ()
        path, module = vocabulary.owner_of(self.model, used)
        self.add(name, data, kind, outputs, activation=activation, layer=path, module=module)

    def _kind(self, name: str, activation: str, data: Sequence[int], weights: Sequence[str]) -> str:
        if activation:
            return "activation"
        if weights and (name in vocabulary.WEIGHTS or name.startswith("conv")):
            return "weight"
        if name in ("embedding", "embedding_bag"):
            return "embedding"
        if name in vocabulary.NORMS:
            return "norm"
        if name in vocabulary.ATTENTION and len(data) > 1:
            return "attention"
        if name in vocabulary.SOFTMAXES:
            return "softmax"
        return "product" if name == "mul" and len(set(data)) > 1 else ""

    def add(self, name: str, data: Sequence[int], kind: str, outputs: Sequence[Tensor], **about: Any) -> None:
        """One more step, which gave these tensors."""
        floating = any(output.is_floating_point() for output in outputs)
        several = len(outputs) > 1
        step = Step(len(self.steps), name, tuple(data), kind, floating=floating, several=several, **about)
        self.steps.append(step)
        for output in outputs:
            self.origin[output] = step.number

    def whole(self, path: str, module: nn.Module, kind: str, args: Any, given: Any, result: Any) -> None:
        """Takes down a module that is one call."""
        data = [number for t in tensors_in([args, given]) if (number := self.origin.get(t)) is not None]
        activation = vocabulary.activation_of(module) if kind == "activation" else ""
        name = type(module).__name__.lower()
        self.add(name, data, kind, tensors_in(result), activation=activation, layer=path, module=module)

    def opaque(self, path: str, module: nn.Module, args: Any, given: Any, result: Any) -> None:
        """A module some of whose results came by no call that was seen (an autograd function, a script)."""
        unseen = [tensor for tensor in tensors_in(result) if self.origin.get(tensor) is None]
        data = [number for t in tensors_in([args, given]) if (number := self.origin.get(t)) is not None]
        if unseen and data:
            self.add(type(module).__name__.lower(), data, "", unseen, layer=path, module=module)


def traced(model: nn.Module, batch: Any) -> Graph:
    """The calls of one pass in evaluation mode, without gradients; the model and all generators stay as they were.

    Raises `ModelError` for a batch that the model does not take, and for a lazy model.
    """
    refuse_lazy(model)
    recorder = Recorder(model)
    batch = placed(batch, next(model.parameters(), torch.empty(0)).device)
    with untouched(model), torch.no_grad(), ExitStack() as hooks:
        for path, module in model.named_modules():
            _hook(hooks, recorder, path, module, vocabulary.kind_of(module))
        for tensor in tensors_in(batch):
            recorder.add("input", (), "input", [tensor])
        with recorder:
            result = called(model, batch)
        outputs = [number for tensor in _results(result) if (number := recorder.origin.get(tensor)) is not None]
    return Graph(recorder.steps, outputs)


def _results(result: Any) -> list[Tensor]:
    """The tensors of a model's result, what is judged first: `logits` where there are any."""
    logits = result.get("logits") if isinstance(result, Mapping) else getattr(result, "logits", None)
    return [logits] if isinstance(logits, Tensor) else tensors_in(result)


def _hook(hooks: ExitStack, recorder: Recorder, path: str, module: nn.Module, kind: str) -> None:
    def enter(*_: Any) -> None:
        recorder.inside += 1

    def leave(module: nn.Module, args: Any, given: Any, result: Any) -> None:
        recorder.inside -= 1
        if not recorder.inside and result is not None:
            recorder.inside += 1  # what is asked of tensors here is no call of the model
            recorder.whole(path, module, kind, args, given, result)
            recorder.inside -= 1

    def check(module: nn.Module, args: Any, given: Any, result: Any) -> None:
        if not recorder.inside and result is not None:
            recorder.inside += 1
            recorder.opaque(path, module, args, given, result)
            recorder.inside -= 1

    if isinstance(module, torch.jit.ScriptModule):
        return
    if kind:
        hooks.callback(module.register_forward_pre_hook(enter).remove)
        hooks.callback(module.register_forward_hook(leave, with_kwargs=True, always_call=True).remove)
    else:
        hooks.callback(module.register_forward_hook(check, with_kwargs=True).remove)
