"""`preflight`: what is wrong with a training, before a long run."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tunesmith.records import CHEAP, DEAR, PASS, Clock, Finding, Findings, Program, Task, TunesmithError
from tunesmith.records.check import examine
from tunesmith.verbs.audit import close, known
from tunesmith.verbs.fit import as_recipe, as_task

if TYPE_CHECKING:
    from tunesmith.doctor.audits import Material
    from tunesmith.doctor.preflight import Bench

SECONDS = 30.0


def preflight(
    task_or_program: Any,
    recipe: Any = None,
    *,
    seconds: float | None = SECONDS,
    only: Iterable[str] | None = None,
    audits: bool = True,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> Findings:
    """Findings about a training before a long run, the most likely cause of trouble first; its data are audited too.

    Takes a `Program` as somebody wrote it, or a `Task` (or data with the task's fields as keywords) with a `recipe`. Everything is
    tried on a copy: weights, optimizer, random generators and data order are as before. Cheap checks come first; those that the
    budget of `seconds` did not reach stand in `unreached`.

    Raises `TunesmithError`s for data and settings that cannot be read at all.
    """
    return looked(task_or_program, recipe, seconds=seconds, only=only, audits=audits, step=step, **about)[0]


def looked(
    task_or_program: Any,
    recipe: Any = None,
    *,
    seconds: float | None = SECONDS,
    only: Iterable[str] | None = None,
    audits: bool = True,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> "tuple[Findings, Bench | None]":
    """As `preflight`, with the bench on which the program was tried; None where no training could be made of it."""
    from tunesmith.doctor.audits import AUDITS
    from tunesmith.doctor.audits.threads import one_thread
    from tunesmith.doctor.diagnosis import measured, ranked
    from tunesmith.doctor.preflight import CHECKS
    from tunesmith.records.state import random_state, set_random_state

    clock = Clock(seconds)
    chosen = known(only, CHECKS, AUDITS)
    before = random_state()
    try:
        bench, material, refused = _opened(task_or_program, recipe, clock, about)
        found = Findings()
        found.found.extend(refused)
        wanted = {name for name in (*CHECKS, *(AUDITS if audits else ())) if chosen is None or name in chosen}
        if bench is None:
            with one_thread():
                found = found + examine(AUDITS, material, clock, [name for name in AUDITS if name in wanted], step)
        else:
            with bench.guarded():
                for cost in (CHEAP, PASS, DEAR):
                    looks = [name for name in AUDITS if name in wanted and AUDITS[name].cost == cost]
                    tries = [name for name in CHECKS if name in wanted and CHECKS[name].cost == cost]
                    if looks:
                        with one_thread():
                            found = found + examine(AUDITS, bench.material, clock, looks, step)
                    found = found + examine(CHECKS, bench, clock, tries, step)
            found.notices.extend(bench.notices)
            found.measured |= bench.measured
            _excuse(found, bench)
    finally:
        set_random_state(before)
    done = set(found.seconds) - {*found.skipped, *found.failed, *found.unreached}
    found.found = ranked(measured(found.found, done))
    if audits:
        close(found, material if bench is None else bench.material)
    return found, bench


def _opened(
    subject: Any, recipe: Any, clock: Clock, about: dict[str, Any]
) -> "tuple[Bench | None, Material, list[Finding]]":
    from tunesmith.doctor.audits import material_of
    from tunesmith.doctor.preflight import bench_of_program, bench_of_task

    if isinstance(subject, Program):
        bench = bench_of_program(subject, clock=clock)
        return bench, None, []  # type: ignore[return-value]  # the bench makes it when it is asked for
    task: Task = as_task(subject, None, about)
    settled = as_recipe(recipe)
    try:
        bench = bench_of_task(task, settled, clock=clock)
        return bench, None, []  # type: ignore[return-value]
    except TunesmithError as error:
        material = material_of(task, settled, clock=clock)
        refusal = Finding(
            fault="run.crash",
            severity="error",
            message="preflight.refused",
            values={"reason": str(error)},
            status="confirmed",
        )
        return None, material, [refusal]


def _excuse(found: Findings, bench: "Bench") -> None:
    """Where the program itself does not run, checks that broke on it are no defects of ours."""
    reason = bench.measured.get("crash")
    if reason:
        found.skipped |= dict.fromkeys(found.failed, f"the program does not run: {reason}")
        found.failed.clear()
