"""balanced_classes: rare classes are ignored.

Sees      the program trained on rows drawn so that each class comes equally often, judged class by class.
Matters   the loss of a class of one row in a hundred is a hundredth of the loss.
Remedies  resample, weigh the classes, move the threshold.
Limits    a program whose loss weighs the classes already gains nothing here.
Source    vocabulary of data.class_imbalance.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rows import MOST, taken
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program

RATIO = 5.0  # commonest over rarest class; assumption: half of where SageMaker Debugger warns


@experiment("balanced_classes", faults=("data.class_imbalance",), remedy="remedy.causes_balance")
def balanced_classes(case: Case) -> Iterator[Change]:
    if not case.bench.classed or case.bench.task is not None:
        return
    labels = _labels(case.bench)
    counts = np.unique(labels, return_counts=True)[1]
    ratio = float(counts.max() / counts.min())
    if len(counts) > 1 and ratio > RATIO:
        likely = max(0.3, case.suspected("data.class_imbalance"))
        yield Change("classes drawn equally often", likely, rewrite=_balanced, values={"ratio": ratio})


def _labels(bench: Bench) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    target = np.asarray(bench.target[:MOST])
    flat = target.argmax(1) if target.ndim == 2 and target.shape[1] > 1 else target.reshape(-1)
    return flat.astype(np.int64)


def _balanced(bench: Bench, program: Program) -> Program:
    labels, rng = _labels(bench), bench.rng("balanced")
    names, counts = np.unique(labels, return_counts=True)
    each = max(1, round(len(labels) / len(names)))
    drawn = [
        rng.choice(np.flatnonzero(labels == name), each, replace=bool(count < each))
        for name, count in zip(names, counts, strict=True)
    ]
    return taken(bench, program, rng.permutation(np.concatenate(drawn)).tolist())
