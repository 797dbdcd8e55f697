"""What recovery has learnt and done in a run. It lies in `state.progress` and outlives a return to an earlier state."""

from dataclasses import asdict, dataclass, field
from typing import Any

from tunesmith.records.state import State, copied
from tunesmith.training.recovery.room import Room

HERE = "left_out"  # in `state.progress`: [updates made, windows left out since]
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
    wild: int = 0  # windows left out because the gradient was far beyond all before it
    wild_in_a_row: int = 0
    wild_at: int = -1
    returns: int = 0  # to an earlier state, after a leap of the loss or numbers that are not finite
    given_up: bool = False  # it was told that the run goes back no more
    returned_to: int = -1  # the update before which the last return skipped
    slow: list[list[float]] = field(default_factory=list)  # [from, until, rate]: the first group's rate stays below it
    skips: dict[int, int] = field(default_factory=dict)  # windows left out once so many updates are made

    def read(self, state: State) -> None:
        """Takes what a checkpoint holds."""
        told: dict[str, Any] = state.progress.get(KEY, {})
        for name, value in told.items():
            if name in ("training", "evaluation"):
                getattr(self, name).take(value)
            else:
                setattr(self, name, copied(value))

    def write(self, state: State) -> None:
        """Puts it into the state, where there is anything to tell."""
        if self != Memo():
            state.progress[KEY] = asdict(self)

    def plan(self, begin: int, count: int, slow: list[float] | None) -> None:
        """Leaves `count` windows out after `begin` updates; what was planned for later is void, for these updates come otherwise."""
        void = sum(windows for step, windows in self.skips.items() if step > begin)
        self.skips = {step: windows for step, windows in self.skips.items() if step <= begin}
        self.skips[begin] = self.skips.get(begin, 0) + count + void
        self.slow = [one for one in self.slow if one[0] <= begin] + ([] if slow is None else [slow])

    def skipped_here(self, state: State) -> bool:
        """Whether the window in hand is to be left out; counted in the state, which a return takes back."""
        wanted = self.skips.get(state.step, 0)
        at, done = state.progress.get(HERE, (state.step, 0))
        done = done if at == state.step else 0
        if done >= wanted:
            return False
        state.progress[HERE] = [state.step, done + 1]
        return True
