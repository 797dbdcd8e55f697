"""The rate for another batch: linear for SGD, square root for Adam-like rules, never silent.

Sources: Goyal et al., arXiv:1706.02677, section 2.1 (linear, SGD, with warm-up); Krizhevsky, arXiv:1404.5997 (square
root: keeps the variance of the update, not that of the gradient); Malladi et al., arXiv:2205.10287 (square root
for Adam and RMSprop, with the betas and epsilon); McCandlish et al., arXiv:1812.06162 (critical batch).
"""

import math
from dataclasses import dataclass
from typing import Literal

from torch.optim import Optimizer

from tunesmith.records import RecipeError

Rule = Literal["auto", "linear", "sqrt", "adam_sde", "none"]
RULES = ("auto", "linear", "sqrt", "adam_sde", "none")
SOURCES = {
    "linear": "arXiv:1706.02677",
    "sqrt": "arXiv:2205.10287",
    "adam_sde": "arXiv:2205.10287 with betas and eps",
    "none": "unchanged",
}
LINEAR = ("sgd", "asgd", "schedulefree_sgd", "sgdschedulefree")  # steps in proportion to the gradient
NONE = ("lbfgs", "rprop")  # made for the gradient of the whole part: no law ties their rate to a batch


@dataclass(frozen=True, slots=True)
class ScaledRate:
    """A rate carried from one batch to another, with the rule and the sentence that tells it."""

    lr: float
    rule: str
    factor: float  # of the batch, after the cap
    line: str
    betas: tuple[float, float] | None = None  # under "adam_sde"
    eps: float | None = None

    def __str__(self) -> str:
        return self.line


def rule_for(optimizer: str | Optimizer) -> str:
    """The rule that "auto" means for an optimizer: "linear" for the SGD family, "none" for LBFGS and Rprop, else "sqrt".

    A wrapper (SAM, lookahead, decoupled decay) goes by its base.

    >>> rule_for("adamw"), rule_for("sgd")
    ('sqrt', 'linear')
    """
    if isinstance(optimizer, Optimizer):
        base = getattr(optimizer, "base", None)
        return rule_for(base if isinstance(base, Optimizer) else type(optimizer).__name__)
    name = optimizer.lower()
    return "linear" if name in LINEAR else "none" if name in NONE else "sqrt"


def scale_rate(
    lr: float,
    old_batch: int,
    new_batch: int,
    optimizer: str | Optimizer = "sgd",
    rule: str = "auto",
    *,
    critical: float | None = None,
    betas: tuple[float, float] | None = None,
    eps: float | None = None,
) -> ScaledRate:
    """lr' = κ lr ("linear") or √κ lr ("sqrt"), κ = new batch / old batch, both cut at the critical batch where it is known.

    Batches are effective ones: rows per update, accumulation and ranks among them. "adam_sde" is the square root with
    1 - β' = κ (1 - β) and ε' = ε / √κ, and needs `betas` and `eps`; it holds while κ (1 - β) stays below 1. `line` says
    old -> new in one line. Raises `RecipeError` for values out of range.
    Source: see the module. Both rules hold below the critical batch; above it a larger rate does not follow.
    Use: to carry a tuned rate to another batch, with warm-up when it grows much; re-tune where you can.

    >>> print(scale_rate(0.1, 128, 512))
    lr 0.1 -> 0.4 (linear, batch 128 -> 512, SGD: arXiv:1706.02677)
    >>> scale_rate(3e-4, 32, 128, "adamw").lr
    0.0006
    """
    _check(lr, old_batch, new_batch, rule, critical)
    chosen = rule_for(optimizer) if rule == "auto" else rule
    reach = math.inf if critical is None else critical
    factor = min(new_batch, reach) / min(old_batch, reach)
    power = {"linear": 1.0, "sqrt": 0.5, "adam_sde": 0.5, "none": 0.0}[chosen]
    rate = lr * factor**power
    name = optimizer if isinstance(optimizer, str) else type(optimizer).__name__
    cap = f", capped at the critical batch {critical:g}" if critical is not None and new_batch > critical else ""
    line = f"lr {lr:g} -> {rate:g} ({chosen}, batch {old_batch} -> {new_batch}{cap}, {_shown(name)}: {SOURCES[chosen]})"
    if chosen != "adam_sde":
        return ScaledRate(rate, chosen, factor, line)
    moved, tiny = _moved(factor, betas, eps)
    line += f"; betas {betas} -> ({moved[0]:g}, {moved[1]:g}), eps {eps:g} -> {tiny:g}"
    return ScaledRate(rate, chosen, factor, line, moved, tiny)


def _moved(factor: float, betas: tuple[float, float] | None, eps: float | None) -> tuple[tuple[float, float], float]:
    """1 - β' = κ (1 - β), ε' = ε / √κ: arXiv:2205.10287, definition of the square root scaling rule."""
    if betas is None or eps is None:
        raise RecipeError("the rule 'adam_sde' moves the betas and eps too; pass betas=(0.9, 0.999) and eps=1e-8")
    first, second = (1 - factor * (1 - beta) for beta in betas)
    if min(first, second) < 0:
        raise RecipeError(
            f"the rule 'adam_sde' cannot carry betas {betas} over a factor of {factor:g}: {factor:g} x (1 - beta) reaches "
            "1; take a smaller step in the batch, or 'sqrt'"
        )
    return (first, second), eps / math.sqrt(factor)


def _check(lr: float, old_batch: int, new_batch: int, rule: str, critical: float | None) -> None:
    if rule not in RULES:
        raise RecipeError(f"no rule called {rule!r} for the rate of another batch; there are {', '.join(RULES)}")
    for name, value in (("lr", lr), ("old_batch", old_batch), ("new_batch", new_batch), ("critical", critical)):
        if value is not None and not 0 < value < math.inf:
            raise RecipeError(f"scale_rate got {name} = {value!r}; a finite number above 0 was expected")


def _shown(name: str) -> str:
    return {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}.get(name, name)
