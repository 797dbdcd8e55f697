"""The curves of torch's schedulers, one parameter group at a time, from the numbers that a scheduler object holds.

torch moves a rate by what one call of `step()` makes of the rate before; most of its curves have a closed form too. A
`Rule` holds both: the closed form is what a scheduler does alone, the moves are what a chain of schedulers does.
Read in torch 2.13, `torch/optim/lr_scheduler.py` and `swa_utils.py`; t is torch's `last_epoch`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunesmith.records import Catalog, RecipeError

Curve: TypeAlias = Callable[[float], float]
RULES: Catalog[Callable[[Any, int], "Rule"]] = Catalog("scheduler of torch")
PLACES = ("torch.optim.lr_scheduler", "torch.optim.swa_utils")
DECIDE = ("get_lr", "step", "_update_lr")  # a class that changes one of these has a curve of its own


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one scheduler sets the rate of one group."""

    peak: float  # the rate that counts as factor 1
    start: Callable[[float], float]  # what making the scheduler does to the rate
    reset: Callable[[float], float]  # what a SequentialLR does when it hands over
    advance: Callable[[float, int], float]  # what the call of step() that leads to t makes of the rate
    at: Curve | None  # the rate at t in closed form
    shape: tuple[Any, ...]  # what two groups must share to have one curve of factors
    momentum: Curve | None = None


def closed(peak: float, at: Curve, *shape: Any, momentum: Curve | None = None) -> Rule:
    """A scheduler that sets the rate whatever it was."""
    return Rule(
        peak=peak,
        start=lambda rate: at(0),
        reset=lambda rate: at(0),
        advance=lambda rate, t: at(t),
        at=at,
        shape=shape,
        momentum=momentum,
    )


def multiplied(
    base: float, factor: Curve, ratio: Callable[[int], float], *shape: Any, at_start: float | None = None
) -> Rule:
    """A scheduler that multiplies the rate: by `factor(t)` since the start, by `ratio(t)` in the step that leads to t."""
    first = ratio(0) if at_start is None else at_start
    return Rule(
        peak=base or 1.0,
        start=lambda rate: rate * first,
        reset=lambda rate: base * factor(0),
        advance=lambda rate, t: rate * ratio(t),
        at=lambda t: base * factor(t),
        shape=shape,
    )


class Replayed:
    """A curve that is known by its moves: what was found once is kept."""

    def __init__(self, first: Callable[[], float], move: Callable[[float, int], float]) -> None:
        self._move = move
        self._found = [first()]

    def __call__(self, t: float) -> float:
        if t != int(t):
            raise RecipeError(f"this scheduler moves by whole steps; it has no rate at {t!r}")
        for one in range(len(self._found), int(t) + 1):
            self._found.append(self._move(self._found[-1], one))
        return self._found[int(t)]


def known(scheduler: Any) -> str:
    """The name of the class of torch whose curve a scheduler has; "" for none."""
    for kind in type(scheduler).__mro__:
        if kind.__module__ in PLACES and (kind.__name__ in RULES or kind.__name__ == "ReduceLROnPlateau"):
            same = all(getattr(type(scheduler), name, None) is getattr(kind, name, None) for name in DECIDE)
            return kind.__name__ if same else ""
    return ""


def rule(scheduler: Any, i: int) -> Rule:
    """How a scheduler sets the rate of parameter group `i`. Raises `RecipeError` for one whose curve is not known."""
    name = known(scheduler)
    if name not in RULES:
        raise unknown(scheduler)
    return RULES[name](scheduler, i)


def unknown(scheduler: Any) -> RecipeError:
    """What is said about an object that is none of torch's schedulers, or one with a rule of its own."""
    kind = type(scheduler)
    inside = type(getattr(scheduler, "scheduler", None))  # as Accelerate wraps it
    hint = f"; it holds a {inside.__name__}: pass its attribute `scheduler`" if inside.__module__ in PLACES else ""
    return RecipeError(
        f"the curve of {kind.__module__}.{kind.__qualname__} is not known; expected one of torch's "
        f"{', '.join(RULES)} and ReduceLROnPlateau{hint}, or write its factor as a function of the step, which is a "
        "schedule as it is"
    )
