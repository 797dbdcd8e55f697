"""Recovery as the recipe asks for it."""

import torch
from torch import Tensor

from tunesmith.blocks.losses import Loss
from tunesmith.records import Recipe
from tunesmith.training.dryrun import Trial
from tunesmith.training.feeds import Feed, LoaderFeed
from tunesmith.training.guards import StopAtNonFinite
from tunesmith.training.ranks.ranks import Ranks
from tunesmith.training.recovery.beginning import Beginning
from tunesmith.training.recovery.bounds import IGNORED, Bounds
from tunesmith.training.recovery.coupling import few, refusal
from tunesmith.training.recovery.cutting import Cutting
from tunesmith.training.recovery.held import Held
from tunesmith.training.recovery.ladder import Situation
from tunesmith.training.recovery.memo import Memo
from tunesmith.training.recovery.memory import Memory
from tunesmith.training.recovery.nonfinite import SkipNonFinite
from tunesmith.training.recovery.on_the_cpu import NamesOperation
from tunesmith.training.recovery.recovery import Recovery
from tunesmith.training.recovery.returning import Returning
from tunesmith.training.recovery.spikes import Spikes
from tunesmith.training.recovery.wild import SkipWild
from tunesmith.training.update import Update


def chosen_recovery(
    recipe: Recipe, update: Update, trial: Trial, kind: str, feed: Feed, ranks: Ranks | None = None
) -> Recovery | None:
    """The parts of recovery, update and feed told of them; None where the recipe switches it off. `kind` is that of the task."""
    if recipe.train.recover == "off":
        return None
    device, model = update.precision.device, update.model
    memo, cutting, rows = Memo(), Cutting(), few(trial.batch)
    situation = Situation(
        recipe=recipe,
        device=device.type,
        tokens=_tokens(trial),
        weights=sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        coupled=any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules()),
    )
    update.cutting = cutting
    held, bounds = Held(), bounds_of(update.loss, trial, kind)
    if isinstance(feed, LoaderFeed):
        feed.bounds = bounds
    memory = Memory(update, memo, cutting, situation, lambda: refusal(model, update.loss, rows))
    memory.ranks = ranks
    returning = Returning(model, memo, recipe.train.returns)
    return Recovery(
        memo=memo,
        memory=memory,
        beginning=Beginning(model, device),
        cutting=cutting,
        held=held,
        names=NamesOperation(update, held, lambda: getattr(feed, "on_host", None), bounds),
        spikes=Spikes(),
        nonfinite=SkipNonFinite(StopAtNonFinite(), memo, recipe.train.skips, returning),
        wild=SkipWild(update, memo, recipe.train.skips, returning),
        returning=returning,
        every=recipe.train.snapshot_every,
        device=device,
    )


def bounds_of(loss: Loss, trial: Trial, kind: str) -> Bounds:
    """What labels and indices may be; nothing is said of labels where the loss is one's own."""
    labelled = kind in ("multiclass", "binary", "language") and trial.width > 1 and not loss.opaque
    ignored = getattr(loss, "ignore_index", getattr(loss, "_ignore_index", IGNORED))
    return Bounds(trial.width if labelled else None, IGNORED if ignored is None else int(ignored), trial.tables)


def _tokens(trial: Trial) -> int:
    """The length of the longest sequence among the inputs tried; 0 where they hold no tokens."""
    inputs = trial.batch.inputs
    for value in inputs.values() if isinstance(inputs, dict) else [inputs]:
        if isinstance(value, Tensor) and value.dim() == 2 and not value.is_floating_point():
            return int(value.shape[1])
    return 0
