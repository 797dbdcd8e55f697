"""`train_gan`: two players trained in the same run folder, with the same checkpoints, signals and reports as any other training."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import Recipe
from tunesmith.records.until import Until
from tunesmith.reports import Display
from tunesmith.verbs.fit import AnyRun
from tunesmith.verbs.unlabelled import Kind, train

if TYPE_CHECKING:
    from tunesmith.generative.gan.task import Gan
    from tunesmith.training.loop import Plan

GAN = Kind(
    name="gan",
    model="generator and discriminator",
    said="training of two players",
    title="samples",
    arrays="samples/made.npz",
    again="tunesmith.train_gan(gan, folder={folder!r}, resume=True)",
    scores=("coverage", "made_precision", "made_spread", "lost_mass"),
)


def train_gan(
    gan: "Gan",
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    folder: str | Path | None = None,
    resume: bool | int | AnyRun = False,
    until: int | str | Until | None = None,
    display: Display | None = None,
) -> AnyRun:
    """Trains a generator and a discriminator, and gives the run; `run.model(noise)` makes samples with the best weights.

    `gan` is a `tunesmith.Gan`: the players, the data, the rules of the game. The recipe is that of `fit`, as far as two players can
    use it: optim.*, schedule.*, train.steps or train.epochs (of the generator's updates), train.batch_size (samples for each
    player and step), train.ema (its average is what is looked at), eval.every, run.*. At each evaluation the samples are
    compared with held rows; best is the smallest kernel distance, and `collapse.mode` is told where modes stay away. `folder`,
    `resume` and `until` are those of `fit`: a resumed run is the run that never stopped, bit for bit.

    Raises `TunesmithError`s: bad input and settings (exit code 2), `TrainingFailed` and `StorageError` (3).
    """

    def planned(recipe: Recipe) -> "Plan":
        from tunesmith.generative.gan.plan import planned

        return planned(gan, recipe)

    return train(GAN, planned, gan.told, recipe, folder=folder, resume=resume, until=until, display=display)
