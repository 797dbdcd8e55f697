"""Schedule-free optimizers, from the package `schedulefree` of their authors. Defazio et al., arXiv:2405.15682.

y = (1 - β) z + β x is where gradients are taken, z ← z - lr g, x ← (1 - c) x + c z with c = w / Σ w is what is
evaluated: `train()` and `eval()` put y or x into the model. The rate stays constant after its warm-up
(`schedule.warmup`); batch-norm statistics have to be those at x. A step leaves the gradients changed: it works in them.
"""

from collections.abc import Iterable
from types import ModuleType

from torch.optim import Optimizer

from tunesmith.blocks.optim import OPTIMIZERS
from tunesmith.blocks.optim.member import Groups
from tunesmith.blocks.optim.native import Native
from tunesmith.records import MissingExtra, Recipe

EXTRA = "optimizers"


class ScheduleFree:
    """A class of the package under our name; in `optim.extra` what it takes: `r`, `weight_lr_power`, `warmup_steps`.

    Use: where the length of a run is not known beforehand; rates are larger than with a schedule (1.0 for SGD, 0.0025
    for AdamW are the authors').
    """

    sparse = False
    dense = True

    def __init__(self, name: str, kind: str, fields: tuple[str, ...], rate: float) -> None:
        self.name, self.kind, self.rate = name, kind, rate
        self._fields = fields

    def weight_decay(self, recipe: Recipe) -> float:
        return 0.0

    def fields(self, recipe: Recipe) -> Iterable[str]:
        return self._fields

    def __call__(self, parts: Groups, lr: float, recipe: Recipe) -> Optimizer:
        optimizer = Native(getattr(imported(), self.kind), self.name)(parts, lr, recipe)
        optimizer.train()  # type: ignore[attr-defined]  # it begins in evaluation mode
        return optimizer


def imported() -> ModuleType:
    """The package. Raises `MissingExtra` where it is absent."""
    try:
        import schedulefree
    except ImportError as error:
        raise MissingExtra(
            f"schedule-free optimizers need the package schedulefree, which is not here ({error}); pip install "
            f"'tunesmith[{EXTRA}]'"
        ) from error
    module: ModuleType = schedulefree
    return module


ADAM = ("weight_decay", "beta1", "beta2", "eps")
for _member in (
    ScheduleFree("schedulefree_sgd", "SGDScheduleFree", ("momentum", "weight_decay"), 1.0),
    ScheduleFree("schedulefree_adamw", "AdamWScheduleFree", ADAM, 0.0025),
    ScheduleFree("schedulefree_radam", "RAdamScheduleFree", ADAM, 0.0025),
):
    OPTIMIZERS.add(_member.name)(_member)
