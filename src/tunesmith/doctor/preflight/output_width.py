"""output_width: the number of outputs does not fit the classes or the columns of the target.

Sees      the width of the outputs against the labels that occur, the number of classes that the program states, and the columns
          of a target of numbers; that the loss really is one of labels (or of numbers) is asked of the loss itself.
Matters   a class without an output can never be predicted; one output under a softmax is always 1 and learns nothing; one column
          against several is broadcast in silence. Outputs too many cost little and are a note unless they are many.
Remedies  one output for each class or each column.
Limits    a class may be missing from the rows at hand; a vocabulary is wider than any text, so language models are not judged by the
          labels that occur. Losses that are not recognised (ordinal, embeddings, several parameters a target) are left alone.
Source    the fault list; measured on a copy.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.labels import Labelled, by_index, labelled, parts, targets_of
from tunesmith.doctor.preflight.loss_probe import NUMBER_LOSSES
from tunesmith.doctor.preflight.probing import probe_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

FIT = Remedy(title="remedy.outputs_fit_width", safety=Safety.ADVICE)
MANY = 2.0  # times as many outputs as classes are many; assumption


@check("output_width", faults=("output.wrong_width",), cost=CHEAP)
def output_width(bench: Bench) -> Iterator[Finding]:
    found = labelled(bench)
    if found is not None and by_index(found, bench.twin().loss_fn):
        yield from _classes(bench, found)
        return
    yield from _columns(bench)


def _classes(bench: Bench, found: Labelled) -> Iterator[Finding]:
    known = _labels(bench, found)
    told = bench.program.num_classes
    needed = max(int(known.max()) + 1 if len(known) else 0, told or 0)
    if found.width == 1 and max(len(known), told or 0) > 1:
        yield _finding("error", "outputs.one_output", found.width, max(len(known), told or 0))
    elif told is not None and found.width < told and len(known) and int(known.max()) < found.width:
        yield _finding(
            "error", "outputs.narrower_than_stated", found.width, told
        )  # where a label shows it: output_labels
    elif told is None and len(known) and int(known.min()) == 1 and found.width == int(known.max()) + 1:
        yield _finding("note", "outputs.labels_from_one", found.width, len(known))
    elif found.width > needed and bench.kind != "language" and len(known):
        many = found.width >= MANY * needed and (told is not None or needed >= 2)
        severity: Severity = "warning" if many or (told is not None and found.width > told) else "note"
        yield _finding(severity, "outputs.outputs_unused", found.width, needed)


def _labels(bench: Bench, found: Labelled) -> Tensor:
    """The labels that occur in any part."""
    if not found.whole:
        seen: Tensor = torch.unique(found.target[found.target >= 0].cpu())
        return seen
    every = [targets_of(bench, name, source) for name, source in parts(bench)]
    held = [torch.unique(one[one >= 0].long()) for one in every if not one.is_floating_point()]
    return torch.unique(torch.cat(held)) if held else torch.empty(0, dtype=torch.long)


def _columns(bench: Bench) -> Iterator[Finding]:
    """Numbers: as many outputs as the target has columns."""
    probe = probe_of(bench)
    outputs, target = probe.outputs, probe.target
    if outputs is None or target is None or probe.known.name not in NUMBER_LOSSES:
        raise Inapplicable("the loss is none of labels and none of numbers that is known")
    told = bench.program.num_classes
    wide, wanted = outputs[0].numel(), target[0].numel()
    if wide == wanted:
        single = wide == 1 and told is not None and told > 2 and bench.program.predict is None
        if single and told is not None:
            yield _finding("error", "outputs.one_number_for_classes", 1, told)
        return
    yield _finding("error", "outputs.columns_differ", wide, wanted)


def _finding(severity: Severity, message: str, width: int, wanted: int) -> Finding:
    return Finding(
        fault="output.wrong_width",
        severity=severity,
        message=message,
        values={"width": width, "wanted": wanted, "unused": max(0, width - wanted)},
        evidence=(Evidence(name="outputs", value=width, threshold=wanted, source="classes or columns of the target"),),
        remedies=(FIT,),
        status="confirmed",
        confidence=1.0 if severity == "error" else 0.6,
    )
