"""What a user brings to a training of embeddings; never altered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from tunesmith.generative.cures import CURES
from tunesmith.generative.cures.byol import START
from tunesmith.generative.embedding.looks import LOSES, View
from tunesmith.records import RecipeError, did_you_mean

SIDED = ("simsiam", "byol")  # rules of predictions and what they are to agree with
BLIND: Mapping[str, tuple[str, ...]] = {  # what each rule does not see of an embedding
    "simsiam": ("length",),
    "byol": ("length",),
    "vicreg": ("offset",),
    "barlow_twins": ("length", "offset"),
    "info_nce": ("length",),
    "alignment_uniformity": ("length",),
}
RULES = tuple(BLIND)
Rule = Callable[[Tensor, Tensor], Tensor]  # embeddings of both views to a loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """An encoder, rows without labels, and the rule by which two views of a row are to agree.

    `encoder` is an `nn.Module` or a factory that maps rows to (N, …); `data` an array or tensor (N, …), `held` further rows for the
    looks (else `data.val` of the rows are kept for them).

    `rule`           a name of `RULES`, or a function of the projections of both views
    `settings`       arguments of the rule, such as {"temperature": 0.2}
    `view`           augmentations by name, as in "shift+cutout" (pictures) or "noise" (tables), or a function of rows; "auto" is
                     "shift+affine+cutout" for pictures, "noise" for the rest
    `strength`       of those named, from 0 to 1
    `width`          of the projections; 0 lets the rule see the encoder's own outputs
    `hidden`         width inside the projector; None is `width`
    `norm`           batch norm in projector and predictor: "all" (behind the projections too), "hidden" or "none"
    `predictor`      of SimSiam and BYOL; without it they collapse
    `stop_gradient`  of SimSiam; without it it collapses
    `momentum`       of BYOL's target at the start; it rises to 1
    `blind`          of an own rule: what it does not see, as for `EmbeddingWatch`

    Raises `RecipeError` for a rule that is none.
    """

    encoder: nn.Module | Callable[[], nn.Module]
    data: Any
    held: Any = None
    rule: str | Rule = "simsiam"
    settings: Mapping[str, Any] = field(default_factory=dict)
    view: str | View = "auto"
    strength: float = 1.0
    width: int = 64
    hidden: int | None = None
    norm: str = "all"
    predictor: bool = True
    stop_gradient: bool = True
    momentum: float = START
    blind: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.rule, str) and self.rule not in RULES:
            raise RecipeError(f"no rule called {self.rule!r}{did_you_mean(self.rule, RULES)}")
        if not isinstance(self.width, int) or isinstance(self.width, bool) or self.width < 0:
            raise RecipeError(f"width = {self.width!r}: a whole number of 0 or more was expected")
        if not 0 <= self.momentum <= 1:
            raise RecipeError(
                f"momentum = {self.momentum!r}: a number from 0 to 1 was expected; the paper takes {START}"
            )
        if self.rule == "byol" and not self.stop_gradient:
            raise RecipeError("stop_gradient = False is for simsiam; byol has a target net, which has no gradient")
        if self.blind and isinstance(self.rule, str):
            raise RecipeError(
                f"blind = {self.blind!r} is for a rule of your own; what {self.rule} does not see is known"
            )
        if any(one not in LOSES for one in self.blind):
            raise RecipeError(f"blind = {self.blind!r}: some of {', '.join(LOSES)} were expected")

    def sided(self) -> bool:
        """Whether predictions are compared with something else than predictions."""
        return self.rule in SIDED

    def unseen(self) -> tuple[str, ...]:
        """What the rule does not see of an embedding."""
        return BLIND[self.rule] if isinstance(self.rule, str) else self.blind

    def kept(self) -> float | None:
        """The spread that the rule keeps."""
        return float(self.settings.get("spread", 1.0)) if self.rule == "vicreg" else None

    def loss(self) -> Callable[..., Tensor]:
        """The rule that is meant, with its settings. Raises `RecipeError` for settings that it does not take."""
        rule: Callable[..., Tensor] = CURES[self.rule] if isinstance(self.rule, str) else self.rule
        given = dict(self.settings) | ({"stop_gradient": self.stop_gradient} if self.rule == "simsiam" else {})

        def found(one: Any, other: Any) -> Tensor:
            try:
                return rule(one, other, **given)
            except TypeError as error:
                if "unexpected keyword" not in str(error):
                    raise
                raise RecipeError(
                    f"settings = {dict(self.settings)!r}: {error}; tunesmith explain cure.{self.rule} lists them"
                ) from error

        return found

    def told(self) -> dict[str, Any]:
        """The rules as plain data, for the run's folder and for a resume."""
        own = {name: getattr(self, name) for name in TOLD}
        named = {
            name: getattr(value, "__qualname__", type(value).__name__) if callable(value) else value
            for name, value in own.items()
        }
        return named | {"settings": dict(self.settings), "blind": list(self.blind)}


TOLD = ("rule", "view", "strength", "width", "hidden", "norm", "predictor", "stop_gradient", "momentum")
