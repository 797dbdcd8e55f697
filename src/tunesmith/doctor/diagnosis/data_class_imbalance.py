"""data.class_imbalance: rare classes are never answered.

Sees      in a watched run, together: a class ten times rarer than the commonest, and its share among the answers of the late run far below
          its share among the labels, or its loss far above that of the others, while the others are learnt.
Matters   accuracy looks good, and the rows that the net is for are all missed.
Remedies  class weights, resampling, another threshold; a score that counts classes alike.
Limits    rare classes that are answered, by weights or because they are easy, are no finding; neither are vocabularies
          (more than 100 labels); answers at each place of a sequence are a note.
          A class of a few rows in the run cannot be judged.
Source    vocabulary of data.class_imbalance: ratio above 10 [SM]; the rest: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, late_of, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

RATIO = 10.0  # [SM]
MISSED = 0.3  # of its share among the labels; assumption
MOST = 100  # labels: beyond that it is a vocabulary; assumption
DEAR = 3.0  # loss of its rows over that of the commonest; assumption
ROWS = 200


@rule("data.class_imbalance", needs=("loss",))
def data_class_imbalance(history: History) -> Iterator[Finding]:
    answers = part(history, "answers")
    shares = {str(label): float(share) for label, share in (answers.get("label_shares") or {}).items()}
    said = dict.fromkeys(shares, 0.0) | dict(answers.get("answered") or {})
    dear = late_of(history, "class_loss")
    ran = progress(history)
    if ran is None or not 2 <= len(shares) <= MOST or answers.get("values", 0) < ROWS:
        return
    common = max(shares, key=lambda label: shares[label])
    rare = {label: share for label, share in shares.items() if share * RATIO < shares[common]}
    missed = [
        label
        for label, share in rare.items()
        if (label in said and said[label] < MISSED * share)
        or (label in dear and common in dear and dear[label] > DEAR * max(dear[common], 0.05))
    ]
    if not missed:
        return
    batch = float(history.facts.get("batch_size") or 0)
    tokens = (
        batch > 0 and answers.get("rows", 0) > 2 * batch
    )  # an answer at each place of a sequence: rare ones are seldom the likeliest
    weight = sum(shares[label] for label in missed)
    worst = min(missed, key=lambda label: shares[label])
    yield told(
        "data.class_imbalance",
        "note" if tokens else "warning",
        "rare_missed",
        {"count": len(missed), "share": weight, "common": common, "common_share": shares[common], "rarest": worst},
        confidence=0.75 if len(missed) >= len(rare) / 2 else 0.55,
        evidence=[
            number("label_ratio", shares[common] / max(shares[worst], 1e-9), RATIO, "[SM]", where=worst),
            number("predicted_share", said.get(worst, 0.0), MISSED * shares[worst], "assumption", where=worst),
        ],
        remedies=[advice("class_weights")],
    )
