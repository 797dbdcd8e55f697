"""trainer_state.json of Transformers: its log_history, and what was planned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.records import DataError
from tunesmith.runs.history import History
from tunesmith.runs.notice import Notice
from tunesmith.runs.readers.batches import batches
from tunesmith.runs.readers.catalogue import Roles, reader
from tunesmith.runs.readers.gathering import Gathering
from tunesmith.runs.readers.json_stream import CHUNK, Pieces
from tunesmith.runs.readers.opening import encoding_of, head_of, is_text, opened
from tunesmith.runs.readers.records_of import Records
from tunesmith.runs.readers.settings import UNSET
from tunesmith.runs.readers.shaping import Log, histories

OWN = (b'"log_history"', b'"is_world_process_zero"', b'"best_model_checkpoint"')


def takes(path: Path, head: bytes) -> bool:
    return not path.is_dir() and is_text(head) and head.lstrip().startswith(b"{") and any(mark in head for mark in OWN)


@reader("trainer_state", order=10, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    import io

    state: dict[str, Any] = {}
    with opened(path) as packed, io.TextIOWrapper(packed, encoding_of(head_of(path)), "replace") as text:
        pieces = Pieces(iter(lambda: text.read(CHUNK), ""))

        def entries() -> Any:
            for way, value in pieces:
                if way == ("log_history",):
                    yield value
                elif len(way) == 1 and not isinstance(value, dict | list):
                    state[way[0]] = value

        records = Records(entries())
        gathered = Gathering(str(path), roles).take(batches(records))
    if not gathered.rows:
        raise DataError(
            f"{path} holds a log_history without records: the training was stopped before its first log; wait for one, or log more often"
        )
    notices = (Notice("readers.cut_line"),) if pieces.cut else ()
    return histories(gathered, Log("trainer_state", str(path), planned(state) | records.facts, notices))


def planned(state: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of the state beside its log."""
    found: dict[str, Any] = {}
    for fact, name in (("steps", "max_steps"), ("epochs", "num_train_epochs"), ("batch_size", "train_batch_size")):
        value = state.get(name)
        if isinstance(value, int | float) and 0 < value < UNSET:
            found[fact] = int(value) if value == int(value) else value
    if isinstance(done := state.get("global_step"), int) and "steps" in found:
        found["finished"] = done >= found["steps"]
    return found
