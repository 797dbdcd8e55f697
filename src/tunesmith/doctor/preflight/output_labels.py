"""output_labels: a label lies outside the outputs, or a yes-or-no target outside 0 … 1.

Sees      the targets of all rows of all parts against the width of the outputs; whether the loss takes the first label beyond
          it (asked on a copy, on the CPU); whether a negative label is skipped by the loss or pulls on an output.
Matters   on a GPU a label out of range ends in a device-side assert far from its cause; a negative one may count as the last class;
          a binary cross entropy with targets outside 0 … 1 has no lower end.
Remedies  map the labels to 0 … C - 1, or give the net one output more where a class is missing.
Limits    of a data set that is read row by row the first 20,000 targets. A loss that takes labels beyond the width (ordinal,
          margin) is left alone.
Source    torch.nn.functional.cross_entropy; the default of `ignore_index` is -100.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.labels import Labelled, by_index, labelled, parts, skips, targets_of
from tunesmith.doctor.preflight.loss_probe import LossProbe
from tunesmith.doctor.preflight.seeing import Seen, look, main
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

REMAP = Remedy(title="remedy.outputs_remap_labels", safety=Safety.ADVICE)
WIDEN = Remedy(title="remedy.outputs_fit_width", safety=Safety.ADVICE)
SHOWN = 100_000  # rows that a finding names at most


@check("output_labels", faults=("data.label_out_of_range", "output.wrong_width"), cost=CHEAP)
def output_labels(bench: Bench) -> Iterator[Finding]:
    found = labelled(bench)
    loss = bench.twin().loss_fn
    if found is None:
        yield from _answers(bench, loss)
        return
    if not by_index(found, loss):
        raise Inapplicable("the loss does not look labels up among the outputs")
    for name, target in _targets(bench, found):
        yield from _beyond(bench, found, name, target)
        yield from _below(found, loss, name, target)


def _targets(bench: Bench, found: Labelled) -> Iterator[tuple[str, Tensor]]:
    if not found.whole:
        yield "train", found.target.cpu()
        return
    for name, source in parts(bench):
        target = targets_of(bench, name, source)
        if not target.is_floating_point():
            yield name, target


def _beyond(bench: Bench, found: Labelled, name: str, target: Tensor) -> Iterator[Finding]:
    """Labels at or above the width."""
    outside = target >= found.width
    if not bool(outside.any()):
        return
    rows = _rows(outside)
    distinct, counts = torch.unique(target[target >= 0], return_counts=True)
    strays = distinct >= found.width
    usual = float(counts[~strays].float().median()) if bool((~strays).any()) else 0.0
    missing = bool((counts[strays].float().median() > usual / 4).item()) and len(distinct) > found.width
    if bench.program.num_classes is not None:
        missing = found.width < bench.program.num_classes and int(distinct.max()) < bench.program.num_classes
    yield Finding(
        fault="output.wrong_width" if missing else "data.label_out_of_range",
        severity="error",
        message="outputs.too_few_outputs" if missing else "outputs.label_beyond",
        values={
            "label": int(target.max()),
            "width": found.width,
            "last": found.width - 1,
            "rows": len(rows),
            "part": name,
            "classes": len(distinct),
            "first": rows[0],
            "lowest": int(distinct.min()),
        },
        evidence=(Evidence(name="highest_label", value=int(target.max()), threshold=found.width - 1, where=name),),
        remedies=(WIDEN, REMAP) if missing else (REMAP,),
        status="confirmed",
        subject={"rows": rows[:SHOWN], "part": name, "labels": [int(label) for label in distinct[strays][:100]]},
    )


def _below(found: Labelled, loss: object, name: str, target: Tensor) -> Iterator[Finding]:
    """Negative labels that the loss does not skip."""
    for label in torch.unique(target[target < 0]).tolist()[:5]:
        if skips(found, loss, int(label)):
            continue
        rows = _rows(target == label)
        yield Finding(
            fault="data.label_out_of_range",
            severity="error",
            message="outputs.label_negative",
            values={"label": int(label), "rows": len(rows), "part": name, "last": found.width - 1, "first": rows[0]},
            evidence=(Evidence(name="lowest_label", value=int(label), threshold=0, where=name),),
            remedies=(REMAP,),
            status="confirmed",
            subject={"rows": rows[:SHOWN], "part": name, "labels": [int(label)]},
        )


def _answers(bench: Bench, loss: object) -> Iterator[Finding]:
    """Yes-or-no targets outside 0 … 1."""
    seen = look(bench)
    if not isinstance(seen.target, Tensor) or not isinstance(main(seen), Tensor):
        raise Inapplicable("outputs and targets are not one tensor each")
    if not _yes_no(seen, loss):
        raise Inapplicable("the targets are neither labels nor yes or no")
    whole = bench.program.loop is None and bench.program.step is None
    given = [(name, targets_of(bench, name, source)) for name, source in parts(bench)] if whole else []
    for name, target in given or [("train", seen.target.cpu())]:
        outside = (target < 0) | (target > 1)
        if not bool(outside.any()):
            continue
        rows = _rows(outside)
        yield Finding(
            fault="data.label_out_of_range",
            severity="error",
            message="outputs.answer_outside",
            values={
                "lowest": float(target.min()),
                "highest": float(target.max()),
                "rows": len(rows),
                "part": name,
                "first": rows[0],
            },
            evidence=(
                Evidence(name="lowest_target", value=float(target.min()), threshold=0.0, where=name),
                Evidence(name="highest_target", value=float(target.max()), threshold=1.0, where=name),
            ),
            remedies=(Remedy(title="remedy.outputs_targets_into_0_1", safety=Safety.ADVICE),),
            status="confirmed",
            subject={"rows": rows[:SHOWN], "part": name},
        )


def _yes_no(seen: Seen, loss: object) -> bool:
    """Whether the loss is a binary cross entropy, by what it computes on targets of 0 and 1."""
    if isinstance(loss, nn.BCELoss | nn.BCEWithLogitsLoss):
        return True
    outputs = seen.tensor
    if outputs is None:
        return False
    answers = (seen.target > seen.target.float().mean()).to(seen.target.dtype)
    probe = LossProbe(loss, Seen(outputs, answers, seen.more, seen.named))  # type: ignore[arg-type]
    return probe.known.name in ("bce", "bce_logits")


def _rows(outside: Tensor) -> list[int]:
    """Rows in which something is outside."""
    return [int(row) for row in outside.reshape(len(outside), -1).any(1).nonzero().reshape(-1)]
