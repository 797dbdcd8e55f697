"""On which groups of rows the model is worse than on the rest, and whether that is more than chance."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.reports.facts import Facts
from tunesmith.reports.markup import Html, Section, details, section, table, tag
from tunesmith.reports.sections.headline import PARTS
from tunesmith.reports.wording import ABSENT, count, counted, interval, number, score
from tunesmith.reports.worst_groups import worse

MOST = 20  # rows of a table


def slices(facts: Facts) -> Section | None:
    """The groups that are worse; those that only look so fold away."""
    told = facts.slices
    if not told:
        return None
    found = worse(told)
    rest = [one for one in told["slices"] if not one["worse"]]
    parts: list[Html] = [tag("p", _sentence(told, len(found), facts.judged))]
    if found:
        parts.append(_listed(found[:MOST], told["metric"]))
    if len(found) > MOST:
        parts.append(
            tag("p", f"{counted(len(found) - MOST, 'more group')} are in slices/{told['part']}.json.", class_="aside")
        )
    if rest:
        parts.append(
            details(f"{counted(len(rest), 'group')} that chance explains", _listed(rest[:MOST], told["metric"]))
        )
    if told["confidence"]:
        parts.append(details("by the model's own confidence", _sure(told["confidence"])))
    return section("slices", "Where it is worse", *parts, tag("p", _how(told), class_="aside"))


def _sentence(told: Mapping[str, Any], many: int, part: str) -> str:
    where = PARTS.get(part, "rows")
    if not many:
        return f"On none of {counted(told['tested'], 'group')} of the {where} is it worse than on the rest beyond what chance explains."
    verb = "is" if many == 1 else "are"
    return f"{count(many)} of {counted(told['tested'], 'group')} of the {where} {verb} worse than the rest, beyond what chance explains."


def _listed(found: Sequence[Mapping[str, Any]], metric: str) -> Html:
    heads = ["by", "rows with", "rows", metric, "95 % interval", "the rest", "worse by", "chance"]
    rows = [
        [
            one["by"],
            tag("b", one["name"]) if one["worse"] else one["name"],
            count(one["count"]),
            score(one["score"]),
            interval(one["interval"]) or ABSENT,
            score(one["rest"]),
            score(one["difference"]),
            number(one["chance"], 2),
        ]
        for one in found
    ]
    return table(heads, rows, numbers=(2, 3, 4, 5, 6, 7))


def _sure(found: Sequence[Mapping[str, Any]]) -> Html:
    ordered = sorted(found, key=lambda one: float(one["score"]))
    rows = [[one["name"], count(one["count"]), score(one["score"]), interval(one["interval"])] for one in ordered]
    return table(["highest probability", "rows", "accuracy", "95 % interval"], rows, numbers=(1, 2, 3))


def _how(told: Mapping[str, Any]) -> str:
    words = [
        f"Groups with at least {told['least']} rows, each against all other rows. The chance is that groups drawn at random look as bad, "
        f"corrected for the {count(told['tested'])} that were looked at (Holm); below 0.05 a group is called worse. Groups overlap: "
        "several lines may tell of the same rows."
    ]
    if told["asked"] != told["metric"]:
        words.append(
            f"Measured by {told['metric']}, for {told['asked']} goes with how common each class is, or how far the target spreads, in a group."
        )
    return " ".join(words)
