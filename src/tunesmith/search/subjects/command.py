"""A program of any language, by lines of JSON.

It is started for each stretch of training, and reads one line from standard input:

    {"config": {…}, "start": 3, "upto": 9, "folder": "studies/s/trials/000007", "seed": 1234, "copy_from": null}

It trains from `start` to `upto` units, going on from what it left in `folder`, and prints a line a unit: `{"score": 0.31}` with
whatever else it measured; lower is better. Lines that do not begin with { are no records: they go into the trial's log, as does
standard error. It ends with exit code 0; another one fails the trial.
"""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tunesmith.records import DataError, TrainingFailed
from tunesmith.records.plain import plain
from tunesmith.search.subject import Record, TrainsFromScratch, record_of

LOG = "command.log"
WORKER = "TUNESMITH_WORKER"  # set in the environment of the pool's processes
TAIL_BYTES = 2000  # of the log, that a failure looks at


class Command(TrainsFromScratch):
    """The subject of a command line. Raises `DataError` for an empty one."""

    copies = True
    wants_folder = True

    def __init__(self, command: str | Sequence[str]) -> None:
        self.words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
        if not self.words:
            raise DataError("the command is empty; expected one such as 'python train.py'")

    def train(
        self,
        config: Mapping[str, Any],
        *,
        start: int,
        upto: int,
        folder: Path | None,
        seed: int,
        copy_from: Path | None,
    ) -> Iterator[Record]:
        assert folder is not None
        asked = {"config": plain(config), "start": start, "upto": upto, "folder": str(folder), "seed": seed}
        asked["copy_from"] = None if copy_from is None else str(copy_from)
        with (folder / LOG).open("ab") as log:
            process = self._started(log)
            try:
                with _ended_with_us(process):
                    yield from self._records(process, json.dumps(asked), upto - start, log)
            finally:
                _ended(process)
        if process.returncode:
            raise TrainingFailed(f"{self.words[0]} ended with exit code {process.returncode}{_last_line(folder / LOG)}")

    def _started(self, log: IO[bytes]) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                self.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=not in_worker(),  # a worker's group is ended as a whole
            )
        except OSError as error:
            raise DataError(f"the command {shlex.join(self.words)!r} cannot be started: {error.strerror}") from error

    def _records(self, process: "subprocess.Popen[bytes]", asked: str, most: int, log: IO[bytes]) -> Iterator[Record]:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it ended without reading: its exit code tells
            process.stdin.write(asked.encode() + b"\n")
            process.stdin.close()
        given = 0
        for line in process.stdout:
            if not line.lstrip().startswith(b"{"):
                log.write(line)
                log.flush()
                continue
            if given == most:
                raise DataError(f"{self.words[0]} printed more than the {most} records it was asked for")
            given += 1
            record = record_of(_parsed(line, self.words[0]), self.words[0])
            if given == most:  # a failure after its last unit is one too
                _finish(process, log)
            yield record
        process.wait()


def _finish(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
    """Lets it write its last checkpoint."""
    assert process.stdout is not None
    rest = process.stdout.read()
    if any(line.lstrip().startswith(b"{") for line in rest.splitlines()):
        raise DataError("the command printed more records than it was asked for")
    log.write(rest)
    if process.wait():
        raise TrainingFailed(f"the command ended with exit code {process.returncode} after its last record")


def _parsed(line: bytes, said: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise DataError(
            f'{said} printed {line[:80]!r}, which is no JSON ({error}); expected a line such as {{"score": 0.3}}'
        ) from None


@contextmanager
def _ended_with_us(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Inside, the command's group is killed when this process is, however that comes: a shell waits for a pipe of ours to end.

    A worker of the pool ends its group by itself; on systems without process groups the command lives on until its next print.
    """
    if in_worker() or not hasattr(os, "killpg"):
        yield
        return
    watcher = subprocess.Popen(
        ["sh", "-c", 'read line; kill -s KILL -- "-$0"', str(process.pid)],
        stdin=subprocess.PIPE,  # which no other child inherits
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal is ours
    )
    try:
        yield
    finally:
        watcher.kill()
        watcher.communicate()


def _ended(process: "subprocess.Popen[bytes]") -> None:
    """Ends it with all that it started, where it has not ended by itself."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg") and not in_worker():
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def in_worker() -> bool:
    """Whether this is a worker process of the pool, which is the leader of a process group."""
    return WORKER in os.environ


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1].strip()}" if lines else ""
