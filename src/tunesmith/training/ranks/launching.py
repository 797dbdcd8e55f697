"""Starts the ranks of one command on this machine, watches them, and ends all when one dies."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tunesmith.records import DataError, RecipeError, TrainingFailed, TunesmithError
from tunesmith.training.ranks.place import LAUNCHER, MEETING

LOST = 76  # the exit code of a rank that only says that another is gone; EX_PROTOCOL of sysexits.h
GRACE = 20.0  # seconds that the others have to end by themselves: they notice within one; assumption
LOOK = 0.05  # seconds between two looks


def launched(words: Sequence[str], world: int, *, listen: bool = False, grace: float = GRACE) -> tuple[int, str]:
    """Runs the command line `words` of ours as `world` ranks and gives its exit code; the first rank writes to the terminal.

    With `listen` its standard output is given too, and is not shown.

    The ranks meet in a file, so no port is needed. Raises a `TunesmithError` where a rank died, or said what the first
    does not know.
    """
    if "WORLD_SIZE" in os.environ:
        raise RecipeError(
            f"WORLD_SIZE is set, so this process is a rank already and starts no {world} of its own; leave --nproc out"
        )
    with tempfile.TemporaryDirectory(prefix="tunesmith-ranks-") as name:
        folder = Path(name)
        ranks: list[subprocess.Popen[bytes]] = []
        stopped: set[int] = set()
        try:
            for rank in range(world):
                ranks.append(_started(words, rank, world, folder, listen))
            with _passed_on(ranks[0]):
                dead = _watched(ranks, grace)
        finally:
            for rank, one in enumerate(ranks):
                if one.poll() is None:  # it waits for one that is gone
                    one.kill()
                    stopped.add(rank)
                one.wait()
        code = _told([LOST if rank in stopped else one.returncode for rank, one in enumerate(ranks)], dead, folder)
        return code, (folder / "0.txt").read_text(encoding="utf-8") if listen else ""


def _started(words: Sequence[str], rank: int, world: int, folder: Path, listen: bool) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tunesmith.cli", *words]
    variables = {**os.environ, **variables_of(rank, world, folder)}
    if rank == 0 and not listen:
        return subprocess.Popen(command, env=variables, start_new_session=True)
    with (folder / f"{rank}.txt").open("wb") as said:
        streams: dict[str, Any] = {"stdout": said} if rank == 0 else {"stdout": subprocess.DEVNULL, "stderr": said}
        return subprocess.Popen(command, env=variables, start_new_session=True, stdin=subprocess.DEVNULL, **streams)


def variables_of(rank: int, world: int, folder: Path) -> Mapping[str, str]:
    """What a rank is told by its environment; the threads of the machine are divided where nobody has set their number."""
    threads = max(1, (os.cpu_count() or 1) // world)
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        MEETING: str(folder / "meeting"),
        LAUNCHER: str(os.getpid()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
    }


@contextmanager
def _passed_on(first: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Ctrl-C and SIGTERM go to the first rank, with which all agree after the update; the ranks do not hear the terminal themselves."""

    def heard(number: int, frame: FrameType | None) -> None:
        if first.poll() is None:
            first.send_signal(number)

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watched(ranks: Sequence["subprocess.Popen[bytes]"], grace: float) -> int | None:
    """Waits until all have ended; after a failure for `grace` seconds. The rank that a signal ended, None where there is none."""
    until: float | None = None
    while True:
        codes = [one.poll() for one in ranks]
        if until is None and any(codes):
            until = time.monotonic() + grace
        ended = all(code is not None for code in codes)
        if ended or (until is not None and time.monotonic() > until):
            return next((rank for rank, code in enumerate(codes) if code is not None and code < 0), None)
        time.sleep(LOOK)


def _told(codes: Sequence[int], dead: int | None, folder: Path) -> int:
    """The exit code of the command; what the first rank could not say is raised."""
    world = len(codes)
    if dead is not None:
        number = -codes[dead]
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        raise TrainingFailed(
            f"rank {dead} of {world} was ended by {name}, so all were stopped; what was saved is whole: go on with the same command and "
            "--resume --folder RUN"
        )
    if codes[0] not in (0, LOST):
        return codes[0]
    for rank, code in enumerate(codes):
        if code not in (0, LOST):
            lines = (folder / f"{rank}.txt").read_text(encoding="utf-8", errors="replace").splitlines() if rank else []
            said = next(
                (line for line in reversed(lines) if line.startswith("error: ")), f"error: it ended with code {code}"
            )
            raise _kind(code)(f"rank {rank} of {world}: {said.removeprefix('error: ')}")
    if LOST in codes:
        raise TrainingFailed(
            f"the {world} ranks lost each other, so all were stopped; go on with the same command and --resume --folder RUN"
        )
    return 0


def _kind(code: int) -> type[TunesmithError]:
    return DataError if code == 2 else TrainingFailed
