"""A loss or gradient that is NaN or infinite: the window is left out and counted; too many, and the run goes back; then it ends."""

from dataclasses import replace

import torch

from tunesmith.records.state import State
from tunesmith.training.guards import Action, Guard, Measured, StopAtNonFinite
from tunesmith.training.recovery.memo import Memo
from tunesmith.training.recovery.returning import LOOKBACK, Returning

FEWEST = 10  # windows left out in all that are borne however short the run; assumption
SHARE = 0.01  # of the updates made that may be left out beyond that; assumption


class SkipNonFinite(Guard):
    """Asks the guard it wraps whether a number is not finite, and bears `most` such windows in a row."""

    def __init__(self, stop: StopAtNonFinite, memo: Memo, most: int, returning: Returning) -> None:
        self.stop = stop
        self.memo = memo
        self.most = most
        self.returning = returning
        self._told = False

    def after_backward(self, state: State, measured: Measured) -> Action | None:
        stop = self.stop.after_backward(state, measured)
        if stop is None:
            return None
        memo = self.memo
        memo.in_a_row = memo.in_a_row + 1 if memo.skipped_at == state.step else 1
        memo.skipped, memo.skipped_at = memo.skipped + 1, state.step
        if memo.skipped > max(FEWEST, SHARE * state.step):
            return self._ended(stop, f"{memo.skipped} windows in all were such")
        if memo.in_a_row <= self.most and whole(self.returning.model):
            return self._skipped(stop)
        because = f"{stop.because}; {memo.in_a_row} windows in a row were such"
        about = {"onset": state.step + 1, "last": state.step, "more": memo.in_a_row, "before": LOOKBACK}
        action = self.returning.go(state, because, rate=measured.rate, **about) if state.step else None
        if action is None:
            return self._ended(stop, f"{memo.in_a_row} windows in a row were such")
        memo.skipped -= memo.in_a_row  # taken back; the return counts instead
        return action

    def late(self, state: State, step: int, measured: Measured) -> Action | None:
        """On a device whose numbers come late: update `step` had one that is not finite, and was made."""
        stop = self.stop.after_backward(state, measured)
        if stop is None:
            return None
        self.memo.skipped += 1
        about = {"onset": step, "last": step, "before": 0}
        action = self.returning.go(state, stop.because, rate=measured.rate, **about)
        return self._ended(stop, "it had reached the weights") if action is None else action

    def _skipped(self, stop: Action) -> Action:
        """Told with its source the first time; counted, and in the log, each time."""
        finding = None
        if stop.finding is not None and not self._told:
            finding = replace(stop.finding, severity="warning")
        self._told = True
        because = f"{stop.because}; the window is left out, {self.memo.skipped} in all"
        return Action(kind="skip", because=because, finding=finding, noted={"skipped": self.memo.skipped})

    def _ended(self, stop: Action, why: str) -> Action:
        gone = f", and the run had gone back {self.memo.returns} times" if self.memo.returns else ""
        left = f"{self.memo.skipped - 1} windows were left out before" if self.memo.skipped > 1 else why
        return replace(stop, because=f"{stop.because}; {left}{gone}")


def whole(model: torch.nn.Module) -> bool:
    """Whether all weights are finite."""
    return all(bool(weight.isfinite().all()) for weight in model.parameters())
