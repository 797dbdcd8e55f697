"""Where snapshots go: checkpoints in a run folder, or memory for a run without one."""

from pathlib import Path
from typing import Any, Protocol

import torch

from tunesmith.records import CheckpointError
from tunesmith.records.state import Snapshot
from tunesmith.training.checkpoint import Checkpoints


class Keeping(Protocol):
    """Stores snapshots and gives back the last, and the best weights."""

    def __call__(self, snapshot: Snapshot, *, mark: int, best: bool) -> None: ...
    def last(self, step: int | None = None) -> tuple[Snapshot, int]: ...
    def at_most(self, step: int) -> tuple[Snapshot, int] | None: ...
    def forget_after(self, step: int) -> None: ...
    def best_weights(self) -> dict[str, torch.Tensor]: ...


class KeptInFolder:
    """Checkpoints under `folder`, the newest `keep` of them and the best."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.checkpoints = Checkpoints(folder)
        self.keep = keep

    def __call__(self, snapshot: Snapshot, *, mark: int, best: bool) -> None:
        self.checkpoints.write(snapshot, mark=mark, best=best, keep=self.keep)

    def last(self, step: int | None = None) -> tuple[Snapshot, int]:
        return self.checkpoints.read("last" if step is None else step)

    def at_most(self, step: int) -> tuple[Snapshot, int] | None:
        """The newest with no more than `step` updates."""
        steps = [one for one in self.checkpoints.steps() if one <= step]
        return self.checkpoints.read(steps[-1]) if steps else None

    def forget_after(self, step: int) -> None:
        """Drops what lies after `step` updates, which are made again, but the best."""
        self.checkpoints.forget_after(step)

    def best_weights(self) -> dict[str, torch.Tensor]:
        return self.checkpoints.kept()


class KeptInMemory:
    """The last snapshot and the best weights."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.mark = 0
        self._best: dict[str, torch.Tensor] | None = None

    def __call__(self, snapshot: Snapshot, *, mark: int, best: bool) -> None:
        self.snapshot, self.mark = snapshot, mark
        if best or self._best is None:
            self._best = evaluated_weights(snapshot)

    def last(self, step: int | None = None) -> tuple[Snapshot, int]:
        if self.snapshot is None or step not in (None, self.snapshot["step"]):
            raise CheckpointError(
                f"nothing is held in memory of step {step if step is not None else 'any'}; train first"
            )
        return self.snapshot, self.mark

    def at_most(self, step: int) -> tuple[Snapshot, int] | None:
        """The one held, if it has no more than `step` updates."""
        return (self.snapshot, self.mark) if self.snapshot is not None and self.snapshot["step"] <= step else None

    def forget_after(self, step: int) -> None:
        """The next one takes its place anyway."""

    def best_weights(self) -> dict[str, torch.Tensor]:
        if self._best is None:
            raise CheckpointError("nothing is held in memory yet; train first")
        return self._best


def evaluated_weights(snapshot: Snapshot) -> dict[str, Any]:
    """The weights that are judged: the average where one is kept."""
    held = snapshot["model"] if snapshot["average"] is None else snapshot["average"]["weights"]
    return dict(held)
