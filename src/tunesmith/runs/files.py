"""Writing files whole or not at all, and plain data as JSON."""

import errno
import json
import math
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path, PurePath
from typing import IO, Any

import numpy as np

from tunesmith.records import StorageError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def plain(value: Any, *, finite: bool = True) -> Any:
    """`value` as JSON knows it: numpy numbers, paths, dataclasses and enumerations become plain ones.

    With `finite`, numbers that JSON has no word for become null, as `JSON.stringify` has it.

    >>> plain({"loss": np.float32(0.5), "rows": np.arange(3), "best": float("nan")})
    {'loss': 0.5, 'rows': [0, 1, 2], 'best': None}
    """
    if isinstance(value, Enum):
        return plain(value.value, finite=finite)
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist(), finite=finite)
    if isinstance(value, float):
        return value if math.isfinite(value) or not finite else None
    if value is None or isinstance(value, str | int):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value), finite=finite)
    if isinstance(value, Mapping):
        return {str(plain(key, finite=finite)): plain(held, finite=finite) for key, held in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(held, finite=finite) for held in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(held, finite=finite) for held in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(
        f"no plain form of {type(value).__name__}: {value!r:.80}; pass numbers, text, lists, mappings or arrays"
    )


@contextmanager
def storing(where: Path | str, kept: str = "what was written before is kept") -> Iterator[None]:
    """Turns a failed write into one sentence."""
    try:
        yield
    except StorageError:
        raise
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageError(_sentence(error, where, kept)) from error


def _sentence(error: OSError | sqlite3.OperationalError, where: Path | str, kept: str) -> str:
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    full = error.errno in FULL if isinstance(error, OSError) else "full" in text
    if full:
        return f"no space left to write {where} ({text}); {kept}: free some space, then resume"
    return f"cannot write {where} ({text}); {kept}: check the disk and the rights on the folder, then resume"


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file beside `path`, syncs it, and moves it there: a reader meets the old file or the new one."""
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            with part.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    write_whole(path, lambda file: file.write(data))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(plain(value), ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    named = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in named.items():
        if array.dtype.hasobject:
            raise TypeError(
                f"array {name!r} holds Python objects, which would need pickle to be read; give numbers or text"
            )
    write_whole(path, lambda file: np.savez(file, allow_pickle=False, **named))
