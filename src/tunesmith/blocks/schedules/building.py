"""A recipe's schedule: names and settings become a curve."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.joining import cut_off, join, warmup_of
from tunesmith.blocks.schedules.units import resolved
from tunesmith.blocks.schedules.warmups import WARMUPS
from tunesmith.records import RecipeError, did_you_mean
from tunesmith.records.sections import ScheduleSection


def build(
    section: ScheduleSection,
    total_updates: int,
    warmup_updates: int = 0,
    *,
    per_epoch: int | None = None,
    effective_batch: int | None = None,
) -> Schedule:
    """The recipe's schedule for a run of `total_updates`, the warm-up among them; "auto" is cosine.

    The warm-up is `warmup_kind` over `warmup_updates` steps, joined as `warmup_join` says. Marks of a schedule that is
    joined "after" count from the end of the warm-up, and its shares are shares of what is left. Amounts in `extra` and
    `warmup_extra` such as "2ep" are resolved by `per_epoch` updates and `effective_batch` rows. A schedule without a
    floor of its own is cut off at `floor`; the warm-up is not. One that holds a warm-up of its own (`noam`) takes the
    length of the recipe's. Momentum and history: `momentum_of`, `watches_of`, `factor_at`; a growing batch:
    `grow(schedule, section.grow_batch)`.
    """
    name = "cosine" if section.name == "auto" else section.name
    takes = inspect.signature(SCHEDULES[name]).parameters
    own_warmup = "warmup" in takes
    after = section.warmup_join == "after" and not own_warmup
    steps = max(total_updates - warmup_updates * after, 1)
    known: dict[str, Any] = {"per_epoch": per_epoch, "effective_batch": effective_batch}
    settings = resolved(dict(section.extra), steps, "schedule.extra", **known)
    for span in ("timescale", "warmup"):  # the warm-up, where none is given, as in their sources
        if warmup_updates and span in takes:
            settings.setdefault(span, warmup_updates)
    taken = {"floor": section.floor} if "floor" in takes else {}
    schedule = made(SCHEDULES[name], name, "schedule.extra", steps, settings, taken)
    if section.floor and not taken:
        schedule = cut_off(schedule, section.floor, warmup_of(schedule) if own_warmup else 0)
    kind = WARMUPS[section.warmup_kind]
    if not warmup_updates or own_warmup:
        _check_unused(section, name, warmup_updates)
        return schedule
    given = resolved(dict(section.warmup_extra), warmup_updates, "schedule.warmup_extra", **known)
    start = {"start": section.warmup_start}
    ramp = made(kind, section.warmup_kind, "schedule.warmup_extra", warmup_updates, given, start)
    return join(ramp, schedule, warmup_updates, section.warmup_join)


def made(
    member: Callable[..., Schedule],
    name: str,
    where: str,
    steps: int,
    settings: Mapping[str, Any],
    taken: Mapping[str, Any] | None = None,
) -> Schedule:
    """`member(steps, **settings)`, with a sentence for settings that it does not have; `taken` are set elsewhere."""
    taken = taken or {}
    known = [one for one in inspect.signature(member).parameters if one not in ("steps", *taken)]
    for given in settings:
        if given not in known:
            raise RecipeError(f"{where}: {name} takes no {given!r}{did_you_mean(given, known)}")
    return member(steps, **settings, **taken)


def _check_unused(section: ScheduleSection, name: str, warmup_updates: int) -> None:
    """Raises `RecipeError` where no warm-up is joined and the recipe says how one should be."""
    if section.warmup_kind == "until" and not warmup_updates:
        raise RecipeError(
            'schedule.warmup_kind = "until" with schedule.warmup = 0: say how long the warm-up may last at most, such as '
            'schedule.warmup = "0.2dur"'
        )
    untouched = ScheduleSection()
    for field in ("warmup_kind", "warmup_start", "warmup_join", "warmup_extra"):
        if warmup_updates and getattr(section, field) != getattr(untouched, field):
            raise RecipeError(
                f"schedule.{field} = {getattr(section, field)!r}: the warm-up of {name} is part of its formula and has one "
                f"form; leave schedule.{field} out, or take schedule.name = 'inverse_sqrt'"
            )
