"""Makes a training of embeddings ready for the loop that every other training runs in."""

from collections.abc import Sequence

import torch

from tunesmith.blocks import optim
from tunesmith.generative import preparing
from tunesmith.generative.embedding.findings import LOOKS, Case
from tunesmith.generative.embedding.judging import METRIC, EmbeddingJudge, TellsEmbeddings
from tunesmith.generative.embedding.learner import Learner
from tunesmith.generative.embedding.looks import LEAST, EmbeddingSight
from tunesmith.generative.embedding.task import Embedding
from tunesmith.generative.embedding.update import Agreeing
from tunesmith.generative.embedding.views import checked, view_of
from tunesmith.generative.gan.rows import RealRows
from tunesmith.generative.looking import seeded
from tunesmith.records import Recipe, RecipeError, Source, revise
from tunesmith.records.state import State
from tunesmith.training.guards import Guard, Probe, StopAtNonFinite
from tunesmith.training.loop import Plan
from tunesmith.training.precision import Precision
from tunesmith.training.rates import Rates
from tunesmith.training.resolve import horizon

FIRST = "first choice"
DEFAULTS = {  # what is "auto", and what it becomes
    "optim.name": ("adam", FIRST),
    "optim.lr": (1e-3, FIRST),
    "optim.weight_decay": (0.0, FIRST),
    "schedule.name": ("cosine", "Chen & He, arXiv:2011.10566, section 4.1"),
    "train.batch_size": (256, "Chen & He, arXiv:2011.10566, table 2"),
    "train.epochs": (50, FIRST),
    "train.patience": (None, "agreement has no end of its own"),
    "eval.metric": (METRIC, "of two views of held rows"),
}
USED = (  # the fields that a training of embeddings listens to
    *("data.val", "train.epochs", "train.steps", "train.batch_size", "train.seed", "train.device"),
    *("train.deterministic", "train.threads", "train.patience", "train.min_epochs", "eval.every", "eval.metric"),
    *("schedule.name", "schedule.warmup", "schedule.warmup_kind", "schedule.floor", "schedule.extra"),
    *("optim.name", "optim.lr", "optim.weight_decay", "optim.momentum", "optim.beta1", "optim.beta2", "optim.eps"),
    *("optim.clip_norm", "optim.clip_value", "optim.implementation", "optim.extra", "optim.decay_kind"),
)
OFTEN = 20 * LOOKS  # looks of a run, so that within its first tenth there is time to collapse and to be told of it
SEED = 1  # added to that of the run, for the views of the looks


def planned(task: Embedding, recipe: Recipe, guards: Sequence[Guard] = (), probes: Sequence[Probe] = ()) -> Plan:
    """The plan of a training; the caller has seeded the global generators, from which the nets draw their weights.

    Raises `DataError`, `ModelError` and `RecipeError` for what cannot train.
    """
    recipe = preparing.settled(recipe, DEFAULTS, USED, "a training of embeddings")
    if recipe.train.threads != "auto":
        torch.set_num_threads(int(recipe.train.threads))
    device = torch.device(recipe.train.device)
    rows, held = preparing.parts(task.data, task.held, recipe, device, LEAST)
    batch = int(recipe.train.batch_size)
    if not 2 <= batch <= len(rows):
        raise RecipeError(
            f"train.batch_size = {batch} with {len(rows)} rows; 2 or more and no more than the rows were expected"
        )
    view = view_of(task.view, rows, task.strength)
    with seeded(recipe.train.seed):
        checked(view, rows[:2])
    learner = Learner(task, rows[:2]).to(device)
    feed = RealRows(rows, batch, 1)
    steps, epochs = horizon(recipe, feed.updates())
    if recipe.eval.every is None:
        told = {"eval.every": Source("derived", f"{OFTEN} looks, {2 * LOOKS} of them in the first tenth")}
        recipe = revise(recipe, {"eval.every": max(1, steps // OFTEN)}, told)
    with optim.without_compiler():
        optimizer = optim.build(recipe, learner, float(recipe.optim.lr))
    if optim.needs_closure(optimizer) or optim.switches(optimizer):
        raise RecipeError(f"optim.name = {recipe.optim.name!r} needs a loss that can be asked again; take adam or sgd")
    update = Agreeing(task, learner, optimizer, view, steps, Precision("fp32", device))
    update.clip_norm, update.clip_value = recipe.optim.clip_norm, recipe.optim.clip_value
    sight = EmbeddingSight(held, view, blind=task.unseen(), seed=recipe.train.seed + SEED)
    case = Case(start=sight(learner.online, 0), blind=task.unseen(), spread=task.kept())
    because = "that of two views falls where nothing is learnt"
    return Plan(
        recipe=recipe,
        state=State(model=learner, optimizer=optimizer),
        feed=feed,
        update=update,
        rates=Rates(
            optimizer,
            preparing.schedule_of(recipe, steps, feed.updates(), batch, because),
            per_epoch=feed.updates(),
        ),
        judge=EmbeddingJudge(sight, case),
        steps=steps,
        epochs=epochs,
        patience=None if recipe.train.patience is None else int(recipe.train.patience),
        min_epochs=recipe.train.min_epochs,
        guards=(*guards, StopAtNonFinite(), TellsEmbeddings(case)),
        probes=probes,
    )
