"""What went in: rows, columns, the model, every setting with its source."""

from collections.abc import Mapping
from typing import Any

from tunesmith.reports.facts import Facts
from tunesmith.reports.markup import Html, Section, details, join, section, table, tag
from tunesmith.reports.wording import count, equation, number, percent, setting, shape

MOST_COLUMNS = 40
NAMES = {"train": "training", "val": "validation", "test": "test"}
COLOURS = {"train": 1, "val": 2, "test": 3}


def data(facts: Facts) -> Section | None:
    """How the rows were divided and what each column was taken for."""
    parts = [piece for piece in (divided(facts), columns(facts)) if piece]
    return section("data", "Data", *parts) if parts else None


def divided(facts: Facts) -> Html | None:
    rows: Mapping[str, int] = facts.split.get("rows", {})
    total = sum(rows.values())
    if not total:
        return None
    bars = [
        tag("i", class_=f"c{COLOURS[part]}", style=f"width:{100 * many / total:.2f}%", title=part)
        for part, many in rows.items()
    ]
    words = [
        tag("span", tag("i", class_=f"key c{COLOURS[part]}"), f"{NAMES[part]} {count(many)} ({percent(many / total)})")
        for part, many in rows.items()
    ]
    method = (
        f"{count(total)} rows, split: {facts.split['name']}." if facts.split.get("name") else f"{count(total)} rows."
    )
    print_ = facts.run.get("fingerprint")
    mark = f" Fingerprint of the data: {str(print_)[:16]}." if print_ else ""
    return join([tag("p", method + mark), tag("div", *bars, class_="shares"), tag("div", *words, class_="legend")])


def columns(facts: Facts) -> Html | None:
    if not facts.columns:
        return None
    heads = ["column", "kind", "missing", "distinct", "values", "what the model sees"]
    cells = [
        [
            tag("b", column["name"]),
            str(column["kind"]) + (" (given)" if column.get("source") == "given" else ""),
            count(column.get("missing", 0)),
            count(column.get("distinct")),
            str(column.get("values", "")),
            str(column.get("encoding", "")),
        ]
        for column in facts.columns
    ]
    listed = table(heads, cells, numbers=(2, 3))
    return details(f"{len(cells)} columns", listed, open_=len(cells) <= MOST_COLUMNS)


def model(facts: Facts) -> Section | None:
    """The layers that hold parameters."""
    layers = facts.model.get("layers")
    if not layers:
        return None
    heads = ["layer", "kind", "shape", "parameters", "init std", "decay"]
    rows = [
        [
            tag("code", layer["name"]),
            layer["kind"],
            shape(layer.get("shape")),
            count(layer["parameters"]),
            number(layer.get("init_std")),
            decayed(layer),
        ]
        for layer in layers
    ]
    total = sum(layer["parameters"] for layer in layers)
    words = tag("p", f"{facts.model.get('name', 'model')}: {count(total)} parameters in {len(layers)} layers.")
    return section(
        "model", "Model", words, details("layers", table(heads, rows, numbers=(3, 4)), open_=len(rows) <= MOST_COLUMNS)
    )


def decayed(layer: Mapping[str, Any]) -> str:
    value = layer.get("decay")
    return (
        {True: "yes", False: "no", None: ""}.get(value, str(value)) if isinstance(value, bool | None) else number(value)
    )


def settings(facts: Facts) -> Section | None:
    """Every setting: those chosen or derived first, the defaults folded."""
    rows = [
        (section_, name, value)
        for section_, fields in facts.recipe.items()
        if isinstance(fields, Mapping)
        for name, value in fields.items()
    ]
    if not rows:
        return None
    heads = ["section", "setting", "value", "source"]
    chosen: list[list[Any]] = []
    default: list[list[Any]] = []
    for section_, name, value in rows:
        source = sourced(facts.sources.get(f"{section_}.{name}"))
        row = [section_, tag("code", name), setting(value), source]
        (default if source == "default" else chosen).append(row)
    extra = [
        ["", item.name, setting(item.value), f"derived: {equation(item.value, item.equation)}"]
        for item in facts.derived
    ]
    told = table(heads, chosen + extra) if chosen or extra else tag("p", "Every setting is at its default.")
    return section(
        "settings",
        "Settings",
        told,
        details(f"{len(default)} settings at their defaults", table(heads[:3], [row[:3] for row in default])),
    )


def sourced(source: Any) -> str:
    """Where a value came from, with the equation of a derived one."""
    if not source:
        return "default"
    if isinstance(source, str):
        return source
    detail = source.get("detail") or source.get("equation")
    return f"{source['kind']}: {detail}" if detail else str(source["kind"])
