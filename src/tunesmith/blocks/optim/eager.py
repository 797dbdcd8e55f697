"""A torch optimizer without its compiler: making and stepping one imports `torch._dynamo`, more than a second.

Torch wraps `add_param_group`, `zero_grad`, `state_dict`, `load_state_dict` and most `step` methods for `torch.compile`,
and each wrapper imports it on its first call, compiled or not. Nothing else of a plain training step does (measured on
torch 2.13: forward, backward, `functional_call`, `vmap`, clipping, `_foreach_*`, autocast), but
`torch.use_deterministic_algorithms` and `torch.func.grad` do.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim import optimizer as internals

WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
CACHE = "__dynamo_disable"  # where torch/_compile.py keeps the function it calls in place of the wrapped one


@contextmanager
def without_compiler() -> Iterator[None]:
    """Inside, optimizers are made, extended, saved and loaded by the plain functions; outside, all is as it was."""
    opened: list[Any] = []
    if "torch._dynamo" not in sys.modules:
        functions = (getattr(getattr(Optimizer, name), "__wrapped__", None) for name in WRAPPED)
        opened = [function for function in functions if function is not None and not hasattr(function, CACHE)]
    for function in opened:
        setattr(function, CACHE, function)
    try:
        yield
    finally:
        for function in opened:
            delattr(function, CACHE)


def plain_step(optimizer: Optimizer) -> Callable[..., Any]:
    """The update of a torch optimizer without profiler and compiler around it: `step()` or `step(closure)`.

    Hooks of the optimizer are called as torch calls them. Where something else wants to see the step (hooks of all optimizers, a
    profiler, a patched `step`, a gradient through it) or the class is not torch's own, each call goes the official way.
    """
    update = _update(optimizer)

    def step(closure: Callable[[], Any] | None = None) -> Any:
        arguments = () if closure is None else (closure,)
        if update is None or _watched(optimizer):
            return optimizer.step(*arguments)
        given, named = _before(optimizer, (optimizer, *arguments), {})
        with torch.no_grad():
            told = update(*given, **named)
        for after in list(optimizer._optimizer_step_post_hooks.values()):
            after(optimizer, given, named)
        return told

    return step


def _before(
    optimizer: Optimizer, given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The optimizer's own hooks before a step; each may exchange the arguments, as torch allows it."""
    for hook in list(optimizer._optimizer_step_pre_hooks.values()):
        changed = hook(optimizer, given, named)
        if changed is not None:
            given, named = changed
    return given, named


def _update(optimizer: Optimizer) -> Callable[..., Any] | None:
    kind = type(optimizer)
    if not (kind.__module__ == "torch.optim" or kind.__module__.startswith("torch.optim.")):
        return None
    function: Any = kind.step
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function  # type: ignore[no-any-return]


def _watched(optimizer: Optimizer) -> bool:
    return bool(
        internals._global_optimizer_pre_hooks
        or internals._global_optimizer_post_hooks
        or "step" in optimizer.__dict__
        or optimizer.defaults.get("differentiable", False)
        or torch.autograd._profiler_enabled()  # type: ignore[attr-defined]
    )
