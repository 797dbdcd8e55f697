"""What recovery has learnt and done in a run. It lies in `state.progress` and outlives a return to an earlier state."""

from dataclasses import asdict, dataclass, field
from typing import Any

from tunesmith.records.state import State
from tunesmith.training.recovery.room import Room

KEY = "recovery"  # its key in `state.progress`; absent where nothing had to be done


@dataclass(slots=True)
class Memo:
    """Rooms for training and evaluation, counts, and what is still to be skipped."""

    training: Room = field(default_factory=Room)
    evaluation: Room = field(default_factory=Room)
    plain_step: bool = False  # the optimizer steps tensor by tensor, which takes less memory
    step_failures: int = 0  # of the optimizer's step, for lack of memory
    skipped: int = 0  # windows left out because a number was not finite
    in_a_row: int = 0  # of these, since the last update
    skipped_at: int = -1  # updates made when the last was left out
    returns: int = 0  # to an earlier state, after a leap of the loss or numbers that are not finite
    returned_to: int = -1  # the update before which the last return skipped
    skip_at: int = -1  # windows are skipped once so many updates are made,
    skip: int = 0  # and so many of them

    def read(self, state: State) -> None:
        """Takes what a checkpoint holds."""
        told: dict[str, Any] = state.progress.get(KEY, {})
        for name, value in told.items():
            if name in ("training", "evaluation"):
                getattr(self, name).take(value)
            else:
                setattr(self, name, value)

    def write(self, state: State) -> None:
        """Puts it into the state, where there is anything to tell."""
        if self != Memo():
            state.progress[KEY] = asdict(self)
