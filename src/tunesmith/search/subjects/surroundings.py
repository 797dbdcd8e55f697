"""What all trials in one process share, and each is to have for itself: global random numbers, and whether torch keeps gradients."""

import random
import sys
from types import TracebackType

import numpy as np

from tunesmith.records.state import Snapshot, random_state, set_random_state

LARGEST_SEED = 2**32


class Surroundings:
    """Entered, everything is as it was left the last time, the first time as after seeding; left, as it was outside.

    Torch is minded where it is loaded.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._within: tuple[Snapshot, bool] | None = None

    def __enter__(self) -> None:
        self._outside = random_state(), _tracks()
        if self._within is None:
            _seed_all(self.seed)
        else:
            _put_back(*self._within)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._within = random_state(), _tracks()
        _put_back(*self._outside)


def _tracks() -> bool:
    """Whether torch keeps gradients; as it begins where nobody has loaded it."""
    torch = sys.modules.get("torch")
    return torch is None or torch.is_grad_enabled()


def _put_back(state: Snapshot, tracks: bool) -> None:
    set_random_state(state)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_grad_enabled(tracks)


def _seed_all(seed: int) -> None:
    """Every global generator."""
    random.seed(seed)
    np.random.seed(seed % LARGEST_SEED)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
