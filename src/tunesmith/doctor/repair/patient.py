"""What is mended: a program, or a task with its recipe; never changed itself, copies of it are."""

from dataclasses import dataclass, replace

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, bench_of_program, bench_of_task
from tunesmith.doctor.preflight.courses import judge_rows, resized, vary
from tunesmith.records import Clock, ModelError, Program, Recipe, Task, revise
from tunesmith.records.check import Inapplicable
from tunesmith.records.state import random_state, set_random_state


@dataclass(frozen=True, slots=True)
class Patient:
    """A `Program`, or a `Task` with a `Recipe`."""

    program: Program | None = None
    task: Task | None = None
    recipe: Recipe | None = None

    def bench(self, beside: Bench | None = None) -> Bench:
        """Its bench; a program's is judged on the rows of the bench `beside`, so that scores are of the same rows."""
        clock = Clock() if beside is None else beside.clock
        if self.program is None:
            assert self.task is not None
            assert self.recipe is not None
            return bench_of_task(self.task, self.recipe, clock=clock)
        if beside is None:
            return bench_of_program(self.program, clock=clock)
        made = Bench(self.program, clock=clock, kind=beside.kind)
        made.kept("courses.rows", lambda: judge_rows(beside))
        if beside.val is not None:
            made.kept(
                "courses.held", lambda: beside.kept("courses.held", lambda: beside.batch(1000, "held", beside.val))
            )
        return made

    def operated(self, bench: Bench, change: Change) -> "Patient | None":
        """A changed copy, on whose bench `bench` it stands; None where there is nothing to change."""
        if self.program is None:
            assert self.recipe is not None
            return replace(self, recipe=revise(self.recipe, change.recipe)) if change.recipe else None
        changed = operated(bench, change)
        return None if changed is None else Patient(changed)


def operated(bench: Bench, change: Change) -> Program | None:
    """A copy of the program on a bench with a change carried out for good; None where there is nothing to change."""
    random = random_state()
    try:
        own = bench.program
        if change.rewrite is not None:
            bench.originals.restore()
            own = change.rewrite(bench, own)
        opened = bench if change.rewrite is None else Bench(own, clock=bench.clock, kind=bench.kind)
        twin = opened.twin()
        if change.mend is not None and not change.mend(opened, twin):
            return None
        vary(opened, twin, change.variation)
    except (ModelError, Inapplicable):  # a model whose layers cannot be followed, or that fits no form of change
        return None
    finally:
        set_random_state(random)
    one = change.variation
    size = max(1, round(own.batch_size * one.batch))
    return replace(
        own,
        model=twin.model,
        loss_fn=twin.loss_fn,
        optimizer=twin.optimizer,
        scheduler=None if one.flat else twin.scheduler,
        train=resized(own.train, size, one.batch),
        batch_size=size,
        epochs=max(1, round(own.epochs * one.epochs)),
    )
