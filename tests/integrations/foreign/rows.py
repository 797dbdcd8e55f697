"""What the tests of the foreign trainers share: rows to learn, a net, and looks at what a watch leaves behind."""

import torch
from torch import nn

from tunesmith.runs.readers import read_log

_draw = torch.Generator().manual_seed(0)
X = torch.randn(600, 10, generator=_draw)
Y = (X @ torch.randn(10, 3, generator=_draw)).argmax(1)
TRAIN, BATCH, EPOCHS = 400, 32, 4
STEPS = -(-TRAIN // BATCH) * EPOCHS


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 3))


def equal(one: nn.Module, other: nn.Module) -> bool:
    """Bit for bit."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def hooks_on(module: nn.Module, *optimizers: torch.optim.Optimizer) -> int:
    """Hooks left on a model and its optimizers; a trainer has some of its own."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    on_modules = sum(len(getattr(part, kind)) for part in module.modules() for kind in kinds)
    kinds = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    on_tensors = sum(len(parameter._backward_hooks or ()) for parameter in module.parameters())
    return on_modules + on_tensors + sum(len(getattr(one, kind)) for one in optimizers for kind in kinds)


def run_in(folder):
    """The history of a run folder, as `tunesmith diagnose FOLDER` reads it."""
    (history,) = read_log(folder)
    return history


def faults(findings, *severities):
    return [finding.fault for finding in findings if not severities or finding.severity in severities]
