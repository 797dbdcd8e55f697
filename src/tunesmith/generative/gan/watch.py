"""A watch over anybody's GAN loop: both losses, gradient norms, and looks at what the generator makes beside real rows."""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.generative.diary import Diary, Say, Watching, nonfinite, number
from tunesmith.generative.gan.findings import RANK, news
from tunesmith.generative.gan.looks import SAMPLES, Look, Noise, NotFinite, Sight, gaussian
from tunesmith.generative.looking import unchanged
from tunesmith.generative.points import tensor
from tunesmith.records import Finding, ModelError

ABOUT = {"kind": "gan", "model": "generator and discriminator"}
PLAYERS = ("generator", "discriminator")


class GanWatch(Watching):
    """Watches two players: `step(generator_loss, discriminator_loss)` after each update of the generator, `findings()` at any time.

    `real` are rows as the discriminator gets them, `held` further ones that it does not train on. `latent` is the width of N(0, 1)
    noise, or a function of how many to what the generator takes. `optimizers` (one or more) let it measure gradient norms at
    their steps. A look makes `samples` samples of noise that stays the same and compares them with as many real rows (by
    `features`, where given); it happens after each `every` updates, or, with `every=None`, as often as `overhead` of the time
    allows, `cost` being the share it has taken. `together` is how many samples the discriminator judges at once. Training is the same
    to the bit. `folder` gets a run that `report` and `diagnose` read; without one everything is in memory. `first_step` updates were
    made before: a run that the folder holds is then gone on with.

    Raises `DataError` for rows that do not fit, `ModelError` for a generator whose samples are of another form than the real rows,
    `RecipeError` for settings out of range.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        real: Any,
        latent: int | Noise,
        *,
        held: Any = None,
        optimizers: torch.optim.Optimizer | Iterable[torch.optim.Optimizer] = (),
        features: Callable[[Tensor], Tensor] | None = None,
        samples: int = SAMPLES,
        together: int = 1,
        every: int | None = None,
        overhead: float = 0.03,
        folder: str | Path | None = None,
        say: Say | None = None,
        seed: int = 0,
        first_step: int = 0,
    ) -> None:
        self.players = {"generator": generator, "discriminator": discriminator}
        place = next(generator.parameters(), torch.zeros(0))
        rows = [None if one is None else tensor(one, "real").to(place.device, place.dtype) for one in (real, held)]
        assert rows[0] is not None
        noise = gaussian(latent, place.device, place.dtype) if isinstance(latent, int) else latent
        self.sight = Sight(
            rows[0], noise, held=rows[1], features=features, samples=samples, together=together, seed=seed
        )
        self._check()
        self.looks: list[Look] = []
        self._diary = Diary(folder, ABOUT, every=every, overhead=overhead, say=say, first_step=first_step)
        self.run = self._diary.run
        self._diary.norms(optimizers, {"": generator, "discriminator": discriminator})

    def step(self, generator_loss: Any, discriminator_loss: Any) -> list[Finding]:
        """After an update of the generator: both losses. Gives what was found just now."""
        diary = self._diary
        diary.steps += 1
        losses = dict(zip(PLAYERS, (number(generator_loss), number(discriminator_loss)), strict=True))
        for player, value in losses.items():
            diary.add("loss", value, "" if player == "generator" else player)
        if "loss.nonfinite" in diary.found:
            return []  # from there on nothing is learnt
        broken = next((player for player, value in losses.items() if not math.isfinite(value)), None)
        if broken is not None:
            return diary.tell([nonfinite("gan.nonfinite", f"the loss of the {broken}", losses[broken], diary.steps)])
        return self.look() if diary.due() else []

    def look(self) -> list[Finding]:
        """Looks now, whatever the time; gives what was found that was not before."""
        diary = self._diary
        with diary.looking():
            try:
                look = self.sight(self.players["generator"], self.players["discriminator"], diary.steps)
            except NotFinite as error:
                return diary.tell([nonfinite("gan.nonfinite", "a sample of the generator", error.value, diary.steps)])
            self.looks.append(look)
            for name, value in look.signals().items():
                diary.add(name, value)
            assert self.sight.made is not None
            diary.writer.write_arrays("samples/made.npz", **shown(self.sight.real, self.sight.made))
            told = {fault: finding.message for fault, finding in diary.found.items() if finding.message in RANK}
            return diary.tell(news(self.looks, told))

    def _check(self) -> None:
        """Two samples before the first update, so that what does not fit is told at once."""
        real = self.sight.real
        with torch.no_grad(), unchanged(self.players["generator"]):
            made = self.players["generator"](self.sight.noise[:2])
        if made.shape[1:] != real.shape[1:]:
            raise ModelError(
                f"the generator makes samples of shape {tuple(made.shape[1:])}, the real rows have {tuple(real.shape[1:])}; give "
                "rows as the discriminator gets them"
            )


def shown(real: Tensor, made: Tensor, most: int = 500) -> Mapping[str, Any]:
    """Some of both, as the report draws them."""
    return {name: rows[:most].float().cpu().numpy() for name, rows in (("real", real), ("made", made))}
