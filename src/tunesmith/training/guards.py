"""The seams of the loop. A probe looks (`State -> signals`); a guard acts.

A guard is asked after backward, after the step, after an evaluation and on an exception; `None` means go on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tunesmith.records import Evidence, Finding, Remedy, Safety, Signal, TunesmithError
from tunesmith.records.state import State
from tunesmith.training.batch import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Back to the state after `step` updates; the `skip` windows that come then are left out."""

    step: int
    skip: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a guard wants done.

    `skip` makes no update with this window; `retry` computes it again after `change`; `rollback` returns to the last checkpoint,
    or to where `back` says; `stop` ends the run. `change` holds recipe paths that may change while a run goes on (`CHANGEABLE`).
    """

    kind: Literal["continue", "skip", "retry", "rollback", "stop"] = "continue"
    change: Mapping[str, Any] = field(default_factory=dict)
    because: str = ""
    finding: Finding | None = None
    failed: bool = False  # a stop that is a failure of the training
    back: Return | None = None  # of a rollback
    noted: Mapping[str, Any] = field(default_factory=dict)  # what the run's log shall hold beside `because`
    error: TunesmithError | None = None  # raised in the place of `TrainingFailed` by a stop that is a failure


CHANGEABLE = (
    "train.batch_size",
    "train.accumulate",
    "optim.lr",
    "optim.weight_decay",
    "optim.clip_norm",
    "optim.clip_value",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is known of an update when a guard is asked."""

    loss: float  # of the window: sum / weight
    grad_norm: float  # before clipping
    rate: float  # of the first parameter group
    last_finite: float  # the latest finite loss before this one
    window: Window = ()  # what the update is made of; empty where that is gone


class Probe(Protocol):
    """Looks at the state and yields signals; it must leave the state, the random generators included, as it was."""

    every: int  # updates between two looks

    def __call__(self, state: State) -> Iterable[Signal]: ...


class Guard:
    """A guard that lets everything pass; override what it watches."""

    keeps_snapshots = False  # asks the loop to hold a snapshot to roll back to

    def after_backward(self, state: State, measured: Measured) -> Action | None:
        """The gradients are there, clipped; the step is not made."""
        return None

    def after_step(self, state: State, measured: Measured) -> Action | None:
        """The step is made and counted."""
        return None

    def after_evaluation(self, state: State, row: Mapping[str, Any]) -> Action | None:
        """An evaluation row is written."""
        return None

    def on_exception(self, state: State, error: Exception) -> Action | None:
        """An update raised; without an action the error goes on to the user."""
        return None


class StopAtNonFinite(Guard):
    """Ends the run before an update with a loss or gradient that is NaN or infinite can reach the weights."""

    def after_backward(self, state: State, measured: Measured) -> Action | None:
        finite = float("-inf") < measured.loss < float("inf")
        if finite and float("-inf") < measured.grad_norm < float("inf"):
            return None
        message = "loss.nonfinite.gradient" if finite else "loss.nonfinite"
        finding = Finding(
            fault="loss.nonfinite",
            severity="error",
            message=message,
            values={
                "value": str(measured.grad_norm if finite else measured.loss),
                "step": state.step,
                "epoch": state.epoch + 1,
                "last": measured.last_finite,
            },
            evidence=(
                Evidence(name="loss", value=measured.loss, step=state.step),
                Evidence(name="grad_norm", value=measured.grad_norm, step=state.step),
                Evidence(name="lr", value=measured.rate, step=state.step),
            ),
            remedies=(
                Remedy(
                    title="remedy.lower_rate",
                    safety=Safety.RISKY,
                    change={"optim.lr": measured.rate / 10},
                    values={"lr": measured.rate / 10},
                ),
                Remedy(
                    title="remedy.clip_norm", safety=Safety.RISKY, change={"optim.clip_norm": 1.0}, values={"norm": 1.0}
                ),
            ),
            status="confirmed",
            subject={"step": state.step},
        )
        return Action(kind="stop", because=finding.because, finding=finding, failed=True)
