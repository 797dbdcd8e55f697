"""What a user brings to a training of two players; never altered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from tunesmith.generative.cures import CURES, Game
from tunesmith.generative.cures.gradient_penalty import WEIGHT, gradient_penalty, r1
from tunesmith.generative.gan.looks import Noise
from tunesmith.records import RecipeError, did_you_mean

GAMES = ("nonsaturating", "minimax", "hinge", "least_squares", "wasserstein")
Penalty = Callable[[nn.Module, Tensor, Tensor], Tensor]  # discriminator, real, made


@dataclass(frozen=True, slots=True, kw_only=True)
class Gan:
    """Two players, real rows and the rules of their game.

    `generator` and `discriminator` are `nn.Module`s or factories; `data` is an array or tensor (N, …) of real samples as the
    discriminator gets them, `held` further ones for the looks (else `data.val` of the rows are kept for them). `latent` is the width of
    N(0, 1) noise, or a function of how many to what the generator takes.

    `game`           a name of `GAMES`, or an object with `discriminator(real, made)` and `generator(made)`
    `penalty`        "gradient_penalty" or "r1" with `penalty_weight`, or a function of discriminator, real and made (packs)
    `critic_steps`   of the discriminator for each of the generator
    `clip_weights`   of the discriminator, after each of its steps
    `unroll`         steps of the discriminator that the generator looks ahead
    `pack`           samples that the discriminator judges together; its net takes so many times the columns or channels
    `spectral`       puts spectral norm into the discriminator
    `critic_rate`    the discriminator's learning rate over the generator's
    `features`       maps samples to what they are compared by at the looks

    Raises `RecipeError` for a rule that is none.
    """

    generator: nn.Module | Callable[[], nn.Module]
    discriminator: nn.Module | Callable[[], nn.Module]
    data: Any
    latent: int | Noise
    held: Any = None
    game: str | Game = "nonsaturating"
    penalty: str | Penalty | None = None
    penalty_weight: float = WEIGHT
    critic_steps: int = 1
    clip_weights: float | None = None
    unroll: int = 0
    pack: int = 1
    spectral: bool = False
    critic_rate: float = 1.0
    features: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.game, str) and self.game not in GAMES:
            raise RecipeError(f"no game called {self.game!r}{did_you_mean(self.game, GAMES)}")
        if isinstance(self.penalty, str) and self.penalty not in PENALTIES:
            raise RecipeError(f"no penalty called {self.penalty!r}{did_you_mean(self.penalty, PENALTIES)}")
        for name, least in (("critic_steps", 1), ("unroll", 0), ("pack", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise RecipeError(f"{name} = {value!r}: a whole number of {least} or more was expected")
        for name in ("critic_rate", "penalty_weight", "clip_weights"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise RecipeError(f"{name} = {value!r}: a number above 0 was expected")

    def rules(self) -> Game:
        """The game that is meant."""
        made: Game = CURES[self.game]() if isinstance(self.game, str) else self.game
        return made

    def slope_penalty(self) -> Penalty | None:
        """The penalty that is meant."""
        if isinstance(self.penalty, str):
            chosen, weight = PENALTIES[self.penalty], self.penalty_weight

            def penalised(discriminator: nn.Module, real: Tensor, made: Tensor) -> Tensor:
                value: Tensor = chosen(discriminator, real, made, weight)
                return value

            return penalised
        return self.penalty

    def told(self) -> dict[str, Any]:
        """The rules as plain data, for the run's folder and for a resume."""
        own = {name: getattr(self, name) for name in RULES}
        return {
            name: value if _plain(value) else getattr(value, "__qualname__", type(value).__name__)
            for name, value in own.items()
        }


def _r1(discriminator: nn.Module, real: Tensor, made: Tensor, weight: float) -> Tensor:
    value: Tensor = r1(discriminator, real, weight)
    return value


PENALTIES: dict[str, Callable[[nn.Module, Tensor, Tensor, float], Tensor]] = {
    "gradient_penalty": gradient_penalty,
    "r1": _r1,
}
RULES = (
    "game",
    "penalty",
    "penalty_weight",
    "critic_steps",
    "clip_weights",
    "unroll",
    "pack",
    "spectral",
    "critic_rate",
)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
