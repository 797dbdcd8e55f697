"""The texts of a part as polars sees them, which counts patterns in all of them at once."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.material import Material, View
from tunesmith.records.check import Inapplicable

if TYPE_CHECKING:
    import polars as pl


def text_cells(material: Material, view: View) -> "Iterator[tuple[str, pl.Series]]":
    """Name and cells of each text column of a part. Raises `Inapplicable` without any."""
    names = [name for name in material.words("text") if name not in material.roles.values()]
    if not names:
        raise Inapplicable("no column holds text")
    for name in names:
        if name in view.table:
            yield name, _series(material, view, name)


def _series(material: Material, view: View, name: str) -> "pl.Series":
    import polars as pl

    return material.kept(
        f"text {view.part} {len(view)} {name}", lambda: pl.Series(view.table[name].tolist(), dtype=pl.String)
    )


def holding(cells: "pl.Series", pattern: str) -> Array:
    """Places of the texts in which a pattern occurs."""
    return np.flatnonzero(cells.str.contains(pattern).fill_null(False).to_numpy())
