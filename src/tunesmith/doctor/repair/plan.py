"""The plan: which changes to try, in which order.

What is worth most comes first: how likely its fault is by the findings and by what the experiments know, over what it costs. Those of
the first finding come before those of later ones, then what mends many programs whatever is wrong with them.
"""

import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.change import Change, together
from tunesmith.doctor.causes.one_batch import factor
from tunesmith.doctor.repair.crashed import Crashed
from tunesmith.doctor.repair.surgery import SURGERIES, Surgery
from tunesmith.records import Finding

FIRST, ALSO = 1.0, 0.5  # worth of a change for the first finding: of its own fault, of one it also mends; assumption
USUAL = 0.35  # worth of the usual recipe, which mends some 40 % of faulty programs: measured, `benchmarks/repair.md`
LEAST = 0.3  # of its worth, that a change for a finding keeps however unlikely it was thought; assumption
SURE = 0.8  # confidence of a proof; as in causes
LOUD = ("error", "warning")
USUAL_NAME = "usual_recipe"


@dataclass(frozen=True, slots=True)
class Planned:
    """A change to try, of which surgery, for which fault, and what it is worth."""

    change: Change
    surgery: Surgery
    fault: str
    worth: float
    proved: bool = False  # an invariant that a finding has confirmed to be broken
    lead: bool = False  # undoes the very fault that is the first to be confirmed


def loud(findings: Iterable[Finding]) -> list[Finding]:
    """What is above a note and not refuted."""
    return [one for one in findings if one.severity in LOUD and one.status != "refuted"]


def planned(case: Any, findings: Iterable[Finding], failed: dict[str, str], *, generic: bool = True) -> list[Planned]:
    """Changes in the order in which they are tried, each once. Without `generic` only those for what was found."""
    told = loud(findings)
    queue: list[Planned] = []
    for name, surgery in SURGERIES.items():
        rank = _rank(surgery, told)
        if (rank is None and not generic) or (isinstance(case, Crashed) and not surgery.crashed):
            continue
        try:
            proposed = list(surgery.propose(case))
        except Exception:  # a defect of one surgery does not end the others, as with experiments
            failed[name] = traceback.format_exc()
            continue
        queue += [_planned(case, surgery, change, rank, told) for change in proposed]
    if generic:
        queue += _usual(queue)
    queue.sort(key=lambda one: -one.worth)
    once: dict[str, Planned] = {}
    for one in queue:
        once.setdefault(one.change.name, one)
    return list(once.values())


def _rank(surgery: Surgery, told: list[Finding]) -> int | None:
    """The place of the first finding whose fault a surgery may mend, confirmed ones first."""
    places = [place for place, one in enumerate(told) if one.fault in surgery.faults]
    return min(places, key=lambda place: (not _sure(told[place]), place), default=None)


def _planned(case: Any, surgery: Surgery, change: Change, rank: int | None, told: list[Finding]) -> Planned:
    fault = change.fault or surgery.faults[0]
    worth = change.likely * factor(case, fault) if isinstance(case, Case) else change.likely
    proved = lead = False
    if rank is not None:
        found = told[rank]
        own = found.fault == fault
        spoken = max(found.confidence, LEAST) * (LEAST + (1 - LEAST) * change.likely)
        worth += (FIRST if own else ALSO) * spoken / (1 + rank) ** 0.5
        worth += 0.5 * found.confidence if own and rank == 0 else 0.0
        lead = own and change.sure and found is next((one for one in told if _sure(one)), None)
        fault = found.fault if found.fault in surgery.faults and not own else fault
        proved = surgery.invariant and any(_sure(one) and one.fault in surgery.faults for one in told)
    first = 1.0 if proved or lead else 0.0
    return Planned(change, surgery, fault, worth / change.cost + first, proved, lead)


def _sure(one: Finding) -> bool:
    """Whether a finding is proved, not guessed."""
    return one.status == "confirmed" and one.confidence >= SURE


def _usual(queue: Iterable[Planned]) -> Iterator[Planned]:
    """Standardised inputs, Adam with its defaults, clipped gradients, shuffled rows: as much of it as there is to change."""
    wanted = ("standardised inputs", "Adam with its defaults", "clipped gradients", "shuffled rows")
    known = {one.change.name: one for one in queue}
    parts = [known[name] for name in wanted if name in known]
    if len(parts) > 1:
        yield at_once(parts, USUAL)


def at_once(parts: list[Planned], worth: float) -> Planned:
    """Several changes at once."""
    change = together(one.change for one in parts)

    def lines(before: Any, after: Any, values: Any) -> list[str]:
        return [line for one in parts for line in one.surgery.lines(before, after, one.change.values)]

    several = Surgery("several", tuple(one.fault for one in parts), lambda case: (), lines)
    return Planned(change, several, parts[0].fault, worth)
