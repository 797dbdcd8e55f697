"""reused_test: the validation and the test part are the same rows, or one is drawn from the other.

Sees      rows of the validation part whose inputs and target are those of a test row, where one of the two is given by the user; parts that
          are the same file.
Matters   what is chosen by the validation score is chosen for the test: its score is no estimate any more.
Remedies  divide a validation part off the training rows, and keep the test for the end (advice).
Limits    rows that repeat by nature, since few different ones exist, are set aside: as many equal rows as training and test have in
          common are no sign. Training rows in the test part are told of by `shared_rows`.
Source    Cawley & Talbot, JMLR 11 (2010); Kapoor & Narayanan, Patterns 4 (2023), leakage L1.1.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.features import content_keys
from tunesmith.doctor.audits.material import Material
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

REUSED = (
    0.1  # share of the smaller part that lies in the other, beyond what training shares; deepchecks' bound for overlaps
)
ERRORS = 3.0  # standard errors of the share that repeats by nature
FEWEST = 10  # rows


@audit("reused_test", faults=("data.leakage",), cost=PASS)
def reused_test(material: Material) -> Iterator[Finding]:
    val, test = material.parts.get("val"), material.parts.get("test")
    if val is None or test is None:
        raise Inapplicable("there is no validation part or no test part")
    if val.planned and test.planned:
        raise Inapplicable("both parts are divided off by the recipe")
    if min(len(val), len(test)) < FEWEST:
        raise Inapplicable(f"fewer than {FEWEST} rows in a part")
    keys = {view.part: content_keys(material, view) for view in (material.train, val, test)}
    small, large = ("val", "test") if len(val) <= len(test) else ("test", "val")
    hit = np.isin(keys[small], keys[large])
    by_nature = _shared(keys[small], keys["train"])
    share = float(hit.mean())
    error = float(np.sqrt((by_nature * (1 - by_nature) + 1 / len(hit)) / len(hit)))
    if share - by_nature < REUSED + ERRORS * error:
        return
    view = material.parts[small]
    values = {"part": small, "other": large, "count": int(hit.sum()), "share": share, "rows": len(view)}
    yield Finding(
        fault="data.leakage",
        severity="warning",
        message="leakage.reused_test",
        values=values,
        evidence=(
            Evidence(name="share of rows in the other part", value=share, threshold=by_nature + REUSED, where=small),
        ),
        remedies=(Remedy(title="leakage.fresh_validation", safety=Safety.ADVICE),),
        confidence=0.95,
        status="confirmed",
        subject={"part": small, "rows": view.rows[hit].tolist()},
    )


def _shared(keys: Array, others: Array) -> float:
    return float(np.isin(keys, others).mean())
