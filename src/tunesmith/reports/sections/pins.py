"""Findings where they happened: numbered marks on the curves, and below them what each number stands for."""

from dataclasses import dataclass

from tunesmith.records import Finding
from tunesmith.records.finding import SEVERITIES
from tunesmith.reports.facts import Facts
from tunesmith.reports.markup import Html, tag
from tunesmith.reports.svg import Pin
from tunesmith.reports.wording import count, counted, number

MOST = 12  # marks on a chart; more hide the curve


@dataclass(frozen=True, slots=True)
class Pinned:
    """A finding with its number on the charts."""

    number: int
    step: int
    found: Finding


def pinned(facts: Facts) -> list[Pinned]:
    """The gravest findings of the training itself, numbered as they came; what was found before the first update has no place on a curve."""
    seen = [(step, found) for at, found in facts.seen if (step := seen_at(at, found)) and found.status != "refuted"]
    seen.sort(key=lambda one: (SEVERITIES.index(one[1].severity), one[0]))
    kept = sorted(seen[:MOST], key=lambda one: one[0])
    return [Pinned(place, step, found) for place, (step, found) in enumerate(kept, start=1)]


def seen_at(written: int | None, found: Finding) -> int:
    """The update of its first evidence that has one, else that at which it was written down; 0 for before the training."""
    steps = [item.step for item in found.evidence if item.step]
    return steps[0] if steps else written or 0


def pins(found: list[Pinned], language: str) -> list[Pin]:
    """The marks of a chart."""
    return [
        Pin(float(one.step), str(one.number), one.found.severity, f"{one.found.fault}: {one.found.text(language)}")
        for one in found
    ]


def legend(found: list[Pinned], facts: Facts) -> Html:
    """What the numbers stand for."""
    if not found:
        return Html()
    lines = [
        tag(
            "li",
            tag("span", str(one.number), class_=f"pinned {one.found.severity}"),
            tag("code", one.found.fault),
            f" at {_place(one.step, facts)}: {one.found.text(facts.language)}",
        )
        for one in found
    ]
    more = sum(1 for at, one in facts.seen if seen_at(at, one) and one.status != "refuted") - len(found)
    rest = (
        [tag("li", f"{counted(more, 'more finding')} of lesser weight, among the findings.", class_="aside")]
        if more
        else []
    )
    return tag("ol", *lines, *rest, class_="pins")


def _place(step: int, facts: Facts) -> str:
    last = facts.evaluations[-1] if facts.evaluations else None
    epoch = f", epoch {number(step * last['epoch'] / last['step'], 2)}" if last and last["step"] else ""
    return f"update {count(step)}{epoch}"
