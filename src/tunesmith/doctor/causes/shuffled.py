"""shuffled: the rows are fed in their order.

Sees      the program trained on rows in a new random order each epoch.
Matters   batches of one kind pull the net to and fro; the last of them decides.
Remedies  shuffle the training rows every epoch.
Limits    a stream without numbered rows cannot be shuffled.
Source    vocabulary of data.unshuffled.
"""

from collections.abc import Iterator
from dataclasses import replace

from torch.utils.data import DataLoader, SequentialSampler

from tunesmith.data.live import is_indexed, is_loader
from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program


@experiment("shuffled", faults=("data.unshuffled",), remedy="remedy.loop_shuffle")
def shuffled(case: Case) -> Iterator[Change]:
    if in_order(case.bench.program):
        yield Change("shuffled rows", max(0.3, case.suspected("data.unshuffled")), rewrite=mixed)


def in_order(program: Program) -> bool:
    """Whether the rows come in the same order every epoch."""
    data = program.train
    if is_loader(data):
        return is_indexed(getattr(data, "dataset", None)) and isinstance(data.sampler, SequentialSampler)
    return not program.shuffle


def mixed(bench: Bench, program: Program) -> Program:
    """The program on its rows in a new order every epoch."""
    data = program.train
    if is_loader(data):
        data = DataLoader(data.dataset, batch_size=data.batch_size, shuffle=True, collate_fn=data.collate_fn)
    return replace(program, train=data, shuffle=True)
