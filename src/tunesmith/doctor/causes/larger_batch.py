"""larger_batch: the batches are so small that noise rules the updates.

Sees      the program trained on the same rows for the same epochs in batches eight times as large.
Matters   the gradient of a few rows points anywhere, and a batch norm over them knows nothing of the others.
Remedies  larger batches, accumulation, a smaller rate.
Limits    batches above eight rows are tried only where something points at them.
Source    vocabulary of batch.too_small; McCandlish et al., arXiv:1812.06162.
"""

from collections.abc import Iterator

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight.courses import Variation

SMALL = 8  # rows; assumption


@experiment("larger_batch", faults=("batch.too_small",), remedy="remedy.loop_larger_batch")
def larger_batch(case: Case) -> Iterator[Change]:
    program = case.bench.program
    suspicion = case.suspected("batch.too_small", "batch.coupled_loss")
    collapsed = (
        case.suspected("collapse.constant_prediction") > 0
    )  # of which small batches are the first of the usual causes
    if (program.batch_size > SMALL and not suspicion and not collapsed) or 8 * program.batch_size > len(
        case.bench.train
    ):
        return
    name = "batch × 8"
    yield Change(
        name,
        max(0.3 if program.batch_size <= 4 else 0.1, suspicion),
        Variation(name, batch=8.0),
        recipe={"train.batch_size": 8 * program.batch_size},
        values={"batch": program.batch_size},
    )
