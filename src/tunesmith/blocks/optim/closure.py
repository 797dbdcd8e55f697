"""Which optimizers compute the loss again inside their step."""

import inspect

from torch.optim import Optimizer


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether `step` must be given a closure: LBFGS, SAM, or any whose first argument has no default."""
    if hasattr(optimizer, "first_step") and hasattr(
        optimizer, "second_step"
    ):  # the widespread SAM: closure=None, asserted
        return True
    parameters = list(inspect.signature(type(optimizer).step).parameters.values())[1:]
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return any(each.default is inspect.Parameter.empty and each.kind not in fixed for each in parameters)
