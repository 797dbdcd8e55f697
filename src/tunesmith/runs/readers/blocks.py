"""Large tables in blocks of bytes, their numbers parsed by polars; a block that is not plain goes the slow way.

Below `LARGE` the import of polars costs more than it saves (benchmarks: log_reading).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.runs.readers.batches import Batch

LARGE = 32 << 20  # bytes; measured: benchmarks/results/log_reading.jsonl
BLOCK = 8 << 20


def blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, cut behind line ends."""
    rest = b""
    with path.open("rb") as file:
        while new := file.read(BLOCK):
            whole = rest + new
            cut = whole.rfind(b"\n") + 1
            rest = whole[cut:]
            if cut:
                yield whole[:cut]
    if rest:
        yield rest


def parsed(block: bytes, header: tuple[str, ...], delimiter: str, texts: frozenset[str]) -> Batch | None:
    """A block as a batch; None where it holds more than plain cells, or rows of another length."""
    import polars as pl

    if not block.endswith(b"\n") or b'"' in block or b"\n#" in block or block[:1] in b"#\n" or b"\n\n" in block:
        return None
    kinds: Mapping[str, Any] = {name: pl.String if name in texts else pl.Float64 for name in header}
    try:
        frame = pl.read_csv(block, has_header=False, separator=delimiter, schema=kinds, truncate_ragged_lines=False)
    except pl.exceptions.PolarsError:
        return None
    if frame[frame.columns[-1]].null_count() == len(frame) > 0:
        return None  # perhaps rows that are too short
    batch = Batch(len(frame))
    for name in header:
        column = frame[name]
        if name in texts:
            batch.texts[name] = column.fill_null("").to_list()
        else:
            batch.numbers[name] = column.fill_null(np.nan).to_numpy(), column.is_not_null().to_numpy()
    return batch
