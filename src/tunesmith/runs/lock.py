"""One writer a run folder: an exclusive lock of the operating system, which ends with the process that holds it."""

import contextlib
import json
import os
import sys
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunesmith.records import RunBusy
from tunesmith.runs.files import storing

PATIENCE_SECONDS = 0.3  # a reader that asks `held` takes the lock for a moment
FAR = 1 << 30  # Windows locks bytes, and a locked byte cannot be read: lock one beyond the text


class FolderLock:
    """Holds `folder/lock`, in which the holder's process number and the time stand for others to read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        with storing(self.path):
            self._number: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        if not _taken(self._number, PATIENCE_SECONDS):
            self._close()
            raise RunBusy(_busy(self.path))
        with storing(self.path):
            text = json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")})
            os.ftruncate(self._number, 0)
            os.pwrite(self._number, text.encode(), 0) if hasattr(os, "pwrite") else os.write(
                self._number, text.encode()
            )
        _HELD.add(self)

    def release(self) -> None:
        _HELD.discard(self)
        self._close()

    def _close(self) -> None:
        number, self._number = self._number, None
        if number is not None:
            os.close(number)


_HELD: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _forget() -> None:
    """A forked child shares the lock of its parent and would hold it on after the parent's death."""
    for lock in list(_HELD):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def held(folder: Path) -> bool:
    """Whether some process writes to the folder now."""
    try:
        number = os.open(folder / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _taken(number, 0.0, shared=True)
    finally:
        os.close(number)


def holder(folder: Path) -> dict[str, Any]:
    """What stands in the lock file: `pid` and `since`; empty where nothing readable does."""
    with contextlib.suppress(OSError, ValueError):
        read = json.loads((folder / "lock").read_text(encoding="utf-8"))
        return dict(read) if isinstance(read, dict) else {}
    return {}


def _busy(path: Path) -> str:
    by = holder(path.parent)
    who = f"process {by['pid']} since {by.get('since', 'an unknown time')}" if "pid" in by else "another process"
    return f"run {path.parent} is in use by {who}; wait for it to end, stop it, or choose another folder"


def _taken(number: int, patience_seconds: float, shared: bool = False) -> bool:
    until = time.monotonic() + patience_seconds
    while not _attempted(number, shared):
        if time.monotonic() >= until:
            return False
        time.sleep(0.02)
    return True


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _attempted(number: int, shared: bool) -> bool:
        os.lseek(number, FAR, os.SEEK_SET)
        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(number, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _attempted(number: int, shared: bool) -> bool:
        try:
            fcntl.flock(number, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
