"""The manual pages of surgeries, read from their files: no page needs torch."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from tunesmith.verbs.check_pages import Page, pages
from tunesmith.verbs.words import row, wrapped

FAMILY = "surgery"
HEADINGS = ("Does", "Mends", "Limits", "Source")


@cache
def surgeries() -> Mapping[str, Page]:
    """The pages by name."""
    found = {}
    for file in (files("tunesmith") / "doctor" / "repair" / FAMILY).iterdir():
        if not file.name.endswith(".py"):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for name, faults in _members(tree):
            title, rows = _taken_apart(ast.get_docstring(tree) or "")
            found[name] = Page(name, title, rows, faults, "")
    return dict(sorted(found.items()))


def _members(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    calls = [one for node in tree.body for one in getattr(node, "decorator_list", ()) if isinstance(one, ast.Call)]
    calls += [node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    for call in calls:
        kind, told = getattr(call.func, "id", ""), {word.arg: word.value for word in call.keywords}
        if kind == "surgery":
            yield ast.literal_eval(call.args[0]), tuple(ast.literal_eval(told["faults"]))
        if kind == "of_experiment":
            name, *experiments = (ast.literal_eval(one) for one in call.args)
            undone = [fault for one in experiments for fault in pages("experiment")[one].faults]
            yield name, tuple(dict.fromkeys([*undone, *ast.literal_eval(told.get("also", ast.Tuple([])))]))


def _taken_apart(text: str) -> tuple[str, dict[str, str]]:
    head, _, body = text.strip().partition("\n\n")
    rows: dict[str, str] = {}
    label = ""
    for line in body.splitlines():
        match = re.match(rf"({'|'.join(HEADINGS)})\s{{2,}}(.*)", line)
        if match:
            label, rows[match[1]] = match[1], match[2].strip()
        elif label and line.strip():
            rows[label] += f" {line.strip()}"
    return " ".join(head.partition(": ")[2].split()), rows


def surgery_page(name: str, width: int) -> str | None:
    """The page of the family (`surgery`) or of a member (`surgery.rate`); None for any other name."""
    found: Mapping[str, Any] = surgeries()
    if name == FAMILY:
        longest = max(map(len, found))
        lines = [f"{one:<{longest}}  {page.title}" for one, page in found.items()]
        lines = [line if len(line) <= width else line[: width - 2].rsplit(" ", 1)[0] + " …" for line in lines]
        return "\n".join([f"surgery: {len(found)} members, each with `tunesmith explain surgery.<name>`", "", *lines])
    family, _, member = name.partition(".")
    if family != FAMILY or member not in found:
        return None
    page = found[member]
    rows = [(label, page.rows[label]) for label in HEADINGS if label in page.rows]
    rows.append(("Faults", ", ".join(page.faults)))
    head = wrapped(f"surgery.{member} · {page.title}", width)
    return "\n\n".join([head, "\n".join(row(label, text, width) for label, text in rows)])


def mended_by(fault: str) -> list[str]:
    """The surgeries that may mend a fault."""
    return [f"{FAMILY}.{name}" for name, page in surgeries().items() if fault in page.faults]


def names() -> Iterator[str]:
    """Every name that has a page here: a bare one may be that of something else."""
    yield FAMILY
    for name in surgeries():
        yield f"{FAMILY}.{name}"
