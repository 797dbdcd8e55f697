"""unsafe_operations: an operation inside the net leaves the float range on rows that the data hold.

Sees      a pass over training rows, the largest, the smallest and the most even ones among them, in the mode the program trains in: which
          module first gives a number that is not finite while what it was given is finite, though a later layer may swallow it; gradients
          that are not finite from a finite loss; the same in double precision. Blank rows, where the data hold none, are tried too.
Matters   one such batch and all weights are lost; an infinity that a tanh swallows takes the row's values with it.
Remedies  an epsilon under roots and divisions, fused stable operations, more than half precision where numbers are large.
Limits    1,024 rows with the weights as they stand at the start. Minus infinity alone counts as a mask. What blank rows bring about
          is a note.
Source    vocabulary of numerics.unsafe_op: first module whose output is non-finite while all its inputs are finite.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.look import source_rows
from tunesmith.doctor.preflight.model_call import arguments, leaves, mapped
from tunesmith.doctor.preflight.seeing import plain, quiet
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity
from tunesmith.training.batch import Batch

ROWS = 1024  # assumption: what 1 row in 300 brings about is seen with 97 %
EXTREMES = 64  # of them of each kind; assumption
LARGEST = 256  # rows at once; assumption

STABLE = Remedy(title="remedy.network_stable_operation", safety=Safety.ADVICE)


@dataclass(slots=True)
class Broken:
    """What was not finite in a pass over rows."""

    layer: str = ""
    size: float = 0.0  # the largest number that the module was given
    rows: list[int] = field(default_factory=list)  # places in the part
    loss: bool = False  # the loss was not finite either
    gradient: str = ""  # a parameter whose gradient was not, from a finite loss
    double: bool = False  # in double precision it stays finite
    seen: int = 0  # rows that were tried


@check("unsafe_operations", faults=("numerics.unsafe_op",), cost=PASS)
def unsafe_operations(bench: Bench) -> Iterator[Finding]:
    arguments(bench, bench.batch(2, "unsafe_operations"))
    found = over_rows(bench)
    if found.layer or found.gradient:
        yield _told(bench, found)
        return
    blank = _blank(bench)
    if blank.layer:
        evidence = Evidence(name="largest_finite_input", value=blank.size, where=blank.layer)
        yield _finding("note", "network.unsafe_on_blank", {"layer": blank.layer}, evidence, blank, [])


def _told(bench: Bench, found: Broken) -> Finding:
    numbers = source_rows(bench, bench.train)
    rows = [int(numbers[place]) for place in found.rows]
    if not found.layer:
        values = {"layer": found.gradient, "rows": found.seen}
        evidence = Evidence(name="gradients_not_finite", value=1.0, threshold=0.0, where=found.gradient)
        return _finding("error", "network.unsafe_gradient", values, evidence, found, rows)
    severity: Severity = "error" if found.loss or found.gradient else "warning"
    message = "network.unsafe_precision" if found.double else "network.unsafe_module"
    values = {"layer": found.layer, "size": found.size, "rows": len(rows), "of": found.seen}
    evidence = Evidence(name="rows_not_finite", value=len(rows), threshold=0.0, where=found.layer)
    return _finding(severity, message, values, evidence, found, rows)


def over_rows(bench: Bench) -> Broken:
    """A pass over training rows of a copy."""
    found, twin = Broken(), bench.twin()
    places = chosen(bench)
    size = min(LARGEST, max(2, bench.program.batch_size))
    for start in range(0, len(places), size):
        part = places[start : start + size]
        if len(part) < 2 or bench.clock.spent_up:
            break
        batch = bench.train.take(part)
        if not all(_finite(leaf) for leaf in (*leaves(batch.inputs), *leaves(batch.target))):
            continue  # told by others
        found.seen += len(part)
        _one(bench, twin, batch, part, found)
        if found.gradient:
            break
    return found


def _one(bench: Bench, twin: Twin, batch: Batch, places: list[int], found: Broken) -> None:
    try:
        with torch.enable_grad(), quiet():
            twin.mode(bench.program.train_mode)
            twin.model.zero_grad(set_to_none=True)
            result, layer, size, rows = _watched(bench, twin, batch)
            loss = twin.loss_of(result, batch) if plain(bench) else None
            if loss is not None and loss.requires_grad and _finite(loss):
                loss.backward()  # type: ignore[no-untyped-call]
    except Inapplicable:
        raise
    except Exception as error:  # whatever a user's own model or loss raises
        raise Inapplicable(f"the net raises {type(error).__name__}: {error}".splitlines()[0][:200]) from error
    if layer and found.layer in ("", layer):
        found.double = found.double if found.layer else _finite_in_double(bench, batch)
        found.layer, found.size = layer, max(size, found.size)
        found.rows += [places[row] for row in rows]
    if loss is None:
        return
    found.loss = found.loss or (bool(layer) and not _finite(loss))
    bad = [name for name, each in twin.model.named_parameters() if each.grad is not None and not _finite(each.grad)]
    if bad and _finite(loss):
        found.gradient = bad[-1]
        found.rows = found.rows or list(places)


def _watched(bench: Bench, twin: Twin, batch: Batch) -> tuple[Any, str, float, list[int]]:
    """The result, and the first module to break with the size of what it was given and the rows in which it broke."""
    names = {module: name for name, module in twin.model.named_modules()}
    told: list[tuple[str, float, list[int]]] = []

    def noted(module: nn.Module, args: Any, named: Any, result: Any) -> None:
        if told:
            return
        bad = [leaf for leaf in leaves(result) if _breaks(leaf)]
        given = [leaf for leaf in leaves((args, named)) if leaf.is_floating_point()]
        held = list(module.parameters(recurse=False))
        if not bad or not all(_finite(leaf) for leaf in (*given, *held)):
            return
        largest = max((float(leaf.detach().abs().max()) for leaf in given if leaf.numel()), default=0.0)
        told.append((names[module] or type(module).__name__, largest, _rows(bad[0], batch.size)))

    handles = [module.register_forward_hook(noted, with_kwargs=True) for module in names]
    try:
        given = arguments(bench, batch) if bench.program.step is not None else ((batch.inputs,), {})
        result = twin.model(*given[0], **given[1])
    finally:
        for handle in handles:
            handle.remove()
    return (result, *told[0]) if told else (result, "", 0.0, [])


def _rows(values: Tensor, count: int) -> list[int]:
    """The rows that break, where the first axis is that of the rows; else all."""
    if values.shape[0] != count:
        return list(range(count))
    flat = values.detach().reshape(count, -1)
    return [int(row) for row in (flat.isnan() | (flat == float("inf"))).any(1).nonzero()[:, 0]]


def chosen(bench: Bench) -> list[int]:
    """Rows at random, and of those looked through the largest, the smallest and the most even."""
    count = len(bench.train)
    places = bench.rng("unsafe_operations").permutation(count)[:ROWS]
    inputs = bench.kept("arrays", bench.train.arrays)[0] if bench.train.loader is None else None
    extremes: list[int] = []
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind == "f" and inputs.ndim > 1:
        flat = inputs.reshape(len(inputs), -1)
        size = np.abs(flat).max(1)
        for order in (np.argsort(-size), np.argsort(size), np.argsort(flat.std(1))):
            extremes += order[:EXTREMES].tolist()
    return [int(place) for place in dict.fromkeys([*extremes, *places.tolist()])][:ROWS]


def _blank(bench: Bench) -> Broken:
    """Rows that are zero throughout."""
    batch = bench.batch(4, "unsafe_operations")
    if not any(leaf.is_floating_point() for leaf in leaves(batch.inputs)):
        return Broken()
    blank = mapped(batch.inputs, lambda leaf: torch.zeros_like(leaf) if leaf.is_floating_point() else leaf)
    twin = bench.twin()
    twin.model.eval()
    try:
        with torch.no_grad(), quiet():
            _, layer, size, _ = _watched(bench, twin, Batch(blank, batch.target, batch.weight, batch.size))
    except Exception:  # a row that the user's own model refuses is not among the data
        return Broken()
    return Broken(layer=layer, size=size)


def _finite_in_double(bench: Bench, batch: Batch) -> bool:
    """Whether the same pass stays finite in double precision."""
    twin = bench.twin()
    twin.model.double().eval()
    wide = mapped(batch.inputs, lambda leaf: leaf.double() if leaf.is_floating_point() else leaf)
    try:
        with torch.no_grad(), quiet():
            return not _watched(bench, twin, Batch(wide, batch.target, batch.weight, batch.size))[1]
    except Exception:  # a net that makes another precision by hand
        return False


def _finite(values: Tensor) -> bool:
    return not values.is_floating_point() or bool(torch.isfinite(values.detach()).all())


def _breaks(values: Tensor) -> bool:
    """Not a number, or infinite upwards: minus infinity is how masks are written."""
    if not values.is_floating_point():
        return False
    held = values.detach()
    return bool((held.isnan() | (held == float("inf"))).any())


def _finding(
    severity: Severity, message: str, values: dict[str, Any], evidence: Evidence, found: Broken, rows: list[int]
) -> Finding:
    return Finding(
        fault="numerics.unsafe_op",
        severity=severity,
        message=message,
        values=values,
        evidence=(evidence,),
        remedies=(STABLE,),
        status="confirmed",
        confidence=0.95 if severity != "note" else 0.5,
        subject={"layers": [found.layer or found.gradient], "rows": rows},
    )
