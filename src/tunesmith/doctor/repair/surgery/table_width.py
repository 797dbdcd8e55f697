"""table_width: a row in the embedding for each index.

Does      exchanges an embedding for one with as many rows as the largest index of the training rows needs; the rows it has are kept.
Mends     tokens, categories or positions beyond their table, which raise.
Limits    a table that shares its weight with another layer, and indices below 0, stay.
Source    vocabulary of data.label_out_of_range.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.causes.change import Change, Mend
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
    if not is_steppable(bench.program.optimizer):
        return
    likely = max(0.5, case.suspected("data.label_out_of_range", "run.crash"))
    for name, rows in _asked(bench).items():
        table = _table(bench.program.model, name)
        if table is not None and rows > table.num_embeddings:
            values = {"name": f"model.{name}", "rows": rows, "width": table.embedding_dim}
            yield Change(f"a table of {rows} rows", likely, mend=_widening(name, rows), values=values)


def _asked(bench: Bench) -> dict[str, int]:
    """The rows that each embedding of the model is asked for by the training rows; those with an index below 0 are left out."""
    rows = bench.train.take(range(min(MOST, len(bench.train))))
    twin, found = bench.twin(), dict[str, int]()

    def noting(name: str) -> Any:
        def note(module: Any, args: Any) -> None:
            if args and isinstance(args[0], Tensor) and args[0].numel() and int(args[0].min()) >= 0:
                found[name] = max(found.get(name, 0), int(args[0].max()) + 1)

        return note

    tables = [(name, one) for name, one in twin.model.named_modules() if type(one) is nn.Embedding]
    handles = [one.register_forward_pre_hook(noting(name)) for name, one in tables]
    try:
        twin.answers(rows)
    except Exception:  # an index beyond its table raises: that is what is looked for
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found


def _table(model: nn.Module, name: str) -> nn.Embedding | None:
    """The embedding of that name; None where its weight is another layer's too."""
    found = dict(model.named_modules()).get(name)
    if type(found) is not nn.Embedding:
        return None
    holders = [one for one in model.modules() if any(each is found.weight for each in one.parameters(recurse=False))]
    return found if len(holders) == 1 else None


def _widening(name: str, rows: int) -> Mend:
    def widened(bench: Bench, twin: Twin) -> bool:
        old = _table(twin.model, name)
        if old is None:
            return False
        new = nn.Embedding(rows, old.embedding_dim, padding_idx=old.padding_idx).to(old.weight.device, old.weight.dtype)
        with torch.no_grad():
            new.weight.mul_(old.weight.std() / new.weight.std().clamp_min(1e-12))
            new.weight[: old.num_embeddings] = old.weight
        exchange(twin, name, new)
        return True

    return widened
