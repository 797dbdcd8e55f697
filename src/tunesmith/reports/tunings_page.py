"""Several tunings beside each other as one self-contained HTML file: scores, what was decided, the best nets, what it cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.blocks.metrics.bootstrap import chance_above, percentiles, resamples
from tunesmith.blocks.metrics.definition import metric
from tunesmith.blocks.metrics.judged import Judged
from tunesmith.reports.facts import Array
from tunesmith.reports.markup import Html, Section, join, section, table, tag
from tunesmith.reports.page import differing, document, overlaid, unlike
from tunesmith.reports.sections.headline import SMALL_IS_GOOD
from tunesmith.reports.tuned_page import HANDED, command, members, net_facts, spent
from tunesmith.reports.wording import ABSENT, count, duration, interval, number, percent, score
from tunesmith.runs.tuning import Tuning

RESAMPLES = 400  # assumption: a chance of .9 is known to .015
LEVEL = 0.95


def tunings_page(tunings: Sequence[Tuning]) -> str:
    """The page of several tunings."""
    names = unlike([one.folder.name for one in tunings])
    head = tag("header", tag("h1", f"{len(tunings)} tunings"), tag("p", ", ".join(names), class_="facts"))
    parts = [compared(tunings, names), models(tunings, names), decided(tunings, names), *nets(tunings, names)]
    parts += [costs(tunings, names), commands(tunings, names)]
    return document("Tunings · Tunesmith", head, [part for part in parts if part])


def compared(tunings: Sequence[Tuning], names: Sequence[str]) -> Section:
    """One row a tuning; where all were judged on the same rows, the difference from the first with its interval."""
    judged = [one for one in tunings if one.judged]
    metrics = list(dict.fromkeys(one.judged["metric"] for one in judged))
    same = len(judged) > 1 and len(metrics) == 1 and _same_rows(judged)
    heads = ["tuning", "data", "budget", "spent", *metrics, "95 % interval", *(["less the first"] if same else [])]
    heads += ["judged rows", "handed over"]
    first = judged[0] if same else None
    rows = [_row(one, name, metrics, first) for one, name in zip(tunings, names, strict=True)]
    note = tag("p", _comparable(judged, metrics, same), class_="aside")
    return section("tunings", "Tunings", table(heads, rows, numbers=range(4, len(heads) - 1)), note)


def _row(tuning: Tuning, name: str, metrics: Sequence[str], first: Tuning | None) -> list[Any]:
    asked = tuning.asked
    cells: list[Any] = [tag("b", name), str(asked.get("title", "")), str(asked.get("budget", "")), spent(tuning)]
    if not tuning.judged:
        return [*cells, *(ABSENT for _ in metrics), ABSENT, *([ABSENT] if first else []), ABSENT, "not judged yet"]
    deciding, row = tuning.judged["metric"], tuning.judged["rows"][HANDED]
    cells += [
        tag("b", score(row["scores"].get(one))) if one == deciding else score(row["scores"].get(one)) for one in metrics
    ]
    cells.append(interval(row["intervals"].get(deciding)))
    if first is not None:
        cells.append(ABSENT if tuning is first else _difference(tuning, first))
    return [*cells, count(row["count"]), members(tuning)]


def _comparable(judged: Sequence[Tuning], metrics: Sequence[str], same: bool) -> str:
    if len(judged) < 2:
        return "Fewer than two of them have come to their judgement."
    if same:
        return (
            f"All were judged on the same rows. The difference is that of {metrics[0]}, with the {LEVEL:.0%} interval of {RESAMPLES} resamples of "
            "these rows and the share of them in which the tuning is better than the first: both see the same rows, so it says more than "
            "two intervals that overlap."
        )
    if len({one.asked.get("fingerprint") for one in judged}) > 1:
        return "They were not judged on the same data: their scores stand beside each other, but are no comparison."
    return "They were judged on different rows of the same data, or by different metrics: what lies within the intervals is no difference."


def _held(tuning: Tuning) -> Mapping[str, Array]:
    place = tuning.folder / "predictions" / f"{tuning.judged['part']}.npz"
    if not place.is_file():
        return {}
    with np.load(place, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _same_rows(judged: Sequence[Tuning]) -> bool:
    """The same rows of the same data, with the same truth and the same classes."""
    held = [_held(one) for one in judged]
    if not all(held) or len({str(one.asked.get("fingerprint")) for one in judged}) > 1:
        return False
    if any(one.handed.get("classes") != judged[0].handed.get("classes") for one in judged):
        return False
    return all(np.array_equal(one[key], held[0][key]) for one in held for key in ("rows", "target"))


def _difference(tuning: Tuning, first: Tuning) -> str:
    """A paired bootstrap over the rows (Efron & Tibshirani 1993, chapter 13)."""
    name, kind = tuning.judged["metric"], str(tuning.handed["kind"])
    measure = metric(name, kind=kind, classes=tuning.handed.get("classes"))
    both = [_judged(one, kind) for one in (tuning, first)]
    sign = -1.0 if name.partition(":")[0] in SMALL_IS_GOOD else 1.0
    plain = both[0].weights(None)
    value = measure(both[0], plain) - measure(both[1], plain)
    drawn = np.array(
        [measure(both[0], rows) - measure(both[1], rows) for rows in resamples(both[0], plain, RESAMPLES, 0)]
    )
    low, high = percentiles(drawn, LEVEL)
    better = chance_above(sign * drawn)
    return f"{value:+.4f} ({interval((low, high))}), better in {percent(better)}"


def _judged(tuning: Tuning, kind: str) -> Judged:
    held = _held(tuning)
    positive = tuning.handed.get("positive")
    said = held["probabilities" if "probabilities" in held else "values"]
    return Judged(kind, held["target"], said, 1 if positive is None else positive, tuning.handed.get("threshold"))


def models(tunings: Sequence[Tuning], names: Sequence[str]) -> Section | None:
    """Every model that was judged, by the deciding metric of its tuning."""
    judged = [one.judged for one in tunings]
    found = list(dict.fromkeys(title for one in judged if one for title in one["rows"]))
    if not found:
        return None
    rows = [
        [
            tag("b", title) if title == HANDED else title,
            *(
                score(one["rows"].get(title, {}).get("scores", {}).get(one["metric"])) if one else ABSENT
                for one in judged
            ),
        ]
        for title in found
    ]
    return section("models", "Beside others", table(["model", *names], rows, numbers=range(1, len(names) + 1)))


def decided(tunings: Sequence[Tuning], names: Sequence[str]) -> Section | None:
    """What each decided, stage by stage."""
    stages = list(
        dict.fromkeys(one["stage"] for tuning in tunings for one in tuning.decisions if one["stage"] != "plan")
    )
    if not stages:
        return None
    rows = [[stage, *(_of_stage(tuning, stage) for tuning in tunings)] for stage in stages]
    note = tag("p", "What was tried and left is grey; why stands on the page of each tuning.", class_="aside")
    return section("decisions", "What was done", table(["stage", *names], rows), note)


def _of_stage(tuning: Tuning, stage: str) -> Html:
    lines = [
        tag("div", one["title"], class_=None if one["taken"] else "facts", title=one["because"])
        for one in tuning.decisions
        if one["stage"] == stage
    ]
    return join(lines) if lines else Html(ABSENT)


def nets(tunings: Sequence[Tuning], names: Sequence[str]) -> list[Section]:
    """Curves of the best nets over each other, and the settings in which they differ."""
    told = [(made, name) for one, name in zip(tunings, names, strict=True) if (made := net_facts(one)) is not None]
    if len(told) < 2:
        return []
    facts, kept = [one for one, _ in told], [name for _, name in told]
    return [part for part in (overlaid(facts, kept), differing(facts, kept)) if part]


def costs(tunings: Sequence[Tuning], names: Sequence[str]) -> Section | None:
    """Time and epochs by stage."""
    stages = list(dict.fromkeys(_stage(entry) for one in tunings for entry in one.steps if _stage(entry) != "plan"))
    if not stages:
        return None
    rows = [[stage, *(_cost(one, stage) for one in tunings)] for stage in stages]
    rows.append([tag("b", "all"), *(spent(one) for one in tunings)])
    return section("cost", "What it cost", table(["stage", *names], rows, numbers=range(1, len(names) + 1)))


def _stage(entry: Mapping[str, Any]) -> str:
    return str(entry["step"]).partition("/")[0]


def _cost(tuning: Tuning, stage: str) -> str:
    found = [entry for entry in tuning.steps if _stage(entry) == stage]
    epochs = sum(entry["epochs"] for entry in found)
    more = f", {number(epochs)} epochs" if epochs else ""
    return f"{duration(sum(entry['seconds'] for entry in found))}{more}" if found else ABSENT


def commands(tunings: Sequence[Tuning], names: Sequence[str]) -> Section | None:
    """The command of each."""
    lines = [
        join([tag("p", tag("b", name)), tag("pre", typed)])
        for one, name in zip(tunings, names, strict=True)
        if (typed := command(one))
    ]
    return section("again", "How to do it again", *lines) if lines else None
