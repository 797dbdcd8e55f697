"""class_weights: rare classes weigh as much as common ones.

Does      weighs each class by the inverse of its share in cross-entropy; the positive class in its form for yes and no.
Mends     rare classes that are ignored.
Limits    judged class by class; probabilities no longer match the shares.
Source    King & Zeng, Logistic Regression in Rare Events Data (2001); vocabulary of data.class_imbalance.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from tunesmith.doctor.causes.balanced_classes import RATIO
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.repair.surgery.catalogue import surgery


@surgery(
    "class_weights",
    faults=("data.class_imbalance", "collapse.constant_prediction", "loss.mismatch"),
    lines=lambda before, after, values: [
        "count = torch.bincount(y_train).float()",
        "loss_fn = nn.CrossEntropyLoss(weight=count.sum() / (len(count) * count))",
    ],
)
def class_weights(case: Any) -> Iterator[Change]:
    bench = case.bench
    loss = bench.program.loss_fn
    if not bench.classed or type(loss) not in (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss):
        return
    counts = _counts(bench)
    ratio = float(counts.max() / counts.clamp_min(1).min()) if len(counts) > 1 else 1.0
    odd = getattr(loss, "weight", None) is not None and case.suspected("data.class_imbalance", "loss.mismatch")
    if ratio > RATIO or odd:
        likely = max(0.3, case.suspected("data.class_imbalance"))
        recipe = {"loss.class_weights": "balanced"}
        yield Change("classes weighed by their shares", likely, mend=_mend, recipe=recipe, values={"ratio": ratio})


def _counts(bench: Bench) -> torch.Tensor:
    target = torch.as_tensor(bench.target)
    flat = target.argmax(1) if target.dim() == 2 and target.shape[1] > 1 else target.reshape(-1)
    return torch.bincount(flat.long().clamp_min(0), minlength=bench.program.num_classes or 2).double()


def _mend(bench: Bench, twin: Twin) -> bool:
    counts = _counts(bench).clamp_min(1)
    like = next(twin.model.parameters())
    if isinstance(twin.loss_fn, nn.BCEWithLogitsLoss):
        twin.loss_fn = nn.BCEWithLogitsLoss(pos_weight=(counts[0] / counts[1]).to(like))
        return True
    weight = counts.sum() / (len(counts) * counts)
    twin.loss_fn = nn.CrossEntropyLoss(weight=weight.to(like))
    return True
