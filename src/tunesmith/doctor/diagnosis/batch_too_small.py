"""batch.too_small: the noise of the gradient dominates.

Sees      inside a run: a noise scale of the gradient far above the rows of a batch, with successive gradients that do not agree, under a
          loss that stands. In a log it is a candidate alone, beside a loss that swings.
Matters   the updates cancel each other; a larger batch comes further with the same number of rows.
Remedies  a larger batch, accumulation, or a lower rate, which averages over more batches.
Limits    small batches are sound as long as the loss falls: without a loss that stands nothing is said.
Source    McCandlish et al., arXiv:1812.06162 (gradient noise scale); vocabulary of batch.too_small.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.inside import batch_rows, typical
from tunesmith.doctor.diagnosis.telling import change, number, told
from tunesmith.doctor.diagnosis.views import FEWEST, view
from tunesmith.records import Finding
from tunesmith.runs.history import History

TIMES = 30.0  # the rows of a batch; assumption: at the noise scale itself an update is at half of its best
AGREE = 0.05  # cosine of successive gradients; assumption


@rule("batch.too_small", needs=("noise_scale",))
def batch_too_small(history: History) -> Iterator[Finding]:
    seen = view(history)
    scale, rows, agree = typical(history, "noise_scale"), batch_rows(history), typical(history, "gradient_cosine")
    train = seen.train
    if scale is None or rows is None or train is None or len(train) < FEWEST or scale < TIMES * rows:
        return
    _, errors, _ = train.fall(0.5)
    if errors > 2 or (agree is not None and agree > AGREE) or abs(train.end) < 0.3 * abs(train.start):
        return
    factor = 8
    yield told(
        "batch.too_small",
        "warning",
        "noise_dominates",
        {"scale": scale, "rows": rows, "times": scale / rows},
        confidence=0.5,
        evidence=[number("noise_scale", scale, TIMES * rows, "thirty batches")]
        + ([number("gradient_cosine", agree, AGREE, "assumption")] if agree is not None else []),
        remedies=[change("larger_batch_by", {"train.batch_size": int(rows * factor)}, factor=factor)],
        next_probe="larger_batch",
    )
