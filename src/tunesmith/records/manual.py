"""The manual page of a recipe field, a section, or a name that another trainer uses."""

import textwrap

from tunesmith.records.errors import UnknownName
from tunesmith.records.fields import default_text, field, owners, unknown_path
from tunesmith.records.foreign_names import Foreign, by_name, foreign, names_elsewhere
from tunesmith.records.sections import PATHS, SECTIONS, TABLES


def explain_field(path: str) -> str:
    """Description, kind, range, default and foreign names of a field; a section lists its fields.

    >>> print(explain_field("train.accumulate").splitlines()[0])
    train.accumulate: micro-batches per optimizer update
    """
    if path in SECTIONS:
        return _section(path)
    table = ".".join(path.split(".")[:2])
    if table in TABLES and path.removeprefix(f"{table}.") in TABLES[table].model_fields:
        path = table
    if path not in PATHS and (row := foreign(path)) is not None:
        return _foreign(path, row)
    if path not in PATHS and len(found := owners(path)) == 1:
        path = found[0]
    if path not in PATHS:
        raise UnknownName(unknown_path(path, by_name()))
    known = field(path)
    elsewhere = names_elsewhere(path)
    lines = [
        f"{path}: {known.description}",
        "",
        f"kind       {known.kind}",
        f"default    {default_text(path)}",
        f"set        --set {path}=…   or, in a recipe file below [{known.section}]: {known.name} = …",
    ]
    if elsewhere:
        lines += textwrap.wrap(f"elsewhere  {elsewhere}", 110, subsequent_indent=" " * 11)
    if path in TABLES:
        inside = {f"{path}.{name}": made.description or "" for name, made in TABLES[path].model_fields.items()}
        width = max(map(len, inside))
        lines += ["", *(f"{name:<{width}}  {said}" for name, said in inside.items())]
    return "\n".join(lines)


def _section(name: str) -> str:
    kind = SECTIONS[name]
    width = max(map(len, kind.model_fields))
    first = (kind.__doc__ or "").splitlines()[0]
    return "\n".join(
        [f"[{name}] {first}", "", *(f"{one:<{width}}  {made.description}" for one, made in kind.model_fields.items())]
    )


def _foreign(name: str, row: Foreign) -> str:
    if row.ours in PATHS:
        return f"{name} is called {row.ours} here\n\n{explain_field(row.ours)}"
    if row.treatment == "missing":
        return f"{name} asks for {row.why}"
    return f"{name} has no counterpart here" + (f": {row.why}" if row.why else "")
