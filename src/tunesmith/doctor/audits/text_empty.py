"""text_empty: texts in which nothing is said.

Sees      cells of a text column that hold no letter and no digit: spaces, dots, dashes; rows of tokens that are all one token.
Matters   such rows have a target that no word explains.
Remedies  fill them or leave them out (advice).
Limits    cells that are missing are told of by missing_cells; pictures made of signs (smileys) count as said. A warning above
          5 % of the rows.
Source    what tokenizers make of such texts: no token, or the unknown one alone; share: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import placed, quoted, sources, subject_at
from tunesmith.doctor.audits.number_columns import pieces
from tunesmith.doctor.audits.text_cells import holding, text_cells
from tunesmith.doctor.audits.token_arrays import token_arrays
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

MUCH = 0.05  # share of rows; assumption
SAID = r"[\p{L}\p{N}\p{So}\p{Sm}\p{Sc}]"  # letters, digits, and signs that mean something
DROP = Remedy(title="audits.drop_rows", safety=Safety.ADVICE)


@audit("text_empty", faults=("data.missing",), cost=PASS)
def text_empty(material: Material) -> Iterator[Finding]:
    tokens = token_arrays(material)
    if not tokens and not material.words("text"):
        raise Inapplicable("no column holds text or tokens")
    for view in sources(material):
        for name in tokens:
            same = np.concatenate([(piece == piece[:, :1]).all(1) for piece in pieces(view.table[name])])
            yield from _told(material, view, name, np.flatnonzero(same), "audits.single_token", "")
        if material.words("text"):
            for name, cells in text_cells(material, view):
                filled = cells.is_not_null().to_numpy()
                filled[holding(cells, SAID)] = False
                places = np.flatnonzero(filled)
                examples = quoted(cells[places[:50]].unique(maintain_order=True).to_list(), 3) if len(places) else ""
                yield from _told(material, view, name, places, "audits.empty_texts", examples)


def _told(material: Material, view: View, name: str, places: Array, message: str, examples: str) -> Iterator[Finding]:
    if not len(places):
        return
    share = len(places) / len(view)
    yield Finding(
        fault="data.missing",
        severity="warning" if share > MUCH else "note",
        message=message,
        values={
            "column": name,
            "part": view.part,
            "count": len(places),
            "share": share,
            "examples": examples,
            "place": placed(material, view, places),
        },
        evidence=(Evidence(name="share of rows", value=share, threshold=MUCH, source="assumption", where=view.part),),
        remedies=(DROP,),
        status="confirmed",
        subject={**subject_at(view, places), "columns": [name]},
    )
