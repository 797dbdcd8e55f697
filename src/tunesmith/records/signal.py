"""The unit of observation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One measured number: what, how much, when, where."""

    name: str  # "loss", "grad_norm", "dead_fraction"
    value: float
    step: int  # optimizer steps taken when it was measured
    where: str = ""  # a parameter, layer, class or split; "" is the whole run
