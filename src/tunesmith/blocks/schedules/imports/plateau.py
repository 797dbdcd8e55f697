"""ReduceLROnPlateau of torch as a schedule that listens."""

from dataclasses import dataclass, replace
from typing import Any

from tunesmith.blocks.schedules.history import History, Watched, seen
from tunesmith.records import RecipeError


@dataclass(frozen=True, slots=True)
class Rule:
    """The settings; `better` is torch's, the relative one too, which takes a slightly worse value for better where
    the metric is negative: an imported scheduler does what it did."""

    mode: str
    relative: bool
    threshold: float
    patience: int
    cooldown: int
    factor: float
    least: tuple[float, ...]  # of each group
    eps: float

    def better(self, value: float, best: float) -> bool:
        if self.mode == "min":
            return value < (best * (1 - self.threshold) if self.relative else best - self.threshold)
        return value > (best * (1 + self.threshold) if self.relative else best + self.threshold)

    def reduced(self, rates: tuple[float, ...]) -> tuple[float, ...]:
        lower = [max(rate * self.factor, least) for rate, least in zip(rates, self.least, strict=True)]
        return tuple(new if old - new > self.eps else old for old, new in zip(rates, lower, strict=True))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where it stands after some values."""

    best: float
    bad: int
    cooling: int
    rates: tuple[float, ...]

    def after(self, value: float, rule: Rule) -> "Standing":
        better = rule.better(value, self.best)
        bad = 0 if better or self.cooling else self.bad + 1
        found = replace(self, best=value if better else self.best, bad=bad, cooling=max(self.cooling - 1, 0))
        if bad > rule.patience:
            return replace(found, bad=0, cooling=rule.cooldown, rates=rule.reduced(self.rates))
        return found


class ImportedPlateau(Watched):
    """The rates of a ReduceLROnPlateau: `schedule(step, history)` is a factor on `peak`."""

    __slots__ = ("chosen", "laws", "peaks", "start")

    def __init__(self, laws: Rule, start: Standing, peaks: tuple[float, ...], chosen: int, watches: str) -> None:
        super().__init__(lambda step, history: self.rate(step, history) / self.peak, watches)
        self.laws, self.start, self.peaks, self.chosen = laws, start, peaks, chosen

    @property
    def peak(self) -> float:
        """The rate that counts as factor 1."""
        return self.peaks[self.chosen]

    def rate(self, step: int, history: History = ()) -> float:
        """The learning rate after `step` updates, with what was found until then."""
        found = self.start
        for one in seen(history, step, self.watches):
            found = found.after(float(one.value), self.laws)
        return found.rates[self.chosen]

    def of_group(self, group: int) -> "ImportedPlateau":
        """The schedule of another parameter group."""
        return ImportedPlateau(self.laws, self.start, self.peaks, group, self.watches)


def imported_plateau(scheduler: Any, group: int | None, watches: str | None) -> ImportedPlateau:
    """`from_torch` for this class."""
    groups = scheduler.optimizer.param_groups
    if len(scheduler.min_lrs) != len(groups):
        raise RecipeError(
            f"ReduceLROnPlateau holds {len(scheduler.min_lrs)} min_lrs for {len(groups)} parameter groups; set min_lrs anew"
        )
    laws = Rule(
        mode=scheduler.mode,
        relative=scheduler.threshold_mode == "rel",
        threshold=float(scheduler.threshold),
        patience=scheduler.patience,
        cooldown=scheduler.cooldown,
        factor=float(scheduler.factor),
        least=tuple(map(float, scheduler.min_lrs)),
        eps=float(scheduler.eps),
    )
    rates = tuple(float(one["lr"]) for one in groups)
    start = Standing(float(scheduler.best), scheduler.num_bad_epochs, scheduler.cooldown_counter, rates)
    peaks = tuple(float(one.get("initial_lr", one["lr"])) or 1.0 for one in groups)
    if (
        group is None
        and len({(low / peak, rate / peak) for low, peak, rate in zip(laws.least, peaks, rates, strict=True)}) > 1
    ):
        raise RecipeError(
            f"the {len(groups)} parameter groups have different curves; say which is meant, with group=0 to {len(groups) - 1}"
        )
    return ImportedPlateau(laws, start, peaks, group or 0, watches or ("val_loss" if laws.mode == "min" else "score"))
