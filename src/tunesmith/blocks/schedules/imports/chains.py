"""Schedulers of torch that hold others: one after the other, and all at once."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from tunesmith.blocks.schedules.imports.rule import RULES, Curve, Rule, known, rule
from tunesmith.records import RecipeError


@RULES.add("SequentialLR")
def sequential_lr(scheduler: Any, i: int) -> Rule:
    parts, marks = [rule(part, i) for part in scheduler._schedulers], list(scheduler._milestones)
    for n, part in enumerate(scheduler._schedulers):
        if hasattr(part, "_schedulers") and (n or type(part).__name__ == "SequentialLR"):
            raise RecipeError(
                f"the {type(part).__name__} at place {n} of a SequentialLR cannot be followed: torch fails or miscounts "
                "there; name its own schedulers in the outer list"
            )
    base = float(scheduler.optimizer.param_groups[i]["initial_lr"])
    first = bisect_right(marks, 0)

    def begin(rate: float) -> float:
        part = parts[first]
        return part.advance(base, 0) if hasattr(scheduler._schedulers[first], "_schedulers") else part.start(base)

    def advance(rate: float, t: int) -> float:
        n = bisect_right(marks, t)
        since = marks[n - 1] if n else 0
        return parts[n].reset(rate) if n and since == t else parts[n].advance(rate, t - since)

    def at(t: float) -> float:
        n = bisect_right(marks, t)
        curve = parts[n].at
        assert curve is not None, "checked below"
        return curve(t - (marks[n - 1] if n else 0))

    kinds = [known(one) for one in scheduler._schedulers]
    handed = (
        "SWALR" in kinds or "MultiplicativeLR" in kinds[:first] + kinds[first + 1 :]
    )  # go on from the rate they find
    # a OneCycleLR that is made later changes the initial rate under the part that begins
    handed |= getattr(scheduler._schedulers[first], "base_lrs", {i: None})[i] != base
    return Rule(
        peak=max(part.peak for part in parts),
        start=begin,
        reset=begin,
        advance=advance,
        at=None if handed or any(part.at is None for part in parts) else at,
        shape=(tuple(marks), *(part.shape for part in parts), *(part.peak / parts[0].peak for part in parts)),
        momentum=_in_turn([part.momentum for part in parts], marks),
    )


def _in_turn(parts: Sequence[Curve | None], marks: Sequence[int]) -> Curve | None:
    """The part at work cycles the momentum; where it does not, the momentum stays where the last one left it.

    Before any, it is as the last part that was made left it: the last of the list, if they were made in its order.
    """
    cycled = [n for n, part in enumerate(parts) if part]
    if not cycled:
        return None

    def at(t: float) -> float:
        now = bisect_right(marks, t)
        past = [n for n in cycled if n <= now]
        curve = parts[past[-1] if past else cycled[-1]]
        assert curve is not None, "cycled holds those that are there"
        if not past:
            return curve(0)
        n = past[-1]
        return curve((t if n == now else marks[n] - 1) - (marks[n - 1] if n else 0))

    return at


@RULES.add("ChainedScheduler")
def chained(scheduler: Any, i: int) -> Rule:
    parts = [rule(part, i) for part in scheduler._schedulers]

    def start(rate: float) -> float:
        for part in parts:
            rate = part.start(rate)
        return rate

    def advance(rate: float, t: int) -> float:
        for part in parts:
            rate = part.advance(rate, t)
        return rate

    def no_reset(rate: float) -> float:
        raise AssertionError("sequential_lr refuses a chain that it would hand over to")

    momentum = [part.momentum for part in parts if part.momentum]
    return Rule(
        peak=max(part.peak for part in parts),
        start=start,
        reset=no_reset,
        advance=advance,
        at=None,
        shape=(*(part.shape for part in parts), *(part.peak / parts[0].peak for part in parts)),
        momentum=momentum[-1] if momentum else None,
    )
