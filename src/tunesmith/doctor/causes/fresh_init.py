"""fresh_init: the weights start at a scale at which the net does not learn.

Sees      the program trained from weights drawn anew, by the rule of the activation that follows each layer and by the defaults of torch.
Matters   signals or gradients grow or vanish through the layers, or units start alike or asleep.
Remedies  draw the weights by He's or Glorot's rule, biases at 0.
Limits    a pretrained net loses what it knows, so the change cures nothing there.
Source    He et al., arXiv:1502.01852, section 2.2; Glorot & Bengio, AISTATS 2010.
"""

from collections.abc import Iterator

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.first_signals import redrawn


@experiment("fresh_init", faults=("init.bad_scale",), remedy="signals.redraw")
def fresh_init(case: Case) -> Iterator[Change]:
    if case.bench.task is not None and not case.suspected("init.bad_scale"):
        return  # Tunesmith's own net has drawn its weights by rule
    suspicion = case.suspected("init.bad_scale", "act.dead_relu", "act.saturated", "grad.vanishing", "grad.exploding")
    yield Change("weights drawn anew", max(0.2, suspicion), mend=_redrawn, recipe={"model.init": "auto"})
    yield Change("weights as torch draws them", max(0.1, 0.5 * suspicion), mend=_reset)


def _redrawn(bench: Bench, twin: Twin) -> bool:
    return redrawn(twin, bench.batch(256, "signals"))


def _reset(bench: Bench, twin: Twin) -> bool:
    drawn = [getattr(one, "reset_parameters", None) for one in twin.model.modules()]
    for draw in filter(callable, drawn):
        draw()
    return any(map(callable, drawn))
