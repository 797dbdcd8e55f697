"""resume_state: a run is resumed from a checkpoint that lacks what the optimizer or the schedule had in memory.

Sees      what the checkpoint holds (weights, moments, schedule, position), against what optimizer and scheduler of the program
          keep while they train (asked of a copy after one update) and already hold.
Matters   moments at zero make the first updates after the resume far too long (Adam) or too short (momentum); a schedule at its start
          lifts the rate again.
Remedies  save and load the state of model, optimizer, scheduler and the position together.
Limits    a checkpoint in a form of its own is read as far as its names and contents tell.
Source    torch, "Saving and loading a general checkpoint".
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.seeing import probed, quiet
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

WHOLE = Remedy(title="remedy.outputs_whole_checkpoint", safety=Safety.ADVICE)
POSITIONS = ("epoch", "epochs", "step", "steps", "global_step", "iteration", "iter", "updates", "last_epoch")


@check("resume_state", faults=("optim.lost_state",), cost=CHEAP)
def resume_state(bench: Bench) -> Iterator[Finding]:
    if bench.program.resume_from is None:
        raise Inapplicable("the program is not resumed")
    held = _read(bench.program.resume_from)
    lost = [
        what
        for what, gone in (("optimizer", _lost_moments(bench, held)), ("scheduler", _lost_schedule(bench, held)))
        if gone
    ]
    position = position_of(held)
    if not lost:
        return
    yield Finding(
        fault="optim.lost_state",
        severity="warning",
        message="outputs.resume_lost",
        values={"lost": " and ".join(lost), "holds": ", ".join(sorted(map(str, held))[:6]), "position": position or 0},
        evidence=(
            Evidence(name="parts_of_state_lost", value=len(lost), threshold=0, source="what a copy keeps in memory"),
        ),
        remedies=(WHOLE,),
        status="confirmed",
        confidence=0.9,
        subject={"lost": lost},
    )


def _read(source: Any) -> Mapping[str, Any]:
    """The checkpoint as a mapping. Raises `Inapplicable` where it is none."""
    if isinstance(source, str | Path):
        try:
            source = torch.load(source, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a file of another's may raise
            raise Inapplicable(f"the checkpoint cannot be read ({type(error).__name__})") from error
    if not isinstance(source, Mapping):
        source = getattr(source, "__dict__", None)
    if not isinstance(source, Mapping) or not source:
        raise Inapplicable("the checkpoint holds no named parts")
    return source


def position_of(held: Mapping[str, Any]) -> int | None:
    """Epochs or updates that the checkpoint says were made."""
    found = [
        int(held[name]) for name in POSITIONS if isinstance(held.get(name), int) and not isinstance(held[name], bool)
    ]
    return max(found, default=None)


def _optimizer_states(held: Any, depth: int = 3) -> Iterator[Mapping[str, Any]]:
    if not isinstance(held, Mapping) or depth == 0:
        return
    if "state" in held and "param_groups" in held:
        yield held
        return
    for value in held.values():
        yield from _optimizer_states(value, depth - 1)


def _lost_moments(bench: Bench, held: Mapping[str, Any]) -> bool:
    """The optimizer has a memory that neither it nor the checkpoint holds."""
    if any(state["state"] for state in _optimizer_states(held)) or getattr(bench.program.optimizer, "state", None):
        return False
    return _remembers(bench)


def _remembers(bench: Bench) -> bool:
    """Whether the optimizer keeps tensors from one update to the next."""
    twin = bench.twin()
    count = max(1, bench.program.accumulate)
    try:
        with quiet():
            if bench.program.step is None:
                twin.gradient(probed(bench))
                twin.optimizer.step()
            else:
                for _ in range(count):
                    twin.step(probed(bench))
    except Exception as error:  # whatever a user's own code raises
        raise Inapplicable(f"no update can be made ({type(error).__name__})") from error
    state = getattr(twin.optimizer, "state", {})
    return any(
        isinstance(value, Tensor) and value.numel() > 1
        for one in state.values()
        if isinstance(one, dict)
        for value in one.values()
    )


def _lost_schedule(bench: Bench, held: Mapping[str, Any]) -> bool:
    """The scheduler stands at its start and the checkpoint says nothing of it."""
    scheduler = bench.program.scheduler
    if scheduler is None or int(getattr(scheduler, "last_epoch", 0) or 0) > 0:
        return False
    return not any(_of_a_schedule(name, value) for name, value in held.items())


def _of_a_schedule(name: Any, value: Any) -> bool:
    if isinstance(value, Mapping) and ("last_epoch" in value or "_step_count" in value or "num_bad_epochs" in value):
        return True
    return "sched" in str(name).lower() and value is not None
