"""Which programs a sabotage is planted in, and which of both were kept away from those who wrote the rules.

`split.toml` beside this file was made by `rule()`, in two sittings, and is not made again: a sabotage or data set that is not in it
belongs to the open part. A planted fault is held where its sabotage or its program's data are; a sound run where its data are; a failing
program where it or its data are.
"""

import hashlib
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal

from tunesmith.records import Program
from tunesmith.testing.healthy import HEALTHY, HEALTHY_TASKS
from tunesmith.testing.programs import FAILING
from tunesmith.testing.sabotage import MECHANISMS, SABOTAGES

Part = Literal["open", "held"]
SEED = 20261126  # the day on which the split was made
SABOTAGES_HELD, DATA_HELD = 0.4, 1 / 3
LATER_HELD = 1 / 3  # of the sabotages of diagnosis and of the failing programs


def drawn(names: Iterable[str], seed: object = SEED) -> list[str]:
    """Names in a random order that depends on nothing but the seed and each name."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())


def rule() -> dict[str, dict[str, list[str]]]:
    """The split by its rule.

    Of each mechanism's sabotages of preflight 40 % are held (at least one, and not all), and a third of the data sets; of each mechanism's
    sabotages of diagnosis a third (not all), and of the failing programs a third.
    """
    data = drawn(data_sets())
    kept = data[: round(DATA_HELD * len(data))]
    programs = drawn(FAILING)
    later = programs[: round(LATER_HELD * len(programs))]
    return {
        "sabotages": _parts("preflight", SABOTAGES_HELD, least=1),
        "data": {"held": sorted(kept), "open": sorted(set(data) - set(kept))},
        "diagnosis": _parts("diagnosis", LATER_HELD, least=0),
        "failing": {"held": sorted(later), "open": sorted(set(programs) - set(later))},
    }


def _parts(suite: str, share: float, least: int) -> dict[str, list[str]]:
    held: list[str] = []
    known = {name for name, each in SABOTAGES.items() if each.suite == suite}
    for mechanism in MECHANISMS:
        names = drawn(name for name in known if SABOTAGES[name].mechanism == mechanism)
        held += names[: max(0, min(len(names) - 1, max(least, round(share * len(names)))))]
    return {"held": sorted(held), "open": sorted(known - set(held))}


def data_sets() -> set[str]:
    return {each.data for each in HEALTHY.values()} | {each.data for each in HEALTHY_TASKS.values()}


@cache
def split() -> dict[str, dict[str, list[str]]]:
    """The split as it was committed."""
    read: dict[str, dict[str, list[str]]] = tomllib.loads(
        (files(__package__) / "split.toml").read_text(encoding="utf-8")
    )
    return read


def part_of(program: str, sabotage: str | None = None) -> Part:
    """Open or held: of a sound program or task, of a fault planted in one, or of a failing program."""
    found = next(known[program] for known in (HEALTHY, HEALTHY_TASKS, FAILING) if program in known)
    held = split()
    named = sabotage in held["sabotages"]["held"] + held["diagnosis"]["held"] or program in held["failing"]["held"]
    away = named or found.data in held["data"]["held"]
    return "held" if away else "open"


@cache
def fitting(sabotage: str) -> tuple[str, ...]:
    """The programs that can carry the fault."""
    return tuple(name for name in HEALTHY if SABOTAGES[sabotage].applies(_built(name)))


@cache
def _built(program: str) -> Program:
    return HEALTHY[program](0)


def chosen(sabotage: str, count: int) -> list[str]:
    """Some of the programs that fit, at random by names alone, of different data sets first."""
    order = drawn(fitting(sabotage), sabotage)
    of_data: dict[str, str] = {}
    for name in order:
        of_data.setdefault(HEALTHY[name].data, name)
    first = list(of_data.values())
    return [*first, *(name for name in order if name not in first)][:count]
