"""batch.too_large: too few updates for the budget.

Sees      fewer than ten updates an epoch, as known or as steps and epochs of the log say, under a loss that still falls at the end; inside
          a run also a noise scale of the gradient far below the rows of a batch.
Matters   the same rows in smaller batches would have come further.
Remedies  a batch eight times smaller, or a rate scaled with the batch.
Limits    a log without both steps and epochs cannot tell. Full-batch methods (LBFGS) make few updates by design.
Source    vocabulary of batch.too_large: updates per epoch below 10 and a loss still falling; McCandlish et al., arXiv:1812.06162.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.inside import batch_rows, typical, updates, updates_per_epoch
from tunesmith.doctor.diagnosis.telling import change, number, told
from tunesmith.doctor.diagnosis.views import FEWEST, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

FEW = 10.0  # updates an epoch: vocabulary
ALL = 200.0  # updates in all, beyond which they are not few; assumption
PACE = 0.4  # of the average at the end; assumption
BELOW = 0.1  # noise scale over rows; assumption


@rule("batch.too_large", needs=("loss",))
def batch_too_large(history: History) -> Iterator[Finding]:
    seen = view(history)
    each, total, one = updates_per_epoch(history), updates(history), seen.judged
    if each is None or total is None or one is None or len(one) < FEWEST or not seen.readable:
        return
    if each >= FEW or total > ALL or "lbfgs" in str(history.facts.get("optimizer", "")).lower():
        return
    _, errors, pace = one.fall(0.4)
    if errors < 4 or pace < PACE:
        return
    scale, rows = typical(history, "noise_scale"), batch_rows(history)
    if scale is not None and rows is not None and scale > rows:
        return  # the batch is not larger than its noise asks for
    evidence = [number("updates_per_epoch", each, FEW, "vocabulary"), number("pace_at_end", pace, PACE, "assumption")]
    if scale is not None and rows is not None:
        evidence.append(number("noise_scale", scale, BELOW * rows, "a tenth of a batch"))
    paths = {"train.batch_size": max(1, int(rows // 8))} if rows is not None else {}
    yield told(
        "batch.too_large",
        "warning",
        "few_updates",
        {"each": each, "total": total, "pace": pace},
        confidence=0.6,
        evidence=evidence,
        remedies=[change("smaller_batch", paths, factor=8)],
        next_probe="smaller_batch",
    )
