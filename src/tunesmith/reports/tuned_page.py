"""A tuning as one self-contained HTML file: what a person asks first on the first screen, what an engineer asks below."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunesmith.reports.facts import Facts, gather, read
from tunesmith.reports.markup import Html, Section, details, join, section, table, tag
from tunesmith.reports.page import document
from tunesmith.reports.sections.classes import confusion, per_class
from tunesmith.reports.sections.curves import curves
from tunesmith.reports.sections.headline import KINDS, PARTS, SMALL_IS_GOOD, whisker
from tunesmith.reports.sections.inputs import data, model, settings
from tunesmith.reports.sections.numbers import numbers
from tunesmith.reports.sections.probabilities import probabilities
from tunesmith.reports.sections.rounds import rounds
from tunesmith.reports.sections.samples import samples
from tunesmith.reports.sections.slices import slices
from tunesmith.reports.sections.story import findings
from tunesmith.reports.wording import count, duration, interval, number, score
from tunesmith.reports.worst_groups import worst_groups
from tunesmith.runs import Run
from tunesmith.runs.reading import finding_of
from tunesmith.runs.tuning import SEEN, Tuning

HANDED = "handed over"
CONSTANT = "constant answer"
UNSEEN = ("test", "held")  # parts that nothing was chosen on
NETS = ("net", "program")
OF_ERRORS = (confusion, per_class, probabilities, numbers, slices, samples)
OF_THE_NET = (curves, findings, data, settings, model)


def tuned_page(tuning: Tuning) -> str:
    """The page of a tuning, also of one that is not at its end."""
    title = str(tuning.asked.get("title") or tuning.folder.name)
    facts = _facts(tuning)
    parts = [rivals(tuning), timeline(tuning)]
    if facts is not None:
        parts += [made(facts) for made in OF_ERRORS]
        parts += [_named(made(facts), "The best net: ") for made in OF_THE_NET]
    parts += [rounds(tuning), changes(tuning), steps(tuning), again(tuning)]
    return document(f"{title} · Tunesmith", headline(tuning, title), [part for part in parts if part])


def _named(part: Section | None, before: str) -> Section | None:
    return None if part is None else replace(part, title=before + part.title[0].lower() + part.title[1:])


def net_facts(tuning: Tuning) -> Facts | None:
    """The best net's run with what the rules see in its curves; None where no net is there."""
    place = _net(tuning)
    if place is None or not (tuning.folder / place / "run.json").is_file():
        return None
    facts = gather(Run(tuning.folder / place))
    told = read(tuning.folder / SEEN) or {}
    if told.get("run") != place or not facts.evaluations:
        return facts
    found = tuple(finding_of(one) for one in told["findings"])
    end = facts.evaluations[-1]["step"]
    return replace(facts, findings=(*facts.findings, *found), seen=(*facts.seen, *((end, one) for one in found)))


def _facts(tuning: Tuning) -> Facts | None:
    """The same with the last judgement in the place of its own."""
    facts = net_facts(tuning)
    if facts is None:
        return None
    if not tuning.judged:
        return replace(facts, slices=None)  # those of the net alone are no judgement of the tuning
    part, row = tuning.judged["part"], tuning.judged["rows"][HANDED]
    constant = tuning.judged["rows"].get(CONSTANT, {})
    judged = {**row, "rows": row["count"], "baseline": constant.get("scores", {})}
    scores = {
        "parts": {part: judged},
        "metric": tuning.judged["metric"],
        "classes": tuning.handed.get("classes"),
        "temperature": tuning.handed.get("temperature"),
        "threshold": tuning.handed.get("threshold"),
        "threshold_rule": tuning.handed.get("rule"),
    }
    held = read(tuning.folder / "samples" / f"{part}.json")
    return replace(facts, folder=tuning.folder, scores=scores, samples=held, slices=_slices(tuning))


def _slices(tuning: Tuning) -> Mapping[str, Any] | None:
    told: Mapping[str, Any] | None = read(tuning.folder / "slices" / f"{tuning.judged['part']}.json")
    return told


def _net(tuning: Tuning) -> str | None:
    """Where the run of the best net lies: the last that a decision took."""
    found = {entry["step"]: entry["found"].get("run") for entry in tuning.steps if entry["found"].get("run")}
    taken = [one for one in tuning.decisions if one["taken"] and one["evidence"].get("run")]
    if taken:
        return str(taken[-1]["evidence"]["run"])
    return found.get("plain/net")


# The first screen


def headline(tuning: Tuning, title: str) -> Html:
    """What it is, how good it is, and the questions a person has first."""
    judged = tuning.judged
    kind = KINDS.get(str(tuning.asked.get("kind")), "")
    words = [
        f"predicts {kind}" if kind else "",
        f"tuned with a budget of {tuning.asked.get('budget', '')}",
        spent(tuning),
    ]
    head = tag("header", tag("h1", title), tag("p", " · ".join(word for word in words if word), class_="facts"))
    if not judged:
        return join(
            [head, tag("p", "This tuning has not come to its judgement yet.", class_="empty"), questions(tuning)]
        )
    return join([head, verdict(tuning), tiles(tuning), questions(tuning)])


def spent(tuning: Tuning) -> str:
    """Time and epochs of all steps."""
    seconds = sum(entry["seconds"] for entry in tuning.steps)
    epochs = sum(entry["epochs"] for entry in tuning.steps)
    return f"{duration(seconds)}, {number(epochs)} epochs" if tuning.steps else ""


def members(tuning: Tuning) -> str:
    """What is handed over, with the weights of an average."""
    members = tuning.handed.get("members", ())
    return " + ".join(f"{one['name']}" + (f" ({one['weight']:.0%})" if len(members) > 1 else "") for one in members)


def _ordered(tuning: Tuning) -> list[tuple[str, Mapping[str, Any]]]:
    """The rivals, best first."""
    name, better = tuning.judged["metric"], tuning.judged["better"]
    rows = [(other, row) for other, row in tuning.judged["rows"].items() if other != HANDED]
    known = [one for one in rows if one[1]["scores"].get(name) is not None]
    return sorted(known, key=lambda one: one[1]["scores"][name], reverse=better == "max")


def verdict(tuning: Tuning) -> Html:
    """One sentence for whoever reads nothing else."""
    judged, name = tuning.judged, tuning.judged["metric"]
    row = judged["rows"][HANDED]
    others = [one for one in _ordered(tuning) if one[0] != "best net"]
    beside = ", ".join(f"{score(one['scores'][name])} for the {other}" for other, one in others)
    kinds = {one["kind"] for one in tuning.handed.get("members", ())}
    simple = "" if kinds.intersection(NETS) else " No net was better than this simple model, so it is what you get."
    said = (
        f"{name} {score(row['scores'][name])}, 95 % interval {interval(row['intervals'][name])}, on {count(row['count'])} "
        f"{PARTS[judged['part']]}{_unseen(judged)}; beside it {beside}.{simple}"
    )
    return tag("p", said, class_="verdict")


def _unseen(judged: Mapping[str, Any]) -> str:
    return " that nothing was chosen on" if judged["part"] in UNSEEN else ", the same that everything was chosen on"


def tiles(tuning: Tuning) -> Html:
    """The score handed over first, its rivals after it."""
    name = tuning.judged["metric"]
    row = tuning.judged["rows"][HANDED]
    shown = [_tile(f"{name}, handed over", row, name, first=True)]
    shown += [_tile(other, one, name) for other, one in _ordered(tuning) if other != "best net"]
    return tag("div", *shown, class_="tiles few")


def _tile(title: str, row: Mapping[str, Any], name: str, *, first: bool = False) -> Html:
    bounds = row.get("intervals", {}).get(name)
    lines = [tag("div", title, class_="name"), tag("div", score(row["scores"][name]), class_="value")]
    if bounds:
        lines.append(tag("div", f"95 %: {interval(bounds)}", class_="small"))
    return tag("div", *lines, class_="tile first" if first else "tile")


def questions(tuning: Tuning) -> Html:
    """What a person asks first, each with its short answer."""
    made = (_trust, _worst, _wrong, _model, _done, _left, _next, _use, _cost)
    asked = [one for one in (answer(tuning) for answer in made) if one]
    return tag(
        "dl", *(tag("div", tag("dt", question), tag("dd", answer)) for question, answer in asked), class_="questions"
    )


Answered = tuple[str, Any] | None


def _trust(tuning: Tuning) -> Answered:
    if not tuning.judged:
        return None
    name, row = tuning.judged["metric"], tuning.judged["rows"][HANDED]
    low, high = row["intervals"][name]
    if tuning.judged["part"] not in UNSEEN:
        return (
            "Can I trust it?",
            "With care: there was no test part, so the score is flattered by all that was chosen on the same rows.",
        )
    return (
        "Can I trust it?",
        f"{count(row['count'])} rows were kept aside and looked at once, at the end; another draw of them would give {score(low)} to {score(high)}.",
    )


def _worst(tuning: Tuning) -> Answered:
    """Only where chance does not explain it."""
    words = worst_groups(_slices(tuning)) if tuning.judged else ""
    return ("Where is it worse?", words[0].upper() + words[1:] + ".") if words else None


def _said(tuning: Tuning, stage: str) -> list[Mapping[str, Any]]:
    return [one for one in tuning.decisions if one["stage"] == stage]


def _wrong(tuning: Tuning) -> Answered:
    found = [
        one
        for stage in ("look", "prove", "mend")
        for one in _said(tuning, stage)
        if "faults" in one["evidence"] or (stage == "mend" and one["taken"] and one["evidence"])
    ]
    if not _said(tuning, "look"):
        return None
    return "What was wrong?", " ".join(
        f"{one['because']}." for one in found
    ) or "Nothing above a note: not in the data, not in the program."


def _model(tuning: Tuning) -> Answered:
    if not tuning.handed:
        return None
    place = _net(tuning)
    held = read(tuning.folder / place / "model.json") if place is not None else None
    nets = [one for one in tuning.handed["members"] if one["kind"] == "net"]
    of = (
        f" Its net is {held['name']} with {count(sum(layer['parameters'] for layer in held['layers']))} parameters."
        if held and len(nets) == 1
        else ""
    )
    return "What is it?", f"{members(tuning).capitalize()}.{of}"


def _done(tuning: Tuning) -> Answered:
    taken = [
        one["title"]
        for one in tuning.decisions
        if one["stage"] in ("inputs", "mend", "pretrained", "search", "regularise", "longer", "squeeze", "distil")
        and one["taken"]
        and one["instead"]
    ]
    return (
        "What helped?",
        f"{taken[0][0].upper()}{'; '.join(taken)[1:]}."
        if taken
        else "Nothing that was tried was better than the default.",
    )


def _left(tuning: Tuning) -> Answered:
    left = [one["title"].removesuffix(" is left") for one in tuning.decisions if not one["taken"] and one["instead"]]
    words = "; ".join(left)
    return ("What was tried in vain?", words[0].upper() + words[1:] + ".") if left else None


def _next(tuning: Tuning) -> Answered:
    """Advice from what was seen; the first that applies."""
    look = [one for one in _said(tuning, "look") if "faults" in one["evidence"]]
    if look:
        return (
            "What next?",
            "Settle what the look at the data found, then tune again: it limits what any model can reach.",
        )
    cut = [
        one
        for one in tuning.decisions
        if not one["taken"]
        and ("budget" in one["because"] or "left" in one["because"])
        and one["stage"] in ("pretrained", "search", "regularise", "longer")
    ]
    if cut:
        return "What next?", f"A larger budget: {cut[0]['title']} ({cut[0]['because']})."
    measured = [one for one in _said(tuning, "worth") if one["evidence"]]
    if measured:
        return "What next?", f"{measured[0]['title'].capitalize()} ({measured[0]['because']})."
    return (
        "What next?",
        "More rows, if they can be had: no setting that was tried moved the score beyond the choice of the rows any more.",
    )


def _use(tuning: Tuning) -> Answered:
    if not tuning.handed:
        return None
    if tuning.asked.get("program"):
        return "How do I use it?", tag("code", f"tunesmith.load({tuning.folder.name!r}, model=net)")
    return "How do I use it?", tag("code", f"tunesmith predict {tuning.folder.name} NEW_DATA")


def _cost(tuning: Tuning) -> Answered:
    if not tuning.steps:
        return None
    dearest = max(tuning.steps, key=lambda entry: entry["seconds"])
    return (
        "What did it cost?",
        f"{spent(tuning)} of training; most of it for {dearest['step']} ({duration(dearest['seconds'])}).",
    )


# Below it


def rivals(tuning: Tuning) -> Section | None:
    """Every model that was judged, by every metric."""
    if not tuning.judged:
        return None
    name = tuning.judged["metric"]
    rows = [(HANDED, tuning.judged["rows"][HANDED]), *_ordered(tuning)]
    names = [name, *(other for other in rows[0][1]["scores"] if other != name)]
    base = tuning.judged["rows"].get(CONSTANT, {}).get("scores", {}).get(name)
    lines = [
        [
            tag("b", title, class_="whole") if title == HANDED else tag("span", title, class_="whole"),
            score(row["scores"].get(name)),
            interval(row["intervals"].get(name)),
            whisker(name, row["scores"].get(name), row["intervals"].get(name), base),
            *(score(row["scores"].get(other)) for other in names[1:]),
        ]
        for title, row in rows
    ]
    heads = ["model", name, "95 % interval", "", *names[1:]]
    small = " Smaller is better." if name in SMALL_IS_GOOD else ""
    note = tag(
        "p", f"All on the same {count(rows[0][1]['count'])} rows, which were looked at once.{small}", class_="aside"
    )
    return section("rivals", "Beside others", table(heads, lines, numbers=(1, 2, *range(4, len(heads)))), note)


def timeline(tuning: Tuning) -> Section | None:
    """Each decision with its evidence, and the way that was not taken."""
    if not tuning.decisions:
        return None
    items = [
        tag(
            "li",
            tag("div", tag("span", one["stage"], class_="stage"), tag("b", one["title"])),
            tag("p", one["because"]),
            _instead(one["instead"]),
            details("the numbers", _evidence(one["evidence"])) if one["evidence"] else Html(),
            class_="taken" if one["taken"] else "left",
        )
        for one in tuning.decisions
    ]
    return section("decisions", "What was done, and why", tag("ol", *items, class_="timeline"))


def _instead(instead: Mapping[str, Any]) -> Html:
    if not instead:
        return Html()
    figures = ", ".join(f"{name} {_value(value)}" for name, value in instead.items() if name != "way")
    return tag("p", f"Not taken: {instead.get('way', '')} ({figures})", class_="aside")


def _evidence(evidence: Mapping[str, Any]) -> Html:
    return table(["", ""], [[name, _value(value)] for name, value in evidence.items() if name != "run"])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_value(one)}" for name, one in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value(one) for one in value) or "none"
    return number(value) if isinstance(value, float) else str(value)


def changes(tuning: Tuning) -> Section | None:
    """What to write into the script of a program."""
    if not tuning.asked.get("program") or not tuning.handed:
        return None
    lines = tuning.handed.get("lines", ())
    said = tag("pre", "\n".join(lines)) if lines else tag("p", "Nothing: it is best as it is.", class_="aside")
    return section("changes", "What to change in the program", said)


def steps(tuning: Tuning) -> Section | None:
    """What it cost, step by step."""
    if not tuning.steps:
        return None
    rows = [
        [entry["step"], duration(entry["seconds"]), number(entry["epochs"]) if entry["epochs"] else ""]
        for entry in tuning.steps
        if not entry["step"].startswith("plan/")
    ]
    return section("cost", "What it cost", table(["step", "time", "epochs"], rows, numbers=(1, 2)))


def command(tuning: Tuning) -> str:
    """The command that began it, as it was typed; "" where none did."""
    from shlex import join as quoted

    words = tuning.asked.get("command") or ()
    return f"tunesmith {quoted(words)}" if words else ""


def again(tuning: Tuning) -> Section | None:
    """The command, and what a second run of it gives."""
    typed = command(tuning)
    if not typed:
        return None
    timed = tuning.asked.get("unit") == "seconds"
    note = (
        "Under a budget in time the clock decides how much is tried: what was obtained is kept, and what the clock chose stands among the decisions. "
        "With a budget in epochs the same command gives the same result."
        if timed
        else "The same command on the same data gives the same result."
    )
    return section("again", "How to do it again", tag("pre", typed), tag("p", note, class_="aside"))
