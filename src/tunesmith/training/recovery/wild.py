"""A gradient far beyond all there were: the window is left out before it can spoil weights or the optimizer's memory.

A loss need not leap for that: after one such gradient Adam's second moment holds the steps small for 1 / (1 - beta2) updates, and
the run stands still. Huang et al. (SPAM, arXiv:2501.06842) find such gradients in language models and reset the moments for
them. Here the bar is the largest norm of the run so far; a clipped run has its own limit and is left alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.state import State
from tunesmith.training.batch import Window
from tunesmith.training.guards import Action, Guard, Measured
from tunesmith.training.recovery.bounds import named_inputs
from tunesmith.training.recovery.memo import Memo
from tunesmith.training.recovery.returning import LOOKBACK, Returning
from tunesmith.training.update import Update

KEY = "gradient_norms"  # in `state.progress`
FACTOR = 10.0  # times the largest: in 57 sound runs (19 tasks, three recipes) the most was 3.8
KNOWN = 16  # norms after which that bar holds; with fewer it is as many times higher
BEGUN = 8  # norms after which the first is compared with the others
FIRST = 100.0  # times the largest of these, of a first one that is taken back; assumption
FEWEST = 10  # windows left out in all that are borne however short the run, as in nonfinite.py
SHARE = 0.05  # of the updates made beyond that: a run with more has gradients of that kind; assumption
ALONE = 10.0  # times the largest value of the other rows, of the row that is named


@dataclass(slots=True)
class Norms:
    """How many gradient norms there were, the first, and the largest of the others; those left out apart."""

    count: int = 0
    first: float = 0.0
    others: float = 0.0

    @property
    def largest(self) -> float:
        return max(self.first, self.others)

    @property
    def begun_wild(self) -> bool:
        """Whether the first, which had nothing to be compared with, turns out to be far beyond those after it."""
        return self.count == BEGUN and self.first > FIRST * self.others > 0

    def wild(self, norm: float) -> bool:
        if not self.count or not self.largest > 0:
            return False
        return norm > FACTOR * max(1.0, KNOWN / self.count) * self.largest

    def take(self, norm: float) -> None:
        if not math.isfinite(norm):
            return
        if self.count:
            self.others = max(self.others, norm)
        else:
            self.first = norm
        self.count += 1


class SkipWild(Guard):
    """Leaves such windows out, and tells it the first time; after `most` in a row the run goes back, as long as it may.

    Where it may not, or too many were left out in all, they are taken for what gradients of this run are like.

    On a GPU norms are known late: there the run goes back to before the update (`late`).
    """

    def __init__(self, update: Update, memo: Memo, most: int, returning: Returning) -> None:
        self.update = update
        self.memo = memo
        self.most = most
        self.returning = returning
        self.norms = Norms()
        self.waits = update.precision.device.type == "cpu"
        self._told = False

    @property
    def active(self) -> bool:
        """Not where the recipe bears no window that is left out, nor where gradients have a limit."""
        return self.most > 0 and not self.update.clipping.limits

    def read(self, state: State) -> None:
        """Takes what the state holds."""
        self.norms = Norms(*state.progress.get(KEY, ()))

    def write(self, state: State) -> None:
        if self.norms.count:
            state.progress[KEY] = [self.norms.count, self.norms.first, self.norms.others]

    def after_backward(self, state: State, measured: Measured) -> Action | None:
        if not self.waits or not self.active:
            return None
        wild, memo = self.norms.wild(measured.grad_norm), self.memo
        if wild and memo.wild_at != state.step:
            memo.wild_in_a_row = 0
        borne = wild and memo.wild < max(FEWEST, SHARE * state.step)
        if borne and memo.wild_in_a_row >= self.most:
            borne = False
            if (back := self._back(state, measured)) is not None:
                return back
        if not borne:
            self.norms.take(measured.grad_norm)
            return self._first_back(state, measured.rate) if self.norms.begun_wild else None
        memo.wild, memo.wild_in_a_row = memo.wild + 1, memo.wild_in_a_row + 1
        memo.wild_at = state.step
        found = self._finding(state.step, measured.grad_norm, measured.window)
        said = f"{self._because(measured.grad_norm, state.step)}; the window is left out, {memo.wild} in all"
        return Action(kind="skip", because=said, finding=found, noted={"skipped": memo.wild, "why": "gradient"})

    def late(self, state: State, steps: Sequence[int], norms: Sequence[float], rate: float) -> Action | None:
        """On a device whose numbers come late: the first of these updates that was made with a wild gradient is taken back."""
        if not self.active:
            return None
        for step, norm in zip(steps, norms, strict=True):
            if self.norms.wild(norm):
                back = self.returning.go(
                    state, self._because(norm, step - 1), onset=step, last=step, before=0, rate=rate
                )
                if back is not None:
                    self.memo.wild += 1
                    return replace(back, finding=self._finding(step - 1, norm, ()))
            self.norms.take(norm)
            if self.norms.begun_wild and (back := self._first_back(state, rate)) is not None:
                return back
        return None

    def _first_back(self, state: State, rate: float) -> Action | None:
        """Back to the beginning, the first window left out."""
        because = (
            f"the first gradient had the norm {self.norms.first:.3g}, those after it at most {self.norms.others:.3g}"
        )
        return self.returning.go(state, because, onset=1, last=1, before=0, rate=rate)

    def _back(self, state: State, measured: Measured) -> Action | None:
        """Back to some updates before, these windows left out too: what spoilt them may have come earlier. None where that was done enough."""
        because = (
            f"{self._because(measured.grad_norm, state.step)}, and so had {self.memo.wild_in_a_row} windows before it"
        )
        about = {"onset": state.step + 1, "last": state.step, "more": self.memo.wild_in_a_row + 1, "before": LOOKBACK}
        return self.returning.go(state, because, rate=measured.rate, **about) if state.step else None

    def _because(self, norm: float, step: int) -> str:
        times = norm / self.norms.largest
        return f"the gradient after step {step} had the norm {norm:.3g}, {times:.3g} times the largest before it ({self.norms.largest:.3g})"

    def _finding(self, step: int, norm: float, window: Window) -> Finding | None:
        if self._told:
            return None
        self._told = True
        values: dict[str, Any] = {"step": step, "norm": norm, "largest": self.norms.largest}
        row = lone_row(window)
        evidence = [Evidence(name="grad_norm", value=norm, threshold=FACTOR * self.norms.largest, step=step)]
        if row is not None:
            values |= row
            evidence.append(Evidence(name="largest_value", value=row["value"], threshold=ALONE * row["others"]))
        return Finding(
            fault="grad.exploding",
            severity="warning",
            message="recovery.wild" if row is None else "recovery.wild_row",
            values=values,
            evidence=tuple(evidence),
            remedies=(
                Remedy(title="recovery.do_clip", safety=Safety.RISKY, change={"optim.clip_percentile": 90.0}),
                Remedy(title="recovery.do_clip_update", safety=Safety.RISKY, change={"optim.clip_update": 1.0}),
                Remedy(title="remedy.clip_norm", safety=Safety.RISKY, change={"optim.clip_norm": 1.0}, values={"norm": 1.0}),
            ),
            status="confirmed",
            subject={"step": step} | ({} if row is None else {"rows": [row["row"]]}),
            caused_by=None if row is None else "data.outliers",
        )  # fmt: skip


def lone_row(window: Window) -> dict[str, Any] | None:
    """The row of a window whose largest value is far beyond that of all others: its place, that value, and theirs. None without one."""
    for batch in window:
        for name, value in [*named_inputs(batch.inputs).items(), ("the target", batch.target)]:
            if not isinstance(value, Tensor) or not value.is_floating_point() or len(value) < 2:
                continue
            most = value.detach().abs().reshape(len(value), -1).amax(1)
            two = torch.topk(most, 2).values.tolist()
            if two[0] > ALONE * two[1] and math.isfinite(two[0]):
                return {"row": int(most.argmax()), "name": name, "value": two[0], "others": two[1]}
    return None
