"""optimizer: the usual constants of the optimizer, or Adam.

Does      the same kind of optimizer with the library's defaults at its own rate; Adam with its defaults.
Mends     momentum, betas or an epsilon that do not fit; Adam also a rate that is off.
Limits    another optimizer finds another net: the scores decide.
Source    the experiment `default_optimizer`; Kingma & Ba, arXiv:1412.6980, algorithm 1.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith.doctor.repair.surgery.catalogue import of_experiment
from tunesmith.records import Program

SHOWN = ("lr", "momentum", "betas", "eps", "weight_decay", "alpha")


def _lines(before: Program, after: Program, values: Mapping[str, Any]) -> list[str]:
    group = after.optimizer.param_groups[0]
    told = ", ".join(f"{name}={group[name]!r}" for name in SHOWN if name in group)
    return [f"optimizer = torch.optim.{type(after.optimizer).__name__}(model.parameters(), {told})"]


of_experiment(
    "optimizer",
    "default_optimizer",
    also=("lr.too_high", "lr.too_low", "loss.oscillating", "loss.not_decreasing", "fit.underfit"),
    lines=_lines,
)
