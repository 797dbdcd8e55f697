"""Tables from rows: medians over the rounds, ratios within them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

Row = Mapping[str, Any]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a file; of those of one case, round and machine the newest alone."""
    if not path.exists():
        return []
    newest: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        newest[json.dumps([row["case"], row["pair"], row["machine"]], sort_keys=True)] = row
    return list(newest.values())


def render(module: ModuleType, rows: Sequence[Row]) -> str:
    """The page of a benchmark: its docstring, its table (`module.table(rows)`, else one of medians), and the machine."""
    good = [row for row in rows if "measured" in row]
    title = module.__name__.replace("_", " ").capitalize()
    table = module.table(good) if hasattr(module, "table") else medians(good)
    told = [
        table,
        failures(rows),
        machines(good),
        f"Made by `python benchmarks/run {module.__name__}` and `python benchmarks/run --tables`.",
    ]
    return "\n\n".join([f"# {title}", (module.__doc__ or "").strip(), *(text for text in told if text)]) + "\n"


def medians(rows: Sequence[Row]) -> str:
    """A line for each case: its settings, and the median of each number it measured."""
    groups = by_case(rows)
    settings = list(dict.fromkeys(name for group in groups for name in group[0]["case"]))
    numbers = list(dict.fromkeys(name for group in groups for row in group for name in row["measured"]))
    lines = []
    for group in groups:
        values = [middle(row["measured"].get(name) for row in group) for name in numbers]
        lines.append([str(group[0]["case"].get(name, "")) for name in settings] + values + [str(len(group))])
    return markdown([*settings, *numbers, "rounds"], lines)


def by_case(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in groups of one case on one machine, in the order in which they first came."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(json.dumps([row["case"], row["machine"]], sort_keys=True), []).append(row)
    return list(groups.values())


def ratio(rows: Sequence[Row], base: Sequence[Row], number: str) -> float | None:
    """The median over the rounds of a number divided by the base's in the same round; None where no round has both."""
    bases = {row["pair"]: row["measured"][number] for row in base}
    ratios = [row["measured"][number] / bases[row["pair"]] for row in rows if bases.get(row["pair"])]
    return median(ratios) if ratios else None


def middle(values: Iterable[Any]) -> str:
    """The median of numbers, with four digits; other values as they are."""
    found = [value for value in values if value is not None]
    if not found:
        return ""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in found):
        return ", ".join(dict.fromkeys(str(value) for value in found))
    number = median(found)
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def machines(rows: Sequence[Row]) -> str:
    """One sentence for each machine the rows come from."""
    told = {}
    for row in rows:
        at = row["machine"]
        threads = f", {at['threads']} thread(s)" if at.get("threads") else ""
        torch = f", torch {at['torch']}" if at.get("torch") else ""
        text = f"{at['cpu']}, {at['cores']} cores, {at['system']}, Python {at['python']}{torch}{threads}"
        told.setdefault(text, []).append(row)
    return "\n".join(
        f"Measured {' to '.join(sorted({min(row['date'] for row in group)[:10], max(row['date'] for row in group)[:10]}))} on {text}; "
        f"commits {', '.join(sorted({row['commit'] for row in group}))}."
        for text, group in told.items()
    )


def failures(rows: Sequence[Row]) -> str:
    done = {json.dumps(row["case"], sort_keys=True) for row in rows if "error" not in row}
    said = {
        f"* {json.dumps(row['case'])} failed: {row['error']}": None
        for row in rows
        if "error" in row and json.dumps(row["case"], sort_keys=True) not in done
    }
    return "\n".join(said)
