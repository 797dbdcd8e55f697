"""The probe of a program's loss, made once: a tool of the checks."""

import torch
from torch import Tensor

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.loss_probe import LossProbe
from tunesmith.doctor.preflight.seeing import look, main
from tunesmith.records.check import Inapplicable


def probe_of(bench: Bench) -> LossProbe:
    """The loss of an untouched copy, with the arguments of its first call. Raises `Inapplicable` where that call fails."""
    return bench.kept("probing.probe", lambda: _probe(bench))


def _probe(bench: Bench) -> LossProbe:
    seen = look(bench)
    probe = LossProbe(bench.twin().loss_fn, seen, seed=bench.seed)
    if probe.value(seen.outputs) is None:
        raise Inapplicable("the loss does not give one number for what the program gives it")
    return probe


def outputs_seen(bench: Bench) -> Tensor:
    """What the loss is given, as one tensor. Raises `Inapplicable` where there is none."""
    found = main(look(bench))
    if found is None or found.dim() == 0 or not torch.is_floating_point(found):
        raise Inapplicable("the outputs are no floating tensor with rows")
    return found
