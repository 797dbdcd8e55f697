"""One update of two players: the discriminator's steps on fresh samples, then the generator's.

Both are moved by one optimizer, which holds the moments of each parameter apart and leaves alone what has no gradient: while one
player steps, the other has none. So it is two optimizers with one state, which every checkpoint knows how to keep.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks.losses.loss import Reduced
from tunesmith.blocks.optim import plain_step
from tunesmith.generative.cures.packing import Packed, pack
from tunesmith.generative.cures.unrolled import unrolled
from tunesmith.generative.cures.wasserstein import clip_weights
from tunesmith.generative.gan.looks import Noise
from tunesmith.generative.gan.task import Gan
from tunesmith.records import Signal
from tunesmith.records.state import State
from tunesmith.training.batch import Window
from tunesmith.training.clipping import Clipped, Clipping, global_norm, gradients
from tunesmith.training.precision import Precision
from tunesmith.training.update import Gradient


class Players(nn.Module):
    """Generator and discriminator as one module, so that one state holds both; called, it makes samples of noise."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, pack: int = 1) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator: nn.Module = Packed(discriminator, pack) if pack > 1 else discriminator

    def forward(self, noise: Any) -> Tensor:
        made: Tensor = self.generator(noise)
        return made


@dataclass(frozen=True)
class GeneratorLoss:
    """The generator's loss of scores of made samples, as the loop knows losses."""

    rule: Callable[[Tensor], Tensor]
    name: str
    opaque: bool = False
    couples: bool = True
    additive: bool = False

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        return Reduced(self.rule(outputs) * len(outputs), float(len(outputs)))


class Turns(Clipped):
    """Updates the players in turn; what it measures of the discriminator waits in `signals`."""

    def __init__(
        self, gan: Gan, players: Players, optimizer: torch.optim.Optimizer, noise: Noise, precision: Precision
    ) -> None:
        self.gan, self.players, self.optimizer, self.noise = gan, players, optimizer, noise
        self.game, self.penalty = gan.rules(), gan.slope_penalty()
        self.precision = precision
        self.clipping = Clipping()
        self.loss = GeneratorLoss(self.game.generator, type(self.game).__name__)
        self.signals: dict[str, Tensor] = {}
        self._step = plain_step(optimizer)

    def __call__(
        self, state: State, window: Window, permit: Callable[[State, Gradient], bool]
    ) -> tuple[Gradient, bool]:
        """The discriminator steps once for each batch of the window, the generator once; `permit` is asked before the last.

        Returns the generator's loss and gradient norm, and whether its step was made.
        """
        for batch in window:
            self._judge(state, batch.inputs)
        gradient = self._make(state, window[-1].inputs)
        made = permit(state, gradient)
        if made:
            self._step()
            self.clipping.note(state, gradient.norm)
        self._clear()
        return gradient, made

    def _judge(self, state: State, real: Tensor) -> None:
        """One step of the discriminator."""
        self._clear()
        judge = self.players.discriminator
        with torch.no_grad():
            made = self.players.generator(self.noise(len(real)))
        loss = self.game.discriminator(judge(real), judge(made))
        whole = loss if self.penalty is None else loss + self._penalised(real, made)
        torch.autograd.backward(whole)
        found = gradients(judge.parameters())
        norm = global_norm(found)
        self.clipping(state, found, norm)
        self._step()
        if self.gan.clip_weights is not None:
            clip_weights(judge, self.gan.clip_weights)
        self.signals = {"loss": whole.detach(), "grad_norm": norm.detach()}

    def _penalised(self, real: Tensor, made: Tensor) -> Tensor:
        """The penalty at what the discriminator's net sees: samples, or packs of them."""
        judge = self.players.discriminator
        assert self.penalty is not None
        if isinstance(judge, Packed):
            return self.penalty(judge.discriminator, pack(real, judge.together), pack(made, judge.together))
        return self.penalty(judge, real, made)

    def _make(self, state: State, real: Tensor) -> Gradient:
        """Gradients of the generator, at the discriminator as it is or as it will be."""
        self._clear()
        judge, made = self.players.discriminator, self.players.generator(self.noise(len(real)))
        if self.gan.unroll:
            ahead = unrolled(
                judge, lambda at: self.game.discriminator(at(real), at(made)), self.optimizer, self.gan.unroll
            )
            loss = self.game.generator(ahead(made))
            moved = [one for one in self.players.generator.parameters() if one.requires_grad]
            slopes = torch.autograd.grad(loss, moved, allow_unused=True)
            for parameter, slope in zip(moved, slopes, strict=True):
                parameter.grad = slope
        else:
            with fixed(judge):
                loss = self.game.generator(judge(made))
                torch.autograd.backward(loss)
        found = gradients(self.players.generator.parameters())
        norm = global_norm(found)
        self.clipping(state, found, norm)
        return Gradient(loss.detach(), norm, float(len(made)))

    def _clear(self) -> None:
        for parameter in self.players.parameters():
            parameter.grad = None


class DiscriminatorProbe:
    """The discriminator's loss and gradient norm, where `where` is "discriminator"."""

    def __init__(self, turns: Turns, every: int) -> None:
        self.turns, self.every = turns, every

    def __call__(self, state: State) -> Iterator[Signal]:
        for name, value in self.turns.signals.items():
            yield Signal(name=name, value=value.item(), step=state.step, where="discriminator")


@contextmanager
def fixed(net: nn.Module) -> Iterator[None]:
    """Inside, the weights of a net get no gradient."""
    moved = [one for one in net.parameters() if one.requires_grad]
    for parameter in moved:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moved:
            parameter.requires_grad_(True)
