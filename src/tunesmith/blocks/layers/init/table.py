"""Rows as aligned text."""

from collections.abc import Sequence
from typing import Any


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns under their names; empty columns are left out.

    >>> print(table(("layer", "std", "note"), [("0", 0.125, ""), ("head", None, "")]))
    layer  std
    0      0.125
    head   -
    """
    cells = [[_cell(value) for value in row] for row in rows]
    kept = [i for i in range(len(names)) if any(row[i] for row in cells)]
    wide = [max(len(names[i]), *(len(row[i]) for row in cells)) if cells else len(names[i]) for i in kept]
    lines = [names, *cells]
    return "\n".join("  ".join(line[i].ljust(w) for i, w in zip(kept, wide, strict=True)).rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
