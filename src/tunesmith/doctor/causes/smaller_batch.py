"""smaller_batch: the batches are so large that the run makes too few updates.

Sees      the program trained on the same rows for the same epochs in batches of an eighth.
Matters   an epoch of five updates learns five steps' worth.
Remedies  smaller batches, or a rate and a number of epochs to match.
Limits    batches below a quarter of the rows and epochs of ten updates and more are left alone.
Source    vocabulary of batch.too_large.
"""

from collections.abc import Iterator

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight.courses import Variation

FEW = 10  # updates an epoch: vocabulary of batch.too_large
LARGE = 0.25  # of the rows; assumption


@experiment("smaller_batch", faults=("batch.too_large",), remedy="remedy.loop_smaller_batch")
def smaller_batch(case: Case) -> Iterator[Change]:
    program, rows = case.bench.program, len(case.bench.train)
    large = case.bench.updates_per_epoch < FEW or program.batch_size > LARGE * rows
    if program.batch_size < 16 or not (large or case.suspected("batch.too_large")):
        return
    name = "batch / 8"
    yield Change(
        name,
        max(0.4, case.suspected("batch.too_large")),
        Variation(name, batch=1 / 8),
        recipe={"train.batch_size": max(1, program.batch_size // 8)},
        values={"batch": program.batch_size},
    )
