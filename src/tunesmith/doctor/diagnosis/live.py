"""What the rules over a watched run share: how far its loss came, what was counted of the loop, and findings in their words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.finding import Severity, Status
from tunesmith.runs.history import History, Series

ENOUGH = 20  # updates below which nothing is said of the course of a run; assumption
FLAT = 0.1  # of its start: a loss that fell by less did not get on; assumption
NEAR_CHANCE = 0.05  # of the loss of a constant answer; assumption: beyond the noise of small batches
SOME, EPOCHS = 100, 3  # updates and evaluations of a run that goes on, before its loss counts; assumption
POOR = 0.5  # of the way from a constant answer to nothing; assumption


@dataclass(frozen=True, slots=True)
class Progress:
    """The training loss of a run in four numbers."""

    updates: int
    start: float  # median of the first hundredth, at least three
    end: float  # median of the last tenth
    best: float  # lowest of the medians of tenths
    noise: float  # of one update's loss, in the last half
    chance: float | None  # of the best constant answer
    going: bool = False  # the run still goes on, and may put right what is only slow
    early: bool = False  # too early in such a run for any judgement of its loss

    @property
    def fallen(self) -> float:
        """The share of its start by which the loss fell; negative where it rose."""
        return (self.start - self.end) / max(abs(self.start), 1e-12)

    @property
    def at_chance(self) -> bool:
        """Whether it ended where a constant answer is, or above."""
        return self.chance is not None and self.end > (1 - NEAR_CHANCE) * self.chance

    @property
    def stuck(self) -> bool:
        """Whether the run did not learn: at the level of a constant answer, or where it began."""
        if self.early:
            return False
        if not np.isfinite(self.end):
            return True
        return self.at_chance if self.chance is not None else self.fallen < FLAT

    @property
    def poor(self) -> bool:
        """Whether most of what there is to learn was not learnt."""
        if self.going:
            return self.stuck
        if not np.isfinite(self.end):
            return True
        if self.chance is not None:
            return self.end > POOR * self.chance
        return self.fallen < POOR


def progress(history: History) -> Progress | None:
    """How far the training loss came; None for runs too short to say."""
    one = history.get("loss", "train") or history.get("loss", "")
    if one is None or len(one) < ENOUGH:
        return None
    values = one.values
    finite = values[np.isfinite(values)]
    if len(finite) < ENOUGH:
        return None
    tenths = [float(np.median(each)) for each in np.array_split(finite, 10)]
    bad = len(finite) < len(values) and not np.isfinite(values[-3:]).any()
    going = bool(history.facts.get("running"))
    half = np.diff(finite[len(finite) // 2 :])
    return Progress(
        updates=len(values),
        start=float(np.median(finite[: max(3, len(finite) // 100)])),
        end=float("nan") if bad else tenths[-1],
        best=min(tenths),
        noise=float(1.4826 * np.median(np.abs(half)) / 2**0.5) if len(half) else 0.0,
        chance=chance(history),
        going=going,
        early=going and (len(values) < SOME or float(history.facts.get("epochs_seen") or 0) < EPOCHS),
    )


def chance(history: History) -> float | None:
    """The loss of the best constant answer, as far as it is known."""
    for found in (part(history, "answers").get("chance"), history.facts.get("chance_loss")):
        if isinstance(found, int | float) and found > 1e-6:
            return float(found)
    return None


def held_at_chance(history: History) -> bool:
    """Whether the held loss of classes ended at the entropy of the labels, whatever the training loss has added to it."""
    shares = [float(one) for one in (part(history, "answers").get("label_shares") or {}).values()]
    level = late(history.get("loss", "val"), 0.2)
    if level is None or len(shares) < 2 or part(history, "answers").get("kind") != "classes":
        return False
    entropy = -sum(share * float(np.log(share)) for share in shares if share > 0)
    return abs(level - entropy) < NEAR_CHANCE * entropy


def part(history: History, name: str) -> Mapping[str, Any]:
    """A group of facts; empty where the watch did not see it. What is not finite was written as nothing, and is left out."""
    found = history.facts.get(name)
    return {key: value for key, value in found.items() if value is not None} if isinstance(found, Mapping) else {}


def fact(history: History, name: str, otherwise: float = 0.0) -> float:
    """A number among the facts."""
    found = history.facts.get(name)
    return float(found) if isinstance(found, int | float) else otherwise


def layers(history: History, name: str) -> dict[str, Series]:
    """The finite points of a quantity by layer, from the inputs to the outputs as far as the order of the layers is known."""
    found: dict[str, Series] = {}
    for one in history.all(name):
        kept = one.finite
        if one.where and len(kept) and len(kept) > len(found.get(one.where, ())):
            found[one.where] = kept
    known = [str(one[0]) for one in history.facts.get("layers") or ()] or list(history.facts.get("activations") or ())
    place = {where: number for number, where in enumerate(known)}
    return dict(sorted(found.items(), key=lambda item: place.get(item[0], len(place))))


def early_of(history: History, name: str, count: int = 3) -> dict[str, float]:
    """By layer, the median of the first looks."""
    return {where: float(np.median(one.values[:count])) for where, one in layers(history, name).items()}


def late_of(history: History, name: str) -> dict[str, float]:
    """By layer, the median of the looks in the second half of the run; layers without any are left out."""
    half = 0.5 * length(history)
    cut = {where: one.values[one.steps >= half] for where, one in layers(history, name).items()}
    return {where: float(np.median(values)) for where, values in cut.items() if len(values)}


def late(one: Series | None, share: float = 0.5) -> float | None:
    """The median of the last points of a curve."""
    values = np.zeros(0) if one is None else one.finite.values
    return float(np.median(values[-max(1, int(len(values) * share)) :])) if len(values) else None


def length(history: History) -> float:
    """The last update of the run."""
    return max((float(one.steps[-1]) for one in history.all("loss") if len(one)), default=0.0)


def told(
    fault: str,
    severity: Severity,
    message: str,
    values: Mapping[str, Any],
    *,
    confidence: float,
    evidence: Sequence[Evidence],
    remedies: Sequence[Remedy] = (),
    status: Status = "suspected",
    subject: Mapping[str, Any] | None = None,
    caused_by: str | None = None,
    ruled_out: Sequence[str] = (),
    next_probe: str | None = None,
) -> Finding:
    """A finding in the words of `live.*`."""
    return Finding(
        fault=fault,
        severity=severity,
        message=f"live.{message}",
        values=dict(values),
        evidence=tuple(evidence),
        remedies=tuple(remedies),
        confidence=confidence,
        status=status,
        subject=dict(subject or {}),
        caused_by=caused_by,
        ruled_out=tuple(ruled_out),
        next_probe=next_probe,
    )


def number(
    name: str, value: float, threshold: float | None = None, source: str = "", step: int | None = None, where: str = ""
) -> Evidence:
    """One measured number."""
    return Evidence(name=name, value=float(value), threshold=threshold, source=source, step=step, where=where)


def advice(title: str, **values: Any) -> Remedy:
    """What only a person can do."""
    return Remedy(title=f"live.{title}", safety=Safety.ADVICE, values=values)


def named(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more."""
    more = f" +{len(names) - most}" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def leap(history: History) -> float | None:
    """The median over layers of the longest update, as a share of the weights, in the first quarter of the looks."""
    found = [float(one.values[: max(3, len(one) // 4)].max()) for one in layers(history, "update_ratio").values()]
    return float(np.median(found)) if found else None


def norm_first(history: History) -> bool:
    """Whether the inputs meet a norm before any weights."""
    return "Norm" in str(history.facts.get("begins"))
