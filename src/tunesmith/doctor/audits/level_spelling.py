"""level_spelling: levels of a category that differ only by case, by spaces or by a dot at the end.

Sees      levels of a category column, of all parts together, that are one word once case, inner spaces and a final dot are taken away.
Matters   one level becomes several, each with fewer rows; a spelling that only the test part has is unknown to the model.
Remedies  write each level in one way (advice).
Limits    single letters are left alone, for their case may matter.
Source    Unicode Standard Annex 15 (NFKC) and section 3.13 (case folding).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.naming import MOST, quoted, sources
from tunesmith.doctor.audits.spelling import bare, is_letter
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

SPELL = Remedy(title="audits.one_spelling", safety=Safety.ADVICE)


@audit("level_spelling", faults=("data.mixed_types",), cost=PASS)
def level_spelling(material: Material) -> Iterator[Finding]:
    names = [name for name in material.words("category") if name not in material.roles.values()]
    if not names:
        raise Inapplicable("no column holds categories")
    for name in names:
        counts: Counter[str] = Counter()
        for view in sources(material):
            if name in view.table:
                counts.update(cell for cell in view.table[name].tolist() if cell is not None)
        alike = defaultdict(list)
        for level in counts:
            alike[bare(level)].append(level)
        groups = {key: sorted(levels) for key, levels in alike.items() if len(levels) > 1 and not is_letter(key)}
        if groups:
            rarer = {
                one
                for levels in groups.values()
                for one in levels
                if counts[one] < max(counts[level] for level in levels)
            }
            whole = sources(material)[0]
            cells = whole.table[name]
            places = np.flatnonzero(np.fromiter((cell in rarer for cell in cells), bool, len(cells)))
            first = next(iter(groups.values()))
            values = {
                "column": name,
                "groups": len(groups),
                "levels": quoted(first),
                "count": sum(counts[one] for one in rarer),
            }
            yield Finding(
                fault="data.mixed_types",
                severity="note",
                message="audits.level_spelling",
                values=values,
                evidence=(Evidence(name="levels of several spellings", value=float(len(groups)), threshold=0.0),),
                remedies=(SPELL,),
                status="confirmed",
                subject={"columns": [name], "rows": whole.rows[places[:MOST]].tolist()},
            )
