"""The manual pages of surgeries, read from their files: no page needs torch."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from tunesmith.verbs.check_pages import Page, family_page, laid_out, pages, taken_apart

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
            title, rows = taken_apart(ast.get_docstring(tree) or "", HEADINGS)
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


def surgery_page(name: str, width: int) -> str | None:
    """The page of the family (`surgery`) or of a member (`surgery.rate`); None for any other name."""
    if name == FAMILY:
        return family_page(FAMILY, surgeries(), width)
    family, _, member = name.partition(".")
    if family != FAMILY or member not in surgeries():
        return None
    page = surgeries()[member]
    rows = [(label, page.rows.get(label, "")) for label in HEADINGS] + [("Faults", ", ".join(page.faults))]
    return laid_out(f"surgery.{member} · {page.title}", rows, width)


def mended_by(fault: str) -> list[str]:
    """The surgeries that may mend a fault."""
    return [f"{FAMILY}.{name}" for name, page in surgeries().items() if fault in page.faults]


def names() -> Iterator[str]:
    """Every name that has a page here: a bare one may be that of something else."""
    yield FAMILY
    for name in surgeries():
        yield f"{FAMILY}.{name}"
