"""The manual pages of audits, checks, rules and experiments, read from their files: no page needs torch."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tunesmith.verbs.words import row, wrapped

ROOMS: Mapping[str, str] = {
    "audit": "audits",
    "check": "preflight",
    "rule": "diagnosis",
    "experiment": "causes",
}
HEADINGS = ("Sees", "Matters", "Remedies", "Limits", "Source")
COSTS = {
    "CHEAP": "cheap: a batch, or a look at the columns",
    "PASS": "a pass over the data, or some updates",
    "DEAR": "dear: short trainings",
}


@dataclass(frozen=True, slots=True)
class Page:
    """What the file of an audit, a check or a rule says of it."""

    name: str
    title: str  # the first sentence
    rows: Mapping[str, str]  # by heading
    faults: tuple[str, ...]
    cost: str  # of a rule ""
    needs: tuple[str, ...] = ()  # the quantities of which a rule needs one


@cache
def pages(family: str) -> Mapping[str, Page]:
    """The pages of a family ("audit", "check") by name."""
    found = {}
    for file in (files("tunesmith") / "doctor" / ROOMS[family]).iterdir():  # as files: importing a room may load torch
        if file.name.endswith(".py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for page in _members(tree, family):
                found[page.name] = page
    return dict(sorted(found.items()))


def _members(tree: ast.Module, decorator: str) -> Iterator[Page]:
    for node in tree.body:
        for one in getattr(node, "decorator_list", ()):
            if isinstance(one, ast.Call) and getattr(one.func, "id", "") == decorator:
                told = {word.arg: word.value for word in one.keywords}
                name, title, rows = ast.literal_eval(one.args[0]), *taken_apart(ast.get_docstring(tree) or "")
                cost = getattr(told.get("cost"), "id", "")
                faults = tuple(ast.literal_eval(told["faults"])) if "faults" in told else (name,)
                asked = ast.walk(told["needs"]) if "needs" in told else ()
                needs = tuple(
                    part.value for part in asked if isinstance(part, ast.Constant) and isinstance(part.value, str)
                )
                yield Page(name, title, rows, faults, cost, needs)


def taken_apart(text: str, headings: Sequence[str] = HEADINGS) -> tuple[str, dict[str, str]]:
    """The first sentence of a page without its name, and its paragraphs by heading.

    >>> taken_apart("mixed: one of many.\\n\\nSees      a thing\\n          and more.\\nLimits    none.")
    ('one of many.', {'Sees': 'a thing and more.', 'Limits': 'none.'})
    """
    head, _, body = text.strip().partition("\n\n")
    rows: dict[str, str] = {}
    label = ""
    for line in body.splitlines():
        match = re.match(rf"({'|'.join(headings)})\s{{2,}}(.*)", line)
        if match:
            label, rows[match[1]] = match[1], match[2].strip()
        elif label and line.strip():
            rows[label] += f" {line.strip()}"
    return " ".join(head.partition(": ")[2].split()) or " ".join(head.split()), rows


def check_page(family: str, name: str, width: int) -> str:
    """The page of one audit, check or rule."""
    page = pages(family)[name]
    rows = [(label, page.rows[label]) for label in HEADINGS if label in page.rows]
    rows += [("Faults", ", ".join(page.faults)), ("Cost", COSTS.get(page.cost, page.cost))]
    rows.append(("Needs", " or ".join(page.needs)))
    return laid_out(f"{family}.{name} · {page.title}", rows, width)


def laid_out(head: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    """A page: its first sentence, and what stands under each label, where anything does."""
    told = (row(label, text, width) for label, text in rows if text)
    return "\n\n".join([wrapped(head, width), "\n".join(told)])


def family_page(family: str, found: Mapping[str, Page], width: int) -> str:
    """All of a family, each with its first sentence."""
    longest = max(map(len, found), default=0)
    lines = []
    for name, page in found.items():
        line = f"{name:<{longest}}  {page.title}"
        lines.append(line if len(line) <= width else line[: width - 2].rsplit(" ", 1)[0] + " …")
    return "\n".join([f"{family}: {len(found)} members, each with `tunesmith explain {family}.<name>`", "", *lines])


def seen_by(fault: str) -> list[str]:
    """The audits, checks and rules that may yield a fault."""
    return [f"{family}.{name}" for family in ROOMS for name, page in pages(family).items() if fault in page.faults]


def found_page(name: str, width: int) -> str | None:
    """The page of a family, of `family.member`, or of a member's bare name that no other family of checks has."""
    if name in ROOMS:
        return family_page(name, pages(name), width)
    family, _, member = name.partition(".")
    if family in ROOMS and member in pages(family):
        return check_page(family, member, width)
    having = [one for one in ROOMS if name in pages(one)]
    return "\n\n".join(check_page(one, name, width) for one in having) or None


def names() -> Iterator[str]:
    """Every name that has a page here."""
    for family in ROOMS:
        yield family
        for member in pages(family):
            yield f"{family}.{member}"
            yield member


def as_plain(family: str) -> list[dict[str, Any]]:
    """The pages as data, for the docs."""
    return [
        {"name": page.name, "title": page.title, "faults": list(page.faults), "cost": page.cost, **page.rows}
        for page in pages(family).values()
    ]
