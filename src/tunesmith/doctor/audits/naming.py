"""How columns, rows and labels are named in a finding: a few in the sentence, all of them in the subject."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.material import Material, View

MOST = 100_000  # rows that a finding carries
SHOWN = 5  # names in a sentence
LARGEST_COPY = 1 << 26  # bytes that are copied for the sake of whole sentences; assumption
LONG = 40  # letters of a value in a sentence


def few(names: Iterable[Any], most: int = SHOWN) -> str:
    """The first names, and a sign that there are more.

    >>> few(["a", "b"]), few("abcdefg")
    ('a, b', 'a, b, c, d, e …')
    """
    listed = [str(name) for name in names]
    return ", ".join(listed[:most]) + (" …" if len(listed) > most else "")


def quoted(values: Iterable[Any], most: int = SHOWN) -> str:
    """Values as they stand, in quotes, long ones cut."""
    listed = [str(value) for value in values]
    shown = [repr(value if len(value) <= LONG else value[: LONG - 1] + "…") for value in listed[:most]]
    return ", ".join(shown) + (" …" if len(listed) > most else "")


def rows_at(view: View, places: Array) -> list[int]:
    """Row numbers of the source."""
    listed: list[int] = view.rows[places[:MOST]].tolist()
    return listed


def subject_at(view: View, places: Array) -> dict[str, Any]:
    """Rows of a part, with their files where rows are files."""
    found: dict[str, Any] = {"rows": rows_at(view, places)}
    if view.sources:
        found["files"] = [view.sources[place] for place in places[:MOST].tolist()]
    return found


def placed(material: Material, view: View, places: Array) -> str:
    """Where the first of some rows of a view is found."""
    return material.place(view, int(places[0])) if len(places) else ""


def thinned(count: int, most: int) -> Array:
    """At most `most` places out of `count`, evenly spread.

    >>> thinned(10, 4).tolist(), thinned(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)


def parted(material: Material) -> Sequence[View]:
    """The views, the training part first."""
    return (material.train, *material.others)


def sources(material: Material) -> Sequence[View]:
    """The data as they were given: all rows that are trained on or divided off from them, then the other parts.

    Large arrays and pictures are left in their parts, for joining them makes a copy.
    """
    planned = [view for view in material.others if view.planned]
    size = sum(values.nbytes for view in (material.train, *planned) for values in view.table.values())
    if not planned or size > LARGEST_COPY:
        return parted(material)
    return (material.whole, *(view for view in material.others if not view.planned))
