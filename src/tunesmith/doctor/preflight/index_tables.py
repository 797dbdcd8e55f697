"""index_tables: a token, position or category number lies beyond its embedding.

Sees      the rows with the highest and the lowest whole number in each column of each input, and the longest rows, of every part, sent
          through a copy whose embeddings note what they are asked for. Where an embedding is asked for an input as it stands, all
          rows are compared with its size.
Matters   on a GPU the run ends in a device-side assert when the rare token comes; a position table shorter than the longest row
          does so at the first long one.
Remedies  as many rows in the table as the highest number plus one; unknown tokens mapped to one number; longer texts cut.
Limits    the first 20,000 rows of each part; a table that is indexed by hand is seen only through the error that it raises.
Source    torch.nn.functional.embedding; the playbook's K14.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.labels import parts
from tunesmith.doctor.preflight.scoring import some
from tunesmith.doctor.preflight.seeing import quiet
from tunesmith.doctor.preflight.source import Source
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.training.batch import Batch
from tunesmith.training.evaluate import judging

ROWS = 20_000  # of each part; assumption
COLUMNS = 256  # whose extreme rows are tried; assumption: more are token positions, whose extremes come in others too
AT_ONCE = 64
TABLES = (nn.Embedding, nn.EmbeddingBag)
FIT = Remedy(title="remedy.outputs_fit_table", safety=Safety.ADVICE)


@dataclass(slots=True)
class Asked:
    """What was asked of one table: the numbers of each call, before they were brought inside."""

    name: str
    size: int
    lowest: int = 0
    highest: int = 0
    rows: set[int] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)  # names of inputs that are its indices as they stand


@check("index_tables", faults=("data.label_out_of_range",), cost=CHEAP)
def index_tables(bench: Bench) -> Iterator[Finding]:
    twin = bench.twin()
    names = _names(twin.model)
    told: set[str] = set()
    seen = False
    for part, source in parts(bench):
        arrays = _whole(bench, part, source)
        asked, error = _asked(twin, source, _extremes(arrays, source), names)
        seen = seen or bool(asked)
        for one in asked.values():
            if (one.lowest < 0 or one.highest >= one.size) and one.name not in told:
                told.add(one.name)
                yield _finding(one, part, _rows(one, arrays))
        if error is not None and not any(one.lowest < 0 or one.highest >= one.size for one in asked.values()):
            yield _raised(part, *error)
            return
    if not seen:
        raise Inapplicable("the net looks nothing up in an embedding")


def _names(model: nn.Module) -> dict[int, str]:
    """Tables by the identity of their weight."""
    return {id(module.weight): name for name, module in model.named_modules() if isinstance(module, TABLES)}


def _whole(bench: Bench, part: str, source: Source) -> dict[str, Any]:
    """Inputs that hold whole numbers, (N, ...)."""
    inputs = bench.kept("arrays", source.arrays)[0] if part == "train" else source.arrays(ROWS)[0]
    named = inputs if isinstance(inputs, Mapping) else {"x": inputs}
    return {name: values for name, values in named.items() if _is_whole(np.asarray(values))}


def _is_whole(values: Any) -> bool:
    if values.dtype.kind in "iu":
        return True
    some_of = values[:256]
    return (
        values.dtype.kind == "f"
        and bool(np.isfinite(some_of).all())
        and bool((some_of == np.round(some_of)).all(axis=0).any())
    )


def _extremes(arrays: Mapping[str, Any], source: Source) -> list[int]:
    """Rows that hold the highest or lowest number of a column, and the longest rows."""
    chosen = {0, len(source) - 1} if len(source) else set()
    for values in arrays.values():
        flat = np.asarray(values).reshape(len(values), -1)
        if not flat.shape[1]:
            continue
        columns = np.unique(np.linspace(0, flat.shape[1] - 1, min(COLUMNS, flat.shape[1])).astype(int))
        chosen |= set(flat[:, columns].argmax(0).tolist()) | set(flat[:, columns].argmin(0).tolist())
        chosen |= {int(flat.max(1).argmax()), int(flat.min(1).argmin())}
        chosen.add(int((flat != 0).sum(1).argmax()))  # the longest, where 0 is padding
    return sorted(chosen)


def _asked(
    twin: Twin, source: Source, places: list[int], names: dict[int, str]
) -> tuple[dict[int, Asked], tuple[int, str] | None]:
    """What tables were asked for, and the first row whose pass raised an index error, with its text."""
    asked: dict[int, Asked] = {}
    with quiet(), judging(twin.model):
        for start in range(0, len(places), AT_ONCE):
            chosen = places[start : start + AT_ONCE]
            batch = source.take(chosen)
            try:
                with watched(asked, names, batch, chosen):
                    twin.model(batch.inputs)
            except (IndexError, RuntimeError) as error:
                if "index" not in str(error).lower():
                    raise
                return asked, _which(twin, batch, chosen, error)
    return asked, None


def _which(twin: Twin, batch: Batch, chosen: list[int], error: Exception) -> tuple[int, str]:
    """The first row that raises by itself."""
    for place in range(batch.size):
        try:
            twin.model(some(batch, slice(place, place + 1)).inputs)
        except (IndexError, RuntimeError) as own:
            return chosen[place], str(own).splitlines()[0][:200]
    return chosen[0], str(error).splitlines()[0][:200]


@contextmanager
def watched(asked: dict[int, Asked], names: dict[int, str], batch: Batch, places: list[int]) -> Iterator[None]:
    """While it lasts, torch's embeddings note their indices, and bring those outside the table inside."""
    plain, bag = functional.embedding, functional.embedding_bag

    def noted(indices: Tensor, weight: Tensor) -> Tensor:
        one = asked.setdefault(id(weight), Asked(names.get(id(weight), "a table of the net"), len(weight)))
        if not indices.numel() or not len(weight) > 0:
            return indices
        one.lowest, one.highest = min(one.lowest, int(indices.min())), max(one.highest, int(indices.max()))
        one.inputs |= _same_inputs(indices, batch)
        outside = (indices < 0) | (indices >= len(weight))
        if bool(outside.any()) and indices.dim() and len(indices) == batch.size:
            one.rows |= {places[row] for row in outside.reshape(batch.size, -1).any(1).nonzero().reshape(-1).tolist()}
        return indices.clamp(0, len(weight) - 1)

    def embedding(indices: Tensor, weight: Tensor, *args: Any, **named: Any) -> Tensor:
        return plain(noted(indices, weight), weight, *args, **named)

    def embedding_bag(indices: Tensor, weight: Tensor, *args: Any, **named: Any) -> Tensor:
        return bag(noted(indices, weight), weight, *args, **named)

    functional.embedding, functional.embedding_bag = embedding, embedding_bag  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.embedding, functional.embedding_bag = plain, bag


def _same_inputs(indices: Tensor, batch: Batch) -> set[str]:
    inputs = batch.inputs if isinstance(batch.inputs, Mapping) else {"x": batch.inputs}
    if isinstance(batch.inputs, tuple | list):
        inputs = {f"x{place}": value for place, value in enumerate(batch.inputs)}
    return {
        name
        for name, value in inputs.items()
        if isinstance(value, Tensor) and value.shape == indices.shape and bool((value == indices).all())
    }


def _rows(one: Asked, arrays: Mapping[str, Any]) -> list[int]:
    """All rows outside, where the table is asked for an input as it stands; else those that were tried."""
    rows = set(one.rows)
    for name in one.inputs & set(arrays):
        values = np.asarray(arrays[name]).reshape(len(arrays[name]), -1)
        rows |= set(np.flatnonzero(((values < 0) | (values >= one.size)).any(1)).tolist())
    return sorted(int(row) for row in rows)


def _finding(one: Asked, part: str, rows: list[int]) -> Finding:
    number = one.highest if one.highest >= one.size else one.lowest
    return Finding(
        fault="data.label_out_of_range",
        severity="error",
        message="outputs.index_beyond_table",
        values={
            "table": one.name,
            "size": one.size,
            "last": one.size - 1,
            "number": number,
            "part": part,
            "rows": len(rows),
        },
        evidence=(
            Evidence(
                name="highest_index" if number >= one.size else "lowest_index", value=number, threshold=one.size - 1
            ),
        ),
        remedies=(FIT,),
        status="confirmed",
        subject={"rows": rows[:100_000], "layers": [one.name], "part": part},
    )


def _raised(part: str, row: int, text: str) -> Finding:
    return Finding(
        fault="data.label_out_of_range",
        severity="error",
        message="outputs.index_raises",
        values={"row": row, "part": part, "error": text},
        evidence=(Evidence(name="row", value=row, where=part),),
        remedies=(FIT,),
        status="confirmed",
        subject={"rows": [row], "part": part},
    )
