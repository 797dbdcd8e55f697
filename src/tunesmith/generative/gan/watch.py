"""A watch over anybody's GAN loop: both losses, gradient norms, and looks at what the generator makes beside real rows."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from tunesmith.generative.gan.findings import RANK, news
from tunesmith.generative.gan.looks import SAMPLES, Look, Noise, NotFinite, Sight, gaussian
from tunesmith.generative.looking import unchanged
from tunesmith.generative.points import tensor
from tunesmith.records import Evidence, Finding, ModelError, Recipe, RecipeError
from tunesmith.runs import MemoryWriter, Run, RunWriter, Status

Say = Callable[[Finding, int], None]  # a finding, and the update after which it was made
ABOUT = {"kind": "gan", "model": "generator and discriminator"}
PLAYERS = ("generator", "discriminator")


class GanWatch:
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
        if not 0 < overhead < 1 or (every is not None and every < 1):
            raise RecipeError(
                f"every = {every!r}, overhead = {overhead!r}: updates of 1 or more and a share between 0 and 1 were expected"
            )
        self.players = {"generator": generator, "discriminator": discriminator}
        place = next(generator.parameters(), torch.zeros(0))
        rows = [None if one is None else tensor(one, "real").to(place.device, place.dtype) for one in (real, held)]
        assert rows[0] is not None
        noise = gaussian(latent, place.device, place.dtype) if isinstance(latent, int) else latent
        self.sight = Sight(
            rows[0], noise, held=rows[1], features=features, samples=samples, together=together, seed=seed
        )
        self._check()
        self.every, self.overhead = every, overhead
        self.looks: list[Look] = []
        self.steps = first_step
        self._say = say
        self._found: dict[str, Finding] = {}
        self._looked = self._spent = 0.0  # seconds: the latest look, all of them
        self._began = time.monotonic()
        self.run: Run | MemoryWriter
        self._writer: RunWriter | MemoryWriter
        if folder is None:
            self._writer = self.run = MemoryWriter(info=ABOUT)
        else:
            held_there = first_step > 0 and (Path(folder) / "run.json").is_file()
            self.run = (
                Run(folder)
                if held_there
                else Run.create(folder, recipe=Recipe(), info=ABOUT | {"title": Path(folder).name})
            )
            self._writer = self.run.writer()
        self._writer.__enter__()
        self._writer.begin_attempt(first_step, self._writer.mark())
        given = [optimizers] if isinstance(optimizers, torch.optim.Optimizer) else list(optimizers)
        self._hooks = [one.register_step_pre_hook(self._stepping) for one in given]

    def step(self, generator_loss: Any, discriminator_loss: Any) -> list[Finding]:
        """After an update of the generator: both losses. Gives what was found just now."""
        self.steps += 1
        losses = dict(zip(PLAYERS, (number(generator_loss), number(discriminator_loss)), strict=True))
        for player, value in losses.items():
            self._writer.add("loss", [self.steps], [value], "" if player == "generator" else player)
        if "loss.nonfinite" in self._found:
            return []  # from there on nothing is learnt
        broken = next((player for player, value in losses.items() if not math.isfinite(value)), None)
        if broken is not None:
            return self._tell([_nonfinite(f"the loss of the {broken}", losses[broken], self.steps)])
        return self.look() if self._due() else []

    def look(self) -> list[Finding]:
        """Looks now, whatever the time; gives what was found that was not before."""
        began = time.monotonic()
        try:
            look = self.sight(self.players["generator"], self.players["discriminator"], self.steps)
        except NotFinite as error:
            return self._tell([_nonfinite("a sample of the generator", error.value, self.steps)])
        self.looks.append(look)
        for name, value in look.signals().items():
            self._writer.add(name, [self.steps], [value])
        assert self.sight.made is not None
        self._writer.write_arrays("samples/made.npz", **shown(self.sight.real, self.sight.made))
        told = {fault: finding.message for fault, finding in self._found.items() if finding.message in RANK}
        found = self._tell(news(self.looks, told))
        self._looked = time.monotonic() - began
        self._spent += self._looked
        return found

    def findings(self) -> list[Finding]:
        """What stands: each fault as it was told last, without what was taken back."""
        return [one for one in self._found.values() if one.status != "refuted"]

    @property
    def cost(self) -> float:
        """The share of the time since the beginning that looks have taken."""
        return self._spent / max(time.monotonic() - self._began, 1e-9)

    def close(self, status: Status = "finished") -> None:
        """Ends the watch; what was written stays readable."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        if self.run.status == "running":
            self._writer.set_status(status, watch_share=self.cost)
            self._writer.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close("finished" if error is None else "failed" if isinstance(error, Exception) else "interrupted")

    def _due(self) -> bool:
        if self.every is not None:
            return self.steps % self.every == 0
        return self._spent + self._looked <= self.overhead * (time.monotonic() - self._began)

    def _tell(self, found: list[Finding]) -> list[Finding]:
        """Writes down and says what is new."""
        for finding in found:
            self._writer.finding(finding, self.steps)
            if self._say is not None:
                self._say(finding, self.steps)
            self._found[finding.fault] = finding
        return found

    def _stepping(self, optimizer: torch.optim.Optimizer, given: Any, named: Any) -> None:
        """Before a step: the gradient norm of the player that it moves."""
        moved = {id(one) for group in optimizer.param_groups for one in group["params"] if one.grad is not None}
        for player, net in self.players.items():
            norms = [one.grad.norm() for one in net.parameters() if id(one) in moved and one.grad is not None]
            if norms:
                value = torch.linalg.vector_norm(torch.stack(norms)).item()
                self._writer.add("grad_norm", [self.steps + 1], [value], "" if player == "generator" else player)

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


def number(loss: Any) -> float:
    """A loss as a number, whether it still holds its graph or not."""
    return float(loss.detach() if isinstance(loss, Tensor) else loss)


def shown(real: Tensor, made: Tensor, most: int = 500) -> Mapping[str, Any]:
    """Some of both, as the report draws them."""
    return {name: rows[:most].float().cpu().numpy() for name, rows in (("real", real), ("made", made))}


def _nonfinite(what: str, value: float, step: int) -> Finding:
    return Finding(
        fault="loss.nonfinite",
        severity="error",
        message="gan.nonfinite",
        values={"what": what, "value": value, "step": step},
        evidence=(Evidence(name="loss", value=value, step=step),),
        status="confirmed",
        subject={"steps": [step]},
    )
