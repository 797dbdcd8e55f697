"""text_language: texts in another script than the bulk, and parts of other scripts.

Sees      the script most letters of each text belong to (Latin, Han, Kana, Hangul, Cyrillic, Arabic, Hebrew, Greek, Thai, Devanagari,
          by Unicode property); rows of a script that hardly any row has; a part whose scripts are another mix.
Matters   a model that reads one language learns nothing of a few rows of another; a part in another language judges another task.
Remedies  leave those rows out, or see that the training holds enough of them (advice).
Limits    a script is not a language: English beside French is not seen. A note within a part; a warning where the scripts of a
          given part differ by half its rows.
Source    Unicode Standard Annex 24 (script property); shares: assumption.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import few, placed, subject_at
from tunesmith.doctor.audits.text_cells import text_cells
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS

if TYPE_CHECKING:
    import polars as pl

SCRIPTS = ("Latin", "Han", "Hiragana", "Hangul", "Cyrillic", "Arabic", "Hebrew", "Greek", "Thai", "Devanagari")
BULK = 0.8  # share of rows of one script from which it is the rule; assumption
LETTERS = 5  # that a text needs to have a script; assumption
APART = 0.5  # share of rows by which a part differs; assumption
FEWEST = 20  # rows with a script; assumption
SEPARATE = Remedy(title="audits.separate_languages", safety=Safety.ADVICE)


@audit("text_language", faults=("data.mixed_types", "data.train_val_mismatch"), cost=PASS)
def text_language(material: Material) -> Iterator[Finding]:
    trained = {name: _scripts(cells) for name, cells in text_cells(material, material.train)}
    for name, scripts in trained.items():
        yield from _within(material, name, scripts)
    for view in material.others:
        for name, cells in text_cells(material, view):
            yield from _between(view, name, trained[name], _scripts(cells))


def _scripts(cells: "pl.Series") -> Array:
    """int64 (N,): place in `SCRIPTS` of the script most letters have, -1 of a text with few letters; Kana means Japanese."""
    counts = np.stack(
        [cells.str.count_matches(rf"\p{{{script}}}").fill_null(0).to_numpy() for script in SCRIPTS], axis=1
    ).astype(np.int64)
    kana, han = SCRIPTS.index("Hiragana"), SCRIPTS.index("Han")
    counts[:, kana] = np.where(counts[:, kana] > 0, counts[:, kana] + counts[:, han], 0)
    counts[:, han] *= 2  # a letter of Han says as much as several of an alphabet
    counts[:, kana] *= 2
    return np.where(counts.max(1) >= LETTERS, counts.argmax(1), -1)


def _shares(scripts: Array) -> Array:
    return np.bincount(scripts[scripts >= 0], minlength=len(SCRIPTS)) / max(1, int((scripts >= 0).sum()))


def _within(material: Material, name: str, scripts: Array) -> Iterator[Finding]:
    shares = _shares(scripts)
    main = int(shares.argmax())
    odd = (scripts >= 0) & (scripts != main)
    if shares[main] < BULK or not odd.any() or (scripts >= 0).sum() < FEWEST:
        return
    places = np.flatnonzero(odd)
    kinds = [SCRIPTS[place] for place in np.argsort(-shares) if place != main and shares[place] > 0]
    values: dict[str, Any] = {
        "column": name,
        "main": SCRIPTS[main],
        "main_share": float(shares[main]),
        "count": len(places),
        "share": len(places) / len(scripts),
        "others": few(kinds),
        "place": placed(material, material.train, places),
    }
    yield Finding(
        fault="data.mixed_types",
        severity="note",
        message="audits.other_scripts",
        values=values,
        evidence=(
            Evidence(name=f"share of {SCRIPTS[main]}", value=values["main_share"], threshold=BULK, source="assumption"),
        ),
        remedies=(SEPARATE,),
        status="confirmed",
        subject={**subject_at(material.train, places), "columns": [name]},
    )


def _between(view: View, name: str, train: Array, other: Array) -> Iterator[Finding]:
    if min((train >= 0).sum(), (other >= 0).sum()) < FEWEST:
        return
    here, there = _shares(train), _shares(other)
    apart = float(np.abs(here - there).sum() / 2)
    if apart < APART:
        return
    first, second = SCRIPTS[int((here - there).argmax())], SCRIPTS[int((there - here).argmax())]
    yield Finding(
        fault="data.train_val_mismatch",
        severity="warning",
        message="audits.scripts_of_part",
        values={"column": name, "part": view.part, "apart": apart, "first": first, "second": second},
        evidence=(
            Evidence(
                name="share of rows in another script",
                value=apart,
                threshold=APART,
                source="assumption",
                where=view.part,
            ),
        ),
        remedies=(SEPARATE,),
        confidence=0.9,
        subject={"columns": [name]},
    )
