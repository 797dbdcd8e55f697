"""Checkpoints: safetensors for tensors, JSON for the rest, complete or absent.

A checkpoint is a folder `step-0000001234` with `model.safetensors` (the weights that are evaluated: the average where one is
kept), `state.safetensors` (everything else an exact resume needs) and `state.json` (plain values, sizes and digests of the other two).
It is written beside its place, flushed to the disk and renamed, so that a reader sees all of it or nothing. `best.json` and
`last.json` name a step each and are replaced atomically.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save

from tunesmith.records import CheckpointError, StorageError
from tunesmith.records.state import Snapshot
from tunesmith.training.packing import pack, unpack

VERSION = 1
SNAPSHOTS = "snapshots"  # folder of a run, for the checkpoints that are set aside
Pointer = Literal["best", "last"]


class Checkpoints:
    """The checkpoints of one run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, snapshot: Snapshot, *, mark: int, best: bool, keep: int) -> Path:
        """Stores a snapshot under its step, points `last` (and `best`) at it, and drops all but the newest `keep` and the best.

        Raises `StorageError` where the disk is full; the checkpoints before it stay whole.
        """
        step = int(snapshot["step"])
        place = self.folder / f"step-{step:010d}"
        with _told_when_full(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = self.folder / f".draft-{step:010d}-{os.getpid()}"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            try:
                _write_files(draft, snapshot, mark)
                _exchange(draft, place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            _flush_folder(self.folder)
            if best:
                self._point("best", step)  # first: whoever resumes from `last` finds the best that its state speaks of
            self._point("last", step)
        self._prune(keep)
        return place

    def pointed(self, pointer: Pointer) -> int | None:
        """The step that `best` or `last` names; None before the first checkpoint."""
        file = self.folder / f"{pointer}.json"
        if not file.exists():
            return None
        try:
            return int(json.loads(file.read_text())["step"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{file} cannot be read ({error}); name a step instead, there are {self.steps()}"
            ) from error

    def steps(self) -> list[int]:
        """The steps at hand, oldest first."""
        return sorted(int(place.name.removeprefix("step-")) for place in self.folder.glob("step-*"))

    def place(self, which: int | Pointer) -> Path:
        """The folder of a step, of the best or of the last checkpoint. Raises `CheckpointError` where there is none."""
        step = which if isinstance(which, int) else self.pointed(which)
        if step is None:
            raise CheckpointError(f"{self.folder.parent} holds no checkpoint yet; start the run again without resume")
        place = self.folder / f"step-{step:010d}"
        if not place.is_dir() and _former(place).is_dir():
            return _former(place)  # a kill fell between the two renames of an exchange
        if not place.is_dir():
            raise CheckpointError(f"{self.folder} has no checkpoint of step {step}; there are {self.steps()}")
        return place

    def forget_after(self, step: int) -> None:
        """Drops the checkpoints after a step that the run goes back to; the best stays, whatever its step."""
        for later in self.steps():
            if later > step and later != self.pointed("best"):
                if later == self.pointed("last"):
                    continue  # somebody may resume from it until another is whole
                _retire(self.folder / f"step-{later:010d}")

    def read(self, which: int | Pointer) -> tuple[Snapshot, int]:
        """The snapshot and its mark in the log. Raises `CheckpointError` for one that is cut short, altered or of another version."""
        place = self.place(which)
        plain = self._described(place)
        evaluated = _tensors(place / "model.safetensors")
        tensors = _tensors(place / "state.safetensors") | {
            plain["weights"] + name: tensor for name, tensor in evaluated.items()
        }
        return unpack(plain["state"], tensors), int(plain["mark"])

    def weights(self, which: int | Pointer) -> dict[str, torch.Tensor]:
        """The evaluated weights alone."""
        place = self.place(which)
        plain = self._described(place)
        tensors = {plain["weights"] + name: tensor for name, tensor in _tensors(place / "model.safetensors").items()}
        state = plain["state"]
        held = state["model"] if state["average"] is None else state["average"]["weights"]
        return unpack(held, tensors)  # type: ignore[no-any-return]

    def kept(self) -> dict[str, torch.Tensor]:
        """The weights that were best, or the last where none were."""
        return self.weights("best" if self.pointed("best") is not None else "last")

    def set_aside(self, which: int | Pointer, folder: Path) -> int:
        """Copies a checkpoint whole into another folder, where nothing prunes it; the step it is of."""
        place = self.place(which)
        with _told_when_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f".draft-{place.name}"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(place, draft)
            _exchange(draft, folder / place.name)
            _flush_folder(folder)
        return int(place.name.removeprefix("step-"))

    def _described(self, place: Path) -> dict[str, Any]:
        others = [step for step in self.steps() if f"{step:010d}" not in place.name]
        try_next = f"; whole ones may be at steps {others}" if others else ""
        file = place / "state.json"
        try:
            plain: dict[str, Any] = json.loads(file.read_text())
        except FileNotFoundError:
            raise CheckpointError(f"the checkpoint {place} has no state.json{try_next}") from None
        except ValueError as error:
            raise CheckpointError(f"the checkpoint file {file} is cut short or altered ({error}){try_next}") from error
        if plain.get("version") != VERSION:
            raise CheckpointError(
                f"the checkpoint {place} is of version {plain.get('version')}, this Tunesmith reads version {VERSION}; use the release that wrote it"
            )
        for name, told in plain["files"].items():
            size = (place / name).stat().st_size if (place / name).exists() else 0
            if size != told["bytes"]:
                raise CheckpointError(
                    f"the checkpoint file {place / name} is cut short: {size} bytes where {told['bytes']} were written{try_next}"
                )
            if _digest((place / name).read_bytes()) != told["blake2b"]:
                raise CheckpointError(
                    f"the checkpoint file {place / name} was altered after it was written: its digest differs{try_next}"
                )
        return plain

    def _point(self, pointer: Pointer, step: int) -> None:
        draft = self.folder / f".{pointer}.json"
        _write(draft, json.dumps({"step": step}).encode())
        os.replace(draft, self.folder / f"{pointer}.json")
        _flush_folder(self.folder)

    def _prune(self, keep: int) -> None:
        kept = {self.pointed("best"), self.pointed("last"), *self.steps()[-keep:]}
        for step in self.steps():
            if step not in kept:
                _retire(self.folder / f"step-{step:010d}")
        for left in (*self.folder.glob(".draft-*"), *self.folder.glob(".was-*")):
            shutil.rmtree(left, ignore_errors=True)  # by a process that was killed


def kept_weights(run: Path, step: int | None = None) -> dict[str, torch.Tensor]:
    """The weights of a run folder that were best, or the last where none were; of a `step`, those that were set aside. Raises `CheckpointError`."""
    if step is not None:
        return Checkpoints(run / SNAPSHOTS).weights(step)
    return Checkpoints(run / "checkpoints").kept()


def _write_files(place: Path, snapshot: Snapshot, mark: int) -> None:
    weights = "model." if snapshot["average"] is None else "average.weights."
    plain, tensors = pack(snapshot)
    files = {
        "model.safetensors": {
            name.removeprefix(weights): tensor for name, tensor in tensors.items() if name.startswith(weights)
        },
        "state.safetensors": {name: tensor for name, tensor in tensors.items() if not name.startswith(weights)},
    }
    told = {}
    for name, held in files.items():
        data = save(held, metadata={"format": "pt"})
        _write(place / name, data)
        told[name] = {"bytes": len(data), "blake2b": _digest(data)}
    described = {
        "version": VERSION,
        "mark": mark,
        "torch": torch.__version__,
        "weights": weights,
        "files": told,
        "state": plain,
    }
    _write(place / "state.json", json.dumps(described).encode())
    _flush_folder(place)


def _former(place: Path) -> Path:
    return place.with_name(f".was-{place.name}")


def _exchange(draft: Path, place: Path) -> None:
    """Puts the draft in its place; at every moment the place or its former self is whole."""
    if place.exists():
        shutil.rmtree(_former(place), ignore_errors=True)
        os.rename(place, _former(place))
    os.rename(draft, place)
    shutil.rmtree(_former(place), ignore_errors=True)


def _retire(place: Path) -> None:
    """Removes a checkpoint so that a kill never leaves a folder that looks whole."""
    doomed = place.with_name(f".draft-{place.name}")
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(place, doomed)
    shutil.rmtree(doomed)


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        return dict(load_file(file))
    except Exception as error:  # safetensors raises its own type, made in Rust
        raise CheckpointError(f"the checkpoint file {file} cannot be read: {error}") from error


def _write(file: Path, data: bytes) -> None:
    with open(file, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@contextmanager
def _told_when_full(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                f"no room for a checkpoint in {folder} ({error.strerror}); earlier checkpoints are whole: free space, then resume the run"
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StorageError(f"{folder} is not writable ({error.strerror}); choose another run folder") from error
        raise
