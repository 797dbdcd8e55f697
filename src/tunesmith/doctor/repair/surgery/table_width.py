"""table_width: a row in the embedding for each index.

Does      exchanges the first embedding for one with as many rows as the largest index of the training rows needs; the rows it has are kept.
Mends     tokens or categories beyond their table, which raise.
Limits    models that take one tensor of whole numbers; a table that shares its weight with another layer, and indices below 0, stay.
Source    vocabulary of data.label_out_of_range.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rows import MOST
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.repair.exchanging import exchange, is_steppable
from tunesmith.doctor.repair.surgery.catalogue import surgery


@surgery(
    "table_width",
    faults=("data.label_out_of_range", "run.crash"),
    lines=lambda before, after, values: [f"{values['name']} = nn.Embedding({values['rows']}, {values['width']})"],
    crashed=True,
)
def table_width(case: Any) -> Iterator[Change]:
    bench = case.bench
    inputs = bench.train.take(range(min(MOST, len(bench.train)))).inputs
    table = _table(bench.program.model)
    whole = isinstance(inputs, Tensor) and not inputs.is_floating_point() and inputs.dtype != torch.bool
    if table is None or not whole or not is_steppable(bench.program.optimizer) or bool((inputs < 0).any()):
        return
    name, one = table
    rows = int(inputs.max()) + 1
    if rows > one.num_embeddings:
        likely = max(0.5, case.suspected("data.label_out_of_range", "run.crash"))
        values = {"name": f"model.{name}", "rows": rows, "width": one.embedding_dim}
        yield Change(f"a table of {rows} rows", likely, mend=lambda b, t: _widened(b, t, rows), values=values)


def _table(model: nn.Module) -> tuple[str, nn.Embedding] | None:
    """Name and module of the first embedding; None where its weight is another layer's too."""
    found = next(((name, one) for name, one in model.named_modules() if type(one) is nn.Embedding), None)
    if found is None:
        return None
    holders = [one for one in model.modules() if any(each is found[1].weight for each in one.parameters(recurse=False))]
    return found if len(holders) == 1 else None


def _widened(bench: Bench, twin: Twin, rows: int) -> bool:
    table = _table(twin.model)
    if table is None:
        return False
    name, old = table
    new = nn.Embedding(rows, old.embedding_dim, padding_idx=old.padding_idx).to(old.weight.device, old.weight.dtype)
    with torch.no_grad():
        new.weight.mul_(old.weight.std() / new.weight.std().clamp_min(1e-12))
        new.weight[: old.num_embeddings] = old.weight
    exchange(twin, name, new)
    return True
