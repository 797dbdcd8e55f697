"""Makes a training of two players ready for the loop that every other training runs in."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks import optim
from tunesmith.blocks.optim.averaging import WeightAverage
from tunesmith.generative import preparing
from tunesmith.generative.cures.spectral_norm import spectral_norm
from tunesmith.generative.gan.judging import METRIC, SampleJudge, TellsLooks
from tunesmith.generative.gan.looks import SAMPLES, Sight, gaussian
from tunesmith.generative.gan.rows import RealRows
from tunesmith.generative.gan.task import Gan
from tunesmith.generative.gan.turns import DiscriminatorProbe, Players, Turns
from tunesmith.generative.looking import unchanged
from tunesmith.generative.measures.lost_mass import LEAST
from tunesmith.records import ModelError, Recipe, RecipeError, Source, revise
from tunesmith.records.state import State
from tunesmith.training.guards import Guard, Probe, StopAtNonFinite
from tunesmith.training.loop import Plan
from tunesmith.training.precision import Precision
from tunesmith.training.rates import Rates
from tunesmith.training.resolve import horizon

DCGAN = "Radford et al., arXiv:1511.06434, section 4"
DEFAULTS = {  # what is "auto", and what it becomes
    "optim.name": ("adam", DCGAN),
    "optim.lr": (2e-4, DCGAN),
    "optim.weight_decay": (0.0, DCGAN),
    "schedule.name": ("constant", DCGAN),
    "train.batch_size": (128, DCGAN),
    "train.epochs": (25, "first choice"),
    "train.patience": (None, "a game has no end of its own"),
    "eval.metric": (METRIC, "of made and held samples"),
}
USED = (  # the fields that a training of two players listens to
    *("data.val", "train.epochs", "train.steps", "train.batch_size", "train.ema", "train.seed", "train.device"),
    *("train.deterministic", "train.threads", "train.patience", "train.min_epochs", "eval.every", "eval.metric"),
    *("schedule.name", "schedule.warmup", "schedule.warmup_kind", "schedule.floor", "schedule.extra"),
    *("optim.name", "optim.lr", "optim.weight_decay", "optim.momentum", "optim.beta1", "optim.beta2", "optim.eps"),
    *("optim.clip_norm", "optim.clip_value", "optim.implementation", "optim.extra", "optim.decay_kind"),
)
SEED = 1  # added to that of the run, for the noise of the looks


def settled(recipe: Recipe) -> Recipe:
    """The recipe without "auto". Raises `RecipeError` for a field that was set and that a training of two players has no use for."""
    found = preparing.settled(recipe, DEFAULTS, USED, "a training of two players")
    if recipe.source("optim.beta1").kind == "default" and recipe.optim.beta1 != 0.5:
        found = revise(found, {"optim.beta1": 0.5}, {"optim.beta1": Source("derived", DCGAN)})
    return found


def planned(gan: Gan, recipe: Recipe, guards: Sequence[Guard] = (), probes: Sequence[Probe] = ()) -> Plan:
    """The plan of a training; the caller has seeded the global generators, from which the nets draw their weights.

    Raises `DataError`, `ModelError` and `RecipeError` for what cannot train.
    """
    recipe = settled(recipe)
    if recipe.train.threads != "auto":
        torch.set_num_threads(int(recipe.train.threads))
    device = torch.device(recipe.train.device)
    rows, held = parts(gan, recipe, device)
    players = Players(preparing.made(gan.generator, "a player"), _judge(gan), gan.pack).to(device)
    noise = gaussian(gan.latent, device) if isinstance(gan.latent, int) else gan.latent
    batch = int(recipe.train.batch_size)
    if batch % gan.pack or batch > len(rows):
        raise RecipeError(
            f"train.batch_size = {batch} with {gan.pack} samples judged together and {len(rows)} rows; a multiple of {gan.pack} "
            "and no more than the rows were expected"
        )
    check(players, noise, rows, gan.pack)
    feed = RealRows(rows, batch, gan.critic_steps)
    steps, epochs = horizon(recipe, feed.updates())
    optimizer = shared(recipe, players, gan.critic_rate)
    turns = Turns(gan, players, optimizer, noise, Precision("fp32", device))
    turns.clip_norm, turns.clip_value = recipe.optim.clip_norm, recipe.optim.clip_value
    average = None if recipe.train.ema is None else WeightAverage(players, recipe.train.ema)
    sight = Sight(
        rows, noise, held=held, features=gan.features, samples=SAMPLES, together=gan.pack, seed=recipe.train.seed + SEED
    )
    return Plan(
        recipe=recipe,
        state=State(model=players, optimizer=optimizer, average=average),
        feed=feed,
        update=turns,
        rates=Rates(
            optimizer,
            preparing.schedule_of(recipe, steps, feed.updates(), batch, "a game has none that falls"),
            per_epoch=feed.updates(),
        ),
        judge=SampleJudge(sight),
        steps=steps,
        epochs=epochs,
        patience=None if recipe.train.patience is None else int(recipe.train.patience),
        min_epochs=recipe.train.min_epochs,
        guards=(*guards, StopAtNonFinite(), TellsLooks()),
        probes=(*probes, DiscriminatorProbe(turns, recipe.run.log_every)),
    )


def parts(gan: Gan, recipe: Recipe, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows to compare with: those given, or a share of the data drawn by the seed."""
    return preparing.parts(gan.data, gan.held, recipe, device, LEAST)


def shared(recipe: Recipe, players: Players, critic_rate: float) -> torch.optim.Optimizer:
    """The recipe's optimizer over both, each with its rate."""
    rate = float(recipe.optim.lr)
    if critic_rate != 1.0:
        recipe = revise(
            recipe, {"optim.rates": {"discriminator.*": critic_rate}}, Source("derived", "critic_rate of the task")
        )
    with optim.without_compiler():
        made = optim.build(recipe, players, rate)
    if optim.needs_closure(made) or optim.switches(made):
        raise RecipeError(
            f"optim.name = {recipe.optim.name!r} cannot step two players in turn; take adam, rmsprop or sgd"
        )
    return made


def check(players: Players, noise: Any, rows: Tensor, pack: int) -> None:
    """One small batch through both. Raises `ModelError` where the forms do not fit."""
    with torch.no_grad(), unchanged(players):
        samples = players(noise(2 * pack))
        if samples.shape[1:] != rows.shape[1:]:
            raise ModelError(
                f"the generator makes samples of shape {tuple(samples.shape[1:])}, the data have {tuple(rows.shape[1:])}; one shape was expected"
            )
        scores = players.discriminator(rows[: 2 * pack])
    if scores.numel() != 2:
        raise ModelError(
            f"the discriminator gave scores of shape {tuple(scores.shape)} for {2 * pack} samples, {pack} judged together; two scores "
            "were expected"
        )


def _judge(gan: Gan) -> nn.Module:
    found = preparing.made(gan.discriminator, "a player")
    return spectral_norm(found) if gan.spectral else found
