"""whole_batches: one batch of all rows of an update, in place of micro-batches that add up to it.

Does      as many rows in a batch as an update had, and no accumulation.
Mends     batch norm over a row or two, and losses that compare the rows of a batch, in micro-batches too small for either.
Limits    takes more memory; of rows in arrays alone.
Source    vocabulary of batch.coupled_loss and model.bad_normalization.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.repair.surgery.catalogue import surgery
from tunesmith.records import Program


@surgery(
    "whole_batches",
    faults=("batch.coupled_loss", "model.bad_normalization", "batch.too_small", "run.crash"),
    lines=lambda before, after, values: [f"batch_size, accumulate = {after.batch_size}, 1  # was {before.batch_size}, {before.accumulate}"],
    crashed=True,
    anew=False,
)  # fmt: skip
def whole_batches(case: Any) -> Iterator[Change]:
    program = case.bench.program
    if program.accumulate > 1 and isinstance(program.train, tuple):
        size = program.batch_size * program.accumulate
        likely = max(0.1, case.suspected("batch.coupled_loss", "model.bad_normalization", "run.crash"))
        yield Change(
            f"whole batches of {size}",
            likely,
            rewrite=_whole,
            recipe={"train.batch_size": size, "train.accumulate": 1},
        )


def _whole(bench: Bench, program: Program) -> Program:
    return replace(program, batch_size=program.batch_size * program.accumulate, accumulate=1)
