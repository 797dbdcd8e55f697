"""`diagnose`: which fault it is, from a run, a log, a watched loop, or a program that experiments may be made with."""

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.doctor.diagnosis import diagnosed, ranked
from tunesmith.records import Clock, Finding, Findings, Program, Task
from tunesmith.records.clock import OutOfTime, limited
from tunesmith.runs.history import History
from tunesmith.runs.readers import read_log
from tunesmith.runs.reading import Reading

if TYPE_CHECKING:
    from tunesmith.doctor.causes.investigating import Verdict
    from tunesmith.doctor.preflight import Bench

SECONDS = 60.0
BEFORE = 0.5  # of the budget for what can be seen before a run; assumption: it needs 4 s in the middle
SEEN = 0.7  # confidence from which on a suspicion rests on what was seen, and is no guess; assumption
TRIED = ("short_run",)  # checks whose trainings are among the experiments
SETTLES: Mapping[str, str] = {  # what a curve can only suspect, and the check that measures it on the program
    "data.unshuffled": "shuffling",
    "model.batch_leak": "batch_leak",
    "optim.missing_zero_grad": "zero_grad",
    "optim.scheduler_before_optimizer": "scheduler_order",
    "optim.unregistered_params": "parameters_move",
}
GRACE = 0.2  # of the budget, by which an experiment that has begun may overrun it; as for checks


def diagnose(
    subject: Any,
    recipe: Any = None,
    *,
    seconds: float | None = SECONDS,
    roles: Mapping[str, str] | None = None,
    only: Iterable[str] | None = None,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> Findings:
    """Findings about a training, the most likely cause first, symptoms after their causes.

    A run, its folder, a log file or a `Watch` is judged by what was measured (`roles`: what columns of a log mean; several runs in one
    file each name theirs in `subject`). A `Program`, or a `Task` (or data with the task's fields as keywords) with a `recipe`, is looked at
    as by `preflight`, trained on a copy under observation, and tried with one suspected fault undone at a time, inside `seconds`;
    everything that was brought is left as it was.

    Raises `DataError` for a log that cannot be read, and what `preflight` raises.
    """
    if isinstance(subject, Program | Task) or about or recipe is not None or not _is_record(subject):
        return examined(subject, recipe, seconds=seconds, only=only, step=step, **about)
    return joined(histories(subject, roles), only)


def _is_record(subject: Any) -> bool:
    """Whether something holds what a training left behind."""
    return isinstance(subject, str | Path | Reading | History) or hasattr(subject, "history")


def histories(subject: Any, roles: Mapping[str, str] | None = None) -> list[History]:
    """The runs that a folder, a log, a run or a watch holds."""
    from tunesmith.runs.readers.own import history_of

    if isinstance(subject, History):
        return [subject]
    if isinstance(subject, str | Path):
        return read_log(subject, roles)
    if isinstance(subject, Reading):
        return [history_of(subject)]
    history: History = subject.history  # of a `Watch`
    return [history]


def joined(told: Iterable[History], only: Iterable[str] | None = None) -> Findings:
    """What is said of some runs, one after the other; where there are several, each finding names its run."""
    runs = list(told)
    all_said = Findings()
    for history in runs:
        said = judged(history, only)
        if len(runs) > 1:
            said.found = [replace(one, subject={**one.subject, "run": history.title}) for one in said.found]
        all_said = all_said + said
    return all_said


def judged(history: History, only: Iterable[str] | None = None, language: str = "en") -> Findings:
    """What the rules say of one run. Raises `UnknownName` for a rule that there is not."""
    from tunesmith.doctor.diagnosis import RULES
    from tunesmith.verbs.audit import known

    return diagnosed(history, known(only, RULES), language)


# A program


def examined(
    subject: Any,
    recipe: Any = None,
    *,
    seconds: float | None = SECONDS,
    only: Iterable[str] | None = None,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> Findings:
    """What looking, watching and trying find in a program or task."""
    return looked_into(subject, recipe, seconds=seconds, only=only, step=step, **about)[0]


def looked_into(
    subject: Any,
    recipe: Any = None,
    *,
    seconds: float | None = SECONDS,
    only: Iterable[str] | None = None,
    try_out: bool = True,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> "tuple[Findings, Bench | None]":
    """As `examined`, with the bench it was done on; None where no training could be made of it. Without `try_out` no experiments."""
    from tunesmith.records.state import random_state, set_random_state
    from tunesmith.verbs.preflight import looked

    _load()
    clock = Clock(seconds)
    chosen = None if only is None else list(only)
    checks, rules, experiments = _divided(chosen)
    early = None if seconds is None else BEFORE * seconds
    found, bench = looked(subject, recipe, seconds=early, only=checks, step=step, **about)
    if bench is None or bench.measured.get("crash"):
        return found, bench
    bench.clock = clock
    before = random_state()
    try:
        with bench.guarded():
            _watched_and_tried(bench, clock, found, rules, experiments if try_out else [], step)
    finally:
        set_random_state(before)
    return found, bench


def _load() -> None:
    """Imports what looks and tries: that is no part of the budget."""
    from tunesmith.doctor.audits import AUDITS
    from tunesmith.doctor.causes import EXPERIMENTS
    from tunesmith.doctor.preflight import CHECKS

    for catalogue in (AUDITS, CHECKS, EXPERIMENTS):
        len(catalogue)


def _divided(only: list[str] | None) -> tuple[list[str] | None, list[str] | None, list[str] | None]:
    """The names asked for, by what they are names of: checks and audits, rules, experiments. Raises `UnknownName` for one of none."""
    from tunesmith.doctor.audits import AUDITS
    from tunesmith.doctor.causes import EXPERIMENTS
    from tunesmith.doctor.diagnosis import RULES
    from tunesmith.doctor.preflight import CHECKS

    if only is None:
        return [name for name in (*AUDITS, *CHECKS) if name not in TRIED], None, None
    from tunesmith.verbs.audit import known

    known(only, CHECKS, AUDITS, RULES, EXPERIMENTS)
    return (
        [name for name in only if name in CHECKS or name in AUDITS],
        [name for name in only if name in RULES],
        [name for name in only if name in EXPERIMENTS],
    )


def _watched_and_tried(
    bench: "Bench",
    clock: Clock,
    found: Findings,
    rules: list[str] | None,
    experiments: list[str] | None,
    step: Callable[[str], None],
) -> None:
    """Adds what a run on a copy shows, then what experiments decide."""
    from tunesmith.doctor.diagnosis import RULES

    history = _watched(bench, clock, found, step) if rules is None or rules else None
    curves = Findings() if history is None else diagnosed(history, list(RULES) if rules is None else rules)
    found.failed |= curves.failed
    silent = set(found.seconds) - {*found.skipped, *found.failed, *found.unreached}
    named = {one.fault for one in found.found if one.severity != "note"}
    silent -= {check for fault, check in SETTLES.items() if fault in named}
    curves.found = [_measured(one, silent) for one in curves.found]
    known = [*found.found, *curves.found]
    verdict = _tried(bench, clock, found, known, history, experiments, step)
    refuted = () if verdict is None else verdict.refuted
    found.notices.extend(notice for notice in bench.notices if notice not in found.notices)
    told = list(found.found)
    if verdict is not None:
        told += verdict.findings.found
    if rules is None and history is not None and not any(map(_names_a_cause, [*told, *curves.found])):
        candidates = diagnosed(history).found  # nothing was measured: what the curves leave
        curves.found = [_measured(one, silent) for one in candidates]
    seen = [_quiet(one) for one in curves.found] if verdict is not None and verdict.well else curves.found
    found.found = ranked(_settled(one, refuted) for one in [*told, *seen])


def _names_a_cause(one: Finding) -> bool:
    """Whether a finding above a note names what a person can change."""
    return one.severity != "note" and _kind(one) == "cause"


def _kind(one: Finding) -> str:
    """Cause, mechanism or symptom."""
    from tunesmith.doctor.diagnosis.ranking import vocabulary

    return str(vocabulary().get(one.fault, {}).get("kind", "cause"))


def _watched(bench: "Bench", clock: Clock, found: Findings, step: Callable[[str], None]) -> History | None:
    """The history of the program on a copy; None where it has none."""
    from tunesmith.doctor.causes import observed
    from tunesmith.records.check import Inapplicable

    began = clock.spent()
    step("the program watched")
    try:
        with limited(clock.left() + GRACE * clock.seconds):
            return observed(bench, clock)[0]
    except OutOfTime:
        found.unreached.append("observed")
    except Inapplicable as reason:
        found.skipped["observed"] = str(reason)
    except Exception:
        found.failed["observed"] = traceback.format_exc()
    finally:
        found.seconds["observed"] = clock.spent() - began
    return None


def _tried(
    bench: "Bench",
    clock: Clock,
    found: Findings,
    known: Sequence[Finding],
    history: History | None,
    names: list[str] | None,
    step: Callable[[str], None],
) -> "Verdict | None":
    """What the experiments found; None where there were none."""
    from tunesmith.doctor.causes import investigated

    if names is not None and not names:
        return None
    try:
        with limited(clock.left() + GRACE * clock.seconds):
            verdict = investigated(bench, clock, known, history, only=names, step=step)
    except OutOfTime:
        found.unreached.append("experiments")
        return None
    except Exception:
        found.failed["experiments"] = traceback.format_exc()
        return None
    for name in ("skipped", "failed", "seconds", "measured"):
        getattr(found, name).update(getattr(verdict.findings, name))
    found.unreached.extend(verdict.findings.unreached)
    return verdict


def _settled(one: Finding, refuted: Sequence[str]) -> Finding:
    """A suspicion whose undoing gained nothing is refuted."""
    idle = one.fault in refuted and one.status == "suspected"
    return replace(one, status="refuted", severity="note") if idle else one


def _quiet(one: Finding) -> Finding:
    """A guess about a run that does what it should is a note, and so is a symptom."""
    symptom = _kind(one) == "symptom" or one.confidence < SEEN
    return replace(one, severity="note") if symptom and one.status == "suspected" and one.severity == "warning" else one


def _measured(one: Finding, done: set[str]) -> Finding:
    """What a curve suspects and a check has measured on the program itself, without a finding, is a note."""
    idle = one.status == "suspected" and one.severity != "note" and SETTLES.get(one.fault, "") in done
    return replace(one, severity="note", status="refuted") if idle else one
