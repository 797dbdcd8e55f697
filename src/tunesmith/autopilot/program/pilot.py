"""The stages of the tuning of a program in their order, inside one budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.autopilot.decision import Decision
from tunesmith.autopilot.flight import Hands
from tunesmith.autopilot.ledger import Ledger
from tunesmith.autopilot.opening import opened
from tunesmith.autopilot.program.flight import ProgramFlight
from tunesmith.autopilot.program.reading import Reading, own_metric
from tunesmith.autopilot.program.stages.judge import judge
from tunesmith.autopilot.program.stages.longer import longer
from tunesmith.autopilot.program.stages.look import look
from tunesmith.autopilot.program.stages.mend import mend
from tunesmith.autopilot.program.stages.plain import plain
from tunesmith.autopilot.program.stages.prove import prove
from tunesmith.autopilot.program.stages.regularise import regularise
from tunesmith.autopilot.program.stages.search import search
from tunesmith.autopilot.program.start import begun, fingerprint, own_copy, parts_of
from tunesmith.autopilot.purse import Purse
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program
from tunesmith.records.state import random_state, set_random_state
from tunesmith.runs.lock import FolderLock

STAGES: Mapping[str, tuple[Callable[[ProgramFlight], Any], str]] = {
    "look": (look, "audit the rows that its loaders give"),
    "prove": (prove, "check the program on a copy; a small sample must be learnt by heart"),
    "plain": (plain, "train it as it is, on a copy"),
    "mend": (mend, "where a check or the curve names an error: repair on twins"),
    "search": (search, "rate, batch, decay, momentum, schedule: two rounds, by copies with changed settings"),
    "regularise": (regularise, "one change at a time against the validation gap, each kept only with evidence"),
    "longer": (longer, "twice the epochs, where the best epoch came late"),
    "judge": (judge, "beside the program as it was brought, and what to change in the script"),
}


@dataclass(frozen=True)
class AskedOfProgram:
    """What the tuning of a program was asked for."""

    program: Program
    unit: str  # seconds or epochs
    total: float
    seed: int
    about: Mapping[str, Any]  # the command and such, for tune.json


def look_at(asked: AskedOfProgram) -> tuple[Bench, Reading]:
    """The bench with a copy of the program, and how it is read. Raises what cannot be tuned; the original is as it was."""
    before = random_state()
    try:
        bench = Bench(own_copy(asked.program, asked.seed))
        parts = parts_of(bench, asked.seed)
        reading = Reading(bench, parts.chosen)
        own_metric(
            bench.program, bench.twin().model, parts.chosen
        )  # one that raises does so before anything is trained
    finally:
        set_random_state(before)
    return bench, reading


def fly_program(
    asked: AskedOfProgram, folder: Path, hands: Hands, *, resume: bool, tell: Callable[[Decision], None]
) -> ProgramFlight:
    """Carries out all stages on copies. A folder whose tuning was stopped is gone on with under `resume`.

    Raises `RunError` for a folder that is not empty, or holds another tuning, `ModelError` and `DataError` for a program that cannot be
    copied or has no rows to choose on, and what the stages raise.
    """
    before = random_state()
    try:
        bench, _ = look_at(asked)
        about = {"unit": asked.unit, "total": asked.total, "seed": asked.seed, "kind": bench.kind}
        opened(folder, about | {"fingerprint": fingerprint(bench), **asked.about}, resume)
        lock = FolderLock(folder)
        try:
            begun(bench.program, folder)
            bench = Bench(bench.program, kind=bench.kind)  # whose copies begin with the weights that were kept
            flight = _begun(asked, bench, folder, hands, tell)
            for stage, _ in STAGES.values():
                stage(flight)
            return flight
        finally:
            lock.release()
    finally:
        set_random_state(before)


def _begun(
    asked: AskedOfProgram, bench: Bench, folder: Path, hands: Hands, tell: Callable[[Decision], None]
) -> ProgramFlight:
    ledger, parts = Ledger(folder, tell), parts_of(bench, asked.seed)
    reading = Reading(bench, parts.chosen)
    return ProgramFlight(
        purse=Purse(asked.unit, asked.total, ledger),
        ledger=ledger,
        hands=hands,
        scorer=reading.scorer,
        seed=asked.seed,
        bench=bench,
        brought=bench,
        reading=reading,
        parts=parts,
    )
