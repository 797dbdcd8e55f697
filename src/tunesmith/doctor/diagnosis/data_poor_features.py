"""data.poor_features: the useful columns drown in useless ones.

Sees      in a watched run, together: of many columns of a flat table few go with the targets beyond chance; and a held loss that stays well
          above the training loss, or never gets far below a constant answer.
Matters   each useless column is one more way to learn the rows by heart.
Remedies  select columns by a simple model, build better ones.
Limits    the link of single columns sees no products of them. Bags of words and other rare marks are left out.
          What other features would do cannot be seen in a run: suspected.
Source    vocabulary of data.poor_features; bounds: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, late, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

COLUMNS = 20
SPARSE = 10.0  # largest value over the smallest spread: marks that are mostly absent; assumption
LINKED = 0.25  # share of the columns; assumption
APART = 1.5  # held over training loss; assumption
FEW, TORN = (
    0.1,
    5.0,
)  # share of linked columns, and held over training loss, that count without a known chance; assumption
FAR = 0.7  # of a constant answer; assumption


@rule("data.poor_features", needs=("loss",))
def data_poor_features(history: History) -> Iterator[Finding]:
    inputs, ran, level = part(history, "inputs"), progress(history), late(history.get("loss", "val"), 0.2)
    if ran is None or level is None or inputs.get("kind") != "numbers" or "linked_share" not in inputs:
        return
    columns, share = inputs["columns"], inputs["linked_share"]
    if columns < COLUMNS or not 0 < share < LINKED or inputs["linked"] < inputs["linked_chance"]:
        return
    if max(abs(inputs["high"]), abs(inputs["low"])) > SPARSE * inputs["std_low"]:
        return  # words and other rare marks are many and single ones say little: that is as it should be
    apart = ran.end > 0 and level > APART * ran.end
    far = level > FAR * ran.chance if ran.chance is not None else level > 2 * APART * ran.end
    torn = share < FEW and ran.end > 0 and level > TORN * ran.end
    if not torn and (not apart or not far):
        return
    yield told(
        "data.poor_features",
        "warning",
        "columns_useless",
        {"columns": columns, "linked": round(share * columns), "held": level, "end": ran.end},
        confidence=0.6,
        evidence=[
            number("linked_columns", share, LINKED, "assumption"),
            number("held_over_training_loss", level / ran.end, APART, "assumption"),
        ],
        remedies=[advice("select_columns")],
        next_probe="simple_model",
    )
