"""registration: every weight of the model learns.

Does      thaws the parameters and gives the optimizer those it lacks; layers that are kept in a plain list or dict are registered first.
Mends     layers that stay as they were drawn.
Limits    a part that was frozen on purpose is thawed too: the scores decide.
Source    the experiment `all_registered`.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from tunesmith.doctor.causes.all_registered import left_out, taken_in
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.repair.surgery.catalogue import surgery


@surgery(
    "registration",
    faults=("optim.unregistered_params", "fit.underfit"),
    lines=lambda before, after, values: [
        "# layers in a list: nn.ModuleList([...]), in a dict: nn.ModuleDict({...})",
        "for parameter in model.parameters(): parameter.requires_grad_(True)",
        f"optimizer = torch.optim.{type(after.optimizer).__name__}(model.parameters(), …)  # last, over all of them",
    ],
    invariant=True,
)
def registration(case: Any) -> Iterator[Change]:
    program = case.bench.program
    if not isinstance(program.optimizer, torch.optim.Optimizer):
        return
    loose = list(_loose(program.model))
    if loose or left_out(program.model, program.optimizer):
        likely = max(0.5, case.suspected("optim.unregistered_params"))
        yield Change("every weight in the optimizer", likely, mend=_mend)


def _loose(model: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """Plain lists and dicts of modules, by their owner and name."""
    for owner in model.modules():
        for name, value in vars(owner).items():
            if name.startswith("_"):
                continue
            inside = list(value.values()) if isinstance(value, dict) else value
            if isinstance(inside, list | tuple) and inside and all(isinstance(one, nn.Module) for one in inside):
                yield owner, name, value


def _mend(bench: Bench, twin: Twin) -> bool:
    for owner, name, value in list(_loose(twin.model)):
        delattr(owner, name)
        named = isinstance(value, dict) and all(isinstance(key, str) for key in value)
        setattr(owner, name, nn.ModuleDict(value) if named else nn.ModuleList(value))
    return taken_in(bench, twin)
