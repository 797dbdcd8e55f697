"""The rules of thumb in words, for `tunesmith explain`."""

import textwrap

from tunesmith.blocks.experience import context
from tunesmith.blocks.experience.experience import current
from tunesmith.blocks.experience.rule import MARKS, STANDINGS, Bound, Rule, Start

PARTS = {
    "rate": "Learning rate and schedule",
    "batch": "Batch",
    "model": "Model",
    "regularisation": "Regularisation",
    "data": "Data, loss, evaluation",
    "search": "Search, budget, endgame",
}
LABEL = 11  # columns of a label


def rule_page(id: str, width: int = 100) -> str:
    """What guides say, how far it holds, what to do instead, the numbers, the source. Raises `UnknownName`."""
    rule = current()[id]
    told = " ".join(f"[{mark}] {MARKS[mark]}." for mark in rule.marks)
    rows = [
        ("About", rule.about),
        ("Guides say", rule.guides),
        ("Standing", f"{rule.standing}: {STANDINGS[rule.standing]}"),
        ("Condition", rule.condition),
        ("Advice", rule.advice),
        ("Because", rule.because),
        *(("Start", _start_words(one)) for one in rule.starts),
        *(("Factor", f"{one.path} times {one.times:.3g} for {context.words(one.when)}") for one in rule.factors),
        *((one.severity.capitalize(), _bound_words(one)) for one in rule.bounds),
        ("Numbers", ", ".join(f"{name} {_shown(value)}" for name, value in rule.numbers.items())),
        ("Holds for", context.words(rule.when)),
        ("Settings", ", ".join(rule.paths)),
        ("Source", f"{rule.source} {told}"),
        ("Yours", f"{', '.join(rule.own)}: from your file {rule.origin}" if rule.origin else ""),
    ]
    lines = [f"experience.{id} · rule of thumb", ""]
    return "\n".join([*lines, *(_row(label, text, width) for label, text in rows if text)])


def overview(width: int = 100) -> str:
    """All rules by part, each in one line; then the advice that contradicts itself."""
    rules = current()
    lines = [f"experience: {len(rules)} rules of thumb, each with `tunesmith explain experience.<id>`"]
    for part, title in PARTS.items():
        held = [rule for rule in rules.values() if rule.part == part]
        longest = max((len(rule.id) for rule in held), default=0)
        lines += [
            "",
            title,
            *(_cut(f"  {rule.id:<{longest}}  {rule.standing:<5}  {rule.about}", width) for rule in held),
        ]
    return "\n".join([*lines, "", contradictions_page(width)])


def contradictions_page(width: int = 100) -> str:
    """Advice of guides that contradicts itself, with the condition that separates the two."""
    lines = ["Advice that contradicts itself, and what separates the two"]
    for one in current().contradictions:
        text = f"{one.about}: {one.one}; or {one.other}. {one.condition} ({', '.join(one.rules)})"
        lines.append(textwrap.fill(text, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))
    return "\n".join(lines)


def rules_of_path(path: str, width: int = 100) -> str:
    """The section of a field's page: standing, start, range and source of the rules that concern it; "" without any."""
    rules = current().rules_for(path)
    if not rules:
        return ""
    numbered = [rule for rule in rules if rule.has_numbers_for(path)]
    lines = ["Rules of thumb (each with `tunesmith explain experience.<id>`)"]
    for rule in numbered:
        yours = f" (from your file {rule.origin})" if rule.origin else ""
        lines.append(_wrapped(f"{rule.id} · {rule.standing} · {_first(rule, path)}{yours}", width))
        source = f"{rule.source.partition(';')[0]} [{', '.join(rule.marks)}]"
        lines.append(textwrap.fill(source, width, initial_indent=" " * 4, subsequent_indent=" " * 4))
    others = [rule.id for rule in rules if rule not in numbered]
    return "\n".join([*lines, *([_wrapped(f"see also {', '.join(others)}", width)] if others else [])])


def _first(rule: Rule, path: str) -> str:
    """What a rule says of a path first, and how much more there is on its page."""
    said = [
        f"start {_shown(one.start)}{_range(one)}" + _where({**rule.when, **one.when})
        for one in rule.starts
        if one.path == path
    ]
    said += [f"times {one.times:.3g} for {context.words(one.when)}" for one in rule.factors if one.path == path]
    said += [] if said else [f"{one.severity} {_limits(one)}" for one in rule.bounds if one.path == path]
    return said[0] + (f"; {len(said) - 1} more" if len(said) > 1 else "")


def _start_words(one: Start) -> str:
    return f"{one.path} {_shown(one.start)}{_where(one.when)}{_range(one)}"


def _range(one: Start) -> str:
    if one.choices:
        return f", one of {', '.join(map(_shown, one.choices))}"
    if one.low is None or one.high is None:
        return ""
    how = " (log)" if one.log and not one.complement else " (log of 1 - value)" if one.complement else ""
    step = ", powers of two" if one.powers_of_two else f", multiples of {one.multiple}" if one.multiple else ""
    return f", range {_shown(one.low)} to {_shown(one.high)}{how}{step}"


def _bound_words(one: Bound) -> str:
    return f"{one.path} {_limits(one)}: {one.says}"


def _limits(one: Bound) -> str:
    words = [
        f"{word} {_shown(limit)}"
        for word, limit in (("below", one.below), ("above", one.above), ("from", one.at_least))
        if limit is not None
    ]
    words += [f"at {' or '.join(one.one_of)}"] if one.one_of else []
    return " or ".join(words) + _where(one.when)


def _where(condition: context.Condition) -> str:
    return f" for {context.words(condition)}" if condition else ""


def _shown(value: object) -> str:
    if isinstance(value, tuple | list):
        return " ".join(map(_shown, value))
    return f"{value:.6g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _row(label: str, text: str, width: int) -> str:
    return textwrap.fill(f"{label:<{LABEL}}{text}", width, subsequent_indent=" " * LABEL, break_on_hyphens=False)


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 2].rsplit(" ", 1)[0] + " …"
