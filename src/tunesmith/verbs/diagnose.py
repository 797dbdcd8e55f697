"""`diagnose`: which fault it is, from a run, a log, a watched loop, or a program that experiments may be made with."""

import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.doctor.diagnosis import diagnosed, ranked
from tunesmith.records import Clock, Findings, Program, Task
from tunesmith.records.clock import OutOfTime, limited
from tunesmith.runs.history import History
from tunesmith.runs.readers import read_log
from tunesmith.runs.reading import Reading

if TYPE_CHECKING:
    from tunesmith.doctor.preflight import Bench

SECONDS = 60.0
BEFORE = 0.5  # of the budget for what can be seen before a run; assumption: it needs 4 s in the middle
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
    from tunesmith.records.state import random_state, set_random_state
    from tunesmith.verbs.preflight import looked

    clock = Clock(seconds)
    chosen = None if only is None else list(only)
    checks, rules, experiments = _divided(chosen)
    early = None if seconds is None else BEFORE * seconds
    found, bench = looked(subject, recipe, seconds=early, only=checks, step=step, **about)
    if bench is None or bench.measured.get("crash"):
        return found
    bench.clock = clock
    before = random_state()
    try:
        with bench.guarded():
            _watched_and_tried(bench, clock, found, rules, experiments, step)
    finally:
        set_random_state(before)
    return found


def _divided(only: list[str] | None) -> tuple[list[str] | None, list[str] | None, list[str] | None]:
    """The names asked for, by what they are names of: checks and audits, rules, experiments. Raises `UnknownName` for one of none."""
    if only is None:
        return None, None, None
    from tunesmith.doctor.audits import AUDITS
    from tunesmith.doctor.causes import EXPERIMENTS
    from tunesmith.doctor.diagnosis import RULES
    from tunesmith.doctor.preflight import CHECKS
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
    from tunesmith.doctor.causes import investigated, observed
    from tunesmith.records.check import Inapplicable

    history: History | None = None
    began = clock.spent()
    try:
        if rules is None or rules:
            step("the program watched")
            with limited(clock.left() + GRACE * clock.seconds):
                history = observed(bench, clock)[0]
            said = diagnosed(history, rules)
            found.found.extend(said.found)
            found.failed |= said.failed
    except OutOfTime:
        found.unreached.append("observed")
    except Inapplicable as reason:
        found.skipped["observed"] = str(reason)
    except Exception:
        found.failed["observed"] = traceback.format_exc()
    found.seconds["observed"] = clock.spent() - began
    refuted: tuple[str, ...] = ()
    if experiments is None or experiments:
        try:
            with limited(clock.left() + GRACE * clock.seconds):
                verdict = investigated(bench, clock, found.found, history, only=experiments, step=step)
            found.found.extend(verdict.findings.found)
            refuted = verdict.refuted
            for name in ("skipped", "seconds", "measured"):
                getattr(found, name).update(getattr(verdict.findings, name))
            found.unreached.extend(verdict.findings.unreached)
        except OutOfTime:
            found.unreached.append("experiments")
        except Exception:
            found.failed["experiments"] = traceback.format_exc()
    found.notices.extend(notice for notice in bench.notices if notice not in found.notices)
    settled = [
        replace(one, status="refuted", severity="note") if one.fault in refuted and one.status == "suspected" else one
        for one in found.found
    ]
    found.found = ranked(settled)
