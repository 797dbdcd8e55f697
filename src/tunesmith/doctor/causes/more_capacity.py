"""more_capacity: the net cannot hold what there is to learn.

Sees      a plain net of decent size in place of the program's own, trained by the program's optimizer on the same rows in the same order.
Matters   no rate and no number of epochs makes a net say what it cannot hold.
Remedies  a wider or deeper net, four times the width to begin with.
Limits    where the net squeezes rows through one or two numbers it is likely; else whatever is wrong inside the net is exchanged with it, so
          this cure counts only where no other does.
Source    Karpathy, A Recipe for Training Neural Networks (2019), "overfit"; vocabulary of model.too_small.
"""

from collections.abc import Iterator

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.capacity import bottlenecks, reference_net
from tunesmith.doctor.preflight.trace import tensors_in
from tunesmith.records.check import Inapplicable

SMALL = (
    1.0  # weights by a number of the inputs and root of the rows: a net below is hardly more than linear; assumption
)


@experiment("more_capacity", faults=("model.too_small",), remedy="remedy.loop_wider")
def more_capacity(case: Case) -> Iterator[Change]:
    if case.trouble.kind not in ("short", "none") or case.trouble.measure != "training score":
        return
    narrow = bottlenecks(case.bench.program.model)
    likely = max(0.6 if narrow else 0.1, case.suspected("model.too_small", "model.missing_nonlinearity"))
    numbers = sum(each.numel() for each in tensors_in(case.bench.batch(1, "capacity").inputs))
    weights = sum(each.numel() for each in case.bench.program.model.parameters())
    few = weights < SMALL * numbers * len(case.bench.train) ** 0.5
    sure = bool(narrow) or few
    yield Change("a plain net of decent size", likely, mend=_wider, values={"weights": weights}, sure=sure)


def _wider(bench: Bench, twin: Twin) -> bool:
    try:
        made = reference_net(bench, bench.batch(1000, "courses"))
    except Inapplicable:
        return False
    weights = [each for each in made.model.parameters() if each.requires_grad]
    groups = twin.optimizer.param_groups
    kept = {name: value for name, value in groups[0].items() if name != "params"}
    twin.model = made.model
    twin.names = {id(parameter): name for name, parameter in made.model.named_parameters()}
    twin.optimizer = type(twin.optimizer)([{"params": weights} | kept])
    if twin.scheduler is not None:
        twin.scheduler.optimizer = twin.optimizer
        for name in ("base_lrs", "schedules", "lr_lambdas"):  # of the one group that is left
            if isinstance(held := getattr(twin.scheduler, name, None), list):
                setattr(twin.scheduler, name, held[:1])
    return True
