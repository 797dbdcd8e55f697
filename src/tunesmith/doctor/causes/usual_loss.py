"""usual_loss: the loss is not one for this task.

Sees      the program trained with the usual loss of its kind of task on the same outputs: cross-entropy for classes, with logits for yes and
          no, mean squared error for numbers. A term of the loss that is large and the same for all rows is told as a penalty.
Matters   a loss that asks for something else is minimised, and the score stands.
Remedies  the usual loss of the task, its sign and the form of its targets checked.
Limits    where shapes of outputs and targets do not fit the usual loss there is nothing to try.
Source    vocabulary of loss.mismatch.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.swapped_output import end_of
from tunesmith.doctor.preflight import Bench, Twin

LARGE = 0.5  # of the loss of the rows: a term of that size is as good as half of the gradient's aim; assumption
EQUAL = 0.02  # of the term, by which it differs between two batches; assumption
USUAL = (nn.CrossEntropyLoss, nn.NLLLoss, nn.BCEWithLogitsLoss, nn.BCELoss)


@experiment("usual_loss", faults=("loss.mismatch", "reg.too_strong"), remedy="remedy.loop_usual_loss")
def usual_loss(case: Case) -> Iterator[Change]:
    if case.bench.kind not in ("binary", "multiclass", "regression", "multi_regression") or case.bench.task is not None:
        return
    plain = isinstance(case.bench.program.loss_fn, USUAL if case.bench.classed else (nn.MSELoss,))
    likely = max(0.02 if plain else 0.2, case.suspected("loss.mismatch"))
    name = "the usual loss of the task"
    if not plain and penalised(case.bench):
        yield Change(name, max(0.5, likely), mend=_mended, fault="reg.too_strong")
    else:
        yield Change(name, likely, mend=_mended)


def penalised(bench: Bench) -> bool:
    """Whether the loss is the usual one with a term on top that does not depend on the rows and is as large as the rest."""
    terms = []
    for name in ("penalty", "another"):
        twin, batch = bench.twin(), bench.batch(64, name)
        own, outputs = twin.judged(batch)
        usual = _loss(bench.kind, outputs, batch.target, _probabilities(twin))
        if usual is None:
            return False
        data = float(usual(outputs, batch.target))
        terms.append((own - data, data))
    (first, data), (second, _) = terms
    return first > LARGE * data and abs(first - second) < EQUAL * first


def _mended(bench: Bench, twin: Twin) -> bool:
    batch = bench.batch(8, "usual_loss")
    outputs, target = twin.answers(batch), batch.target
    loss = _loss(bench.kind, outputs, target, _probabilities(twin))
    if loss is None:
        return False
    twin.loss_fn = loss
    return True


def _probabilities(twin: Twin) -> str:
    last = end_of(twin.model)
    return "" if last is None else type(last[1]).__name__


def _loss(kind: str, outputs: Tensor, target: Tensor, end: str) -> Callable[..., Any] | None:
    if kind in ("regression", "multi_regression"):
        if outputs.numel() != target.numel():
            return None
        return lambda given, wanted: functional.mse_loss(given.reshape(wanted.shape), wanted.to(given.dtype))
    one = outputs.dim() == 1 or outputs.shape[1:].numel() == 1
    if one and kind == "binary":
        chances = end == "Sigmoid"
        measure = functional.binary_cross_entropy if chances else functional.binary_cross_entropy_with_logits

        def yes_no(given: Tensor, wanted: Tensor) -> Tensor:
            return measure(given.reshape(-1), (wanted.reshape(-1) > 0).to(given.dtype))

        return yes_no
    if outputs.dim() != 2 or one:
        return None
    if target.dim() == 1 and int(target.max()) >= outputs.shape[1]:
        return None  # thresholds between ordered classes: one fewer than classes

    def classes(given: Tensor, wanted: Tensor) -> Tensor:
        labels = wanted.argmax(1) if wanted.dim() == 2 and wanted.shape[1] == given.shape[1] else wanted.reshape(-1)
        if end == "Softmax":
            given = given.clamp_min(1e-12).log()
        return functional.cross_entropy(given, labels.to(torch.long))

    return classes
