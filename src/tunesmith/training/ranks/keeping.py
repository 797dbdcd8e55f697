"""The first rank keeps the snapshots of all: the others write nothing, and hear from it which weights were best."""

import torch

from tunesmith.records.state import Snapshot
from tunesmith.training.keeping import Keeping
from tunesmith.training.ranks.ranks import Ranks


class KeptByFirst:
    """`keep` is used on the first rank alone."""

    def __init__(self, keep: Keeping, ranks: Ranks) -> None:
        self.keep = keep
        self.ranks = ranks

    def __call__(self, snapshot: Snapshot, *, mark: int, best: bool) -> None:
        if self.ranks.first:
            self.keep(snapshot, mark=mark, best=best)

    def last(self, step: int | None = None) -> tuple[Snapshot, int]:
        """The last snapshot and its mark, or that of a step."""
        found: tuple[Snapshot, int] = self.ranks.firsts(self.keep.last(step) if self.ranks.first else None)
        return found

    def at_most(self, step: int) -> tuple[Snapshot, int] | None:
        """The newest with no more than `step` updates."""
        found: tuple[Snapshot, int] | None = self.ranks.firsts(self.keep.at_most(step) if self.ranks.first else None)
        return found

    def forget_after(self, step: int) -> None:
        """Drops what lies after `step` updates, which are made again."""
        if self.ranks.first:
            self.keep.forget_after(step)

    def best_weights(self) -> dict[str, torch.Tensor]:
        """The weights that were best, on every rank."""
        found: dict[str, torch.Tensor] = self.ranks.firsts(self.keep.best_weights() if self.ranks.first else None)
        return found
