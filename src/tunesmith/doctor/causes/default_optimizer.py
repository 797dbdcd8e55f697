"""default_optimizer: momentum, betas, epsilon or the kind of optimizer do not fit.

Sees      the program trained by its own kind of optimizer with torch's defaults at its own rate, and by Adam with its defaults.
Matters   a momentum of 0.999 rings for hundreds of updates; an epsilon above the gradient takes the rate away.
Remedies  the defaults of the library, then one at a time.
Limits    Adam with its defaults also mends a rate that is off, so that cure is told after those of the rate.
Source    Kingma & Ba, arXiv:1412.6980, algorithm 1; vocabulary of optim.bad_hyperparameters.
"""

from collections.abc import Iterator

from tunesmith.blocks.optim import needs_closure
from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight.courses import Variation
from tunesmith.doctor.preflight.short_run import odd


@experiment("default_optimizer", faults=("optim.bad_hyperparameters",), remedy="remedy.loop_usual_optimizer")
def default_optimizer(case: Case) -> Iterator[Change]:
    optimizer = case.bench.program.optimizer
    if needs_closure(optimizer) or not hasattr(optimizer, "param_groups"):
        return
    suspicion = case.suspected("optim.bad_hyperparameters")
    strange = odd(optimizer)
    if strange or suspicion:
        name = "usual settings of the optimizer"
        yield Change(name, max(0.6 if strange else 0.1, suspicion), Variation(name, optimizer="defaults"))
    name = "Adam with its defaults"
    yield Change(
        name, 0.08, Variation(name, optimizer="adam"), recipe={"optim.name": "adam", "optim.lr": 1e-3}, sure=False
    )
