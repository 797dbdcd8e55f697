"""mixed_types: one column that holds several kinds of values.

Sees      in the cells as they stand: words among numbers and cells that are no date among dates (they count as missing); columns
          of numbers and words half and half, which become categories; dates in several forms; decimal points beside decimal
          commas; numbers with a unit behind them.
Matters   what does not read as the kind of its column is lost, or turns all its numbers into names without an order.
Remedies  correct the cells, or say what the column is (advice).
Limits    only tables, for arrays have one type. Codes such as ticket numbers, of which some hold letters, are a note.
Source    shares: assumption, as in the reading of columns.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.data.cells import DATE_STYLES, as_dates, as_numbers, stripped
from tunesmith.data.columns import ORDINAL_LEVELS
from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import NUMERIC, Material, View
from tunesmith.doctor.audits.naming import quoted, sources
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS
from tunesmith.records.finding import Severity

if TYPE_CHECKING:
    import polars as pl

MANY = 0.9  # share of cells that two readings together explain; assumption, as PURE in data/columns.py
SOME = 0.02  # share of cells that each of them explains at least; assumption
HALF = 0.5  # share of numbers from which the words among them are the odd ones; assumption
FEW_WORDS = 5  # different words among numbers that look like stray marks, not codes; assumption
LOOK = 5000  # different cells that forms are tried on; assumption
LIKE_DATE = re.compile(
    r"\d+\s*([-/.])\s*\w+\s*\1\s*\d+|\d+\s*年|\d{4}[-/]\d{1,2}$|\d{1,2} [A-Za-z]{3,9} \d{4}|[A-Za-z]{3,9} \d{1,2}, \d{4}"
)
UNIT = r"^[+-]?\d+(?:[.,]\d+)?\s*([A-Za-zµμ°℃%‰]{1,6}[²³]?)$"
CLEAN = Remedy(title="data.clean_column", safety=Safety.ADVICE)


@audit("mixed_types", faults=("data.mixed_types",), cost=PASS)
def mixed_types(material: Material) -> Iterator[Finding]:
    material.need_form("table")
    first, *others = sources(material)
    for name, column in material.columns.items():
        if name in material.roles.values():
            continue
        if column.kind in NUMERIC:
            for view in (first, *others):
                yield from _unread(view, name, column.kind, _texts(view, name))
        elif column.source != "given":
            yield from _in_words(first, name, _texts(first, name))


def _texts(view: View, name: str) -> "pl.Series | None":
    """The cells of a column as they stand, where they are text."""
    if view.sheet is None or name not in view.table:
        return None
    cells = view.sheet.column(name)
    if str(cells.dtype) not in ("String", "Categorical", "Enum"):
        return None
    text = stripped(cells.cast(_string())[view.rows])
    return text if text.len() > text.null_count() else None


def _string() -> Any:
    import polars as pl

    return pl.String


def _unread(view: View, name: str, kind: str, text: "pl.Series | None") -> Iterator[Finding]:
    """Cells that are filled and do not read as the kind of their column."""
    if text is None:
        return
    strange = np.flatnonzero(text.is_not_null().to_numpy() & np.isnan(view.table[name]))
    if not len(strange):
        return
    assert view.sheet is not None
    values = {
        "column": name,
        "kind": kind,
        "count": len(strange),
        "example": quoted(text[strange[:50]].unique(maintain_order=True).to_list(), 3),
        "places": view.sheet.places(view.rows[strange]),
    }
    share = len(strange) / len(view)
    yield _told(view, "data.mixed_types", values, name, strange, share, "warning")


def _in_words(view: View, name: str, text: "pl.Series | None") -> Iterator[Finding]:
    """Columns taken for words that are two things at once."""
    if text is None:
        return
    different = text.drop_nulls().unique(maintain_order=True)
    some = different.head(LOOK)
    digits = float(some.str.contains(r"\d").mean() or 0)  # type: ignore[arg-type]
    if digits < HALF or some.len() < 3:
        return
    plain = ~np.isnan(as_numbers(some, "plain"))
    comma = ~np.isnan(as_numbers(some, "comma")) & ~plain
    zeros = bool(some.str.contains(r"^0\d+$").any())
    if min(plain.mean(), comma.mean()) >= SOME and (plain | comma).mean() >= MANY:
        mixed = some.filter(comma).to_list()
        yield _forms(view, "audits.two_decimals", name, text, mixed, [some.filter(plain)[0], mixed[0]])
    elif plain.mean() >= HALF and plain.mean() < 1 and plain.sum() > ORDINAL_LEVELS and not zeros:
        yield from _numbers_and_words(view, name, text, some.filter(~plain).to_list())
    elif plain.mean() < SOME:
        yield from _dates_and_units(view, name, text, some)


def _numbers_and_words(view: View, name: str, text: "pl.Series", words: list[str]) -> Iterator[Finding]:
    places = np.flatnonzero(text.is_in(words).fill_null(False).to_numpy())
    share = len(places) / max(1, text.len() - text.null_count())
    if share > HALF:
        return
    values = {"column": name, "count": len(places), "share": share, "examples": quoted(words, 3)}
    few = len(set(words)) <= FEW_WORDS
    yield _told(view, "audits.numbers_and_words", values, name, places, share, "warning" if few else "note")


def _dates_and_units(view: View, name: str, text: "pl.Series", some: "pl.Series") -> Iterator[Finding]:
    if sum(bool(LIKE_DATE.match(cell)) for cell in some.head(50).to_list()) > 25:
        read = {style: ~np.isnan(as_dates(some, style)) for style in DATE_STYLES}
        best = max(read, key=lambda style: int(read[style].sum()))
        others = np.any([one for style, one in read.items() if style != best], axis=0) & ~read[best]
        if read[best].mean() < MANY <= (read[best] | others).mean() and others.mean() >= SOME:
            mixed = some.filter(others).to_list()
            example = some.filter(read[best]).to_list()[:1] + mixed[:1]
            yield _forms(view, "audits.two_date_forms", name, text, mixed, example)
        return
    units = some.str.extract(UNIT, 1)
    share = 1 - units.null_count() / some.len()
    if share >= MANY and some.len() > ORDINAL_LEVELS:
        kinds = sorted(set(units.drop_nulls().str.to_lowercase().to_list()))
        if len(kinds) <= FEW_WORDS:
            values = {"column": name, "share": share, "units": quoted(kinds), "example": repr(some[0])}
            yield _told(view, "audits.numbers_with_units", values, name, np.zeros(0, np.int64), share, "note")


def _forms(view: View, message: str, name: str, text: "pl.Series", mixed: list[str], examples: list[str]) -> Finding:
    places = np.flatnonzero(text.is_in(mixed).fill_null(False).to_numpy())
    share = len(places) / max(1, text.len() - text.null_count())
    values = {"column": name, "count": len(places), "share": share, "examples": quoted(examples)}
    return _told(view, message, values, name, places, share, "warning")


def _told(
    view: View,
    message: str,
    values: dict[str, Any],
    name: str,
    places: Array,
    share: float,
    severity: Severity,
) -> Finding:
    return Finding(
        fault="data.mixed_types",
        severity=severity,
        message=message,
        values=values,
        evidence=(Evidence(name="share of cells", value=share, threshold=0.0),),
        remedies=(CLEAN,),
        status="confirmed",
        subject={"columns": [name], "rows": view.rows[places].tolist()},
    )
