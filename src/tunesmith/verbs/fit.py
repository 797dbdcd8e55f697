"""`fit`: from a task or data to a trained and judged model."""

import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import (
    DataError,
    Recipe,
    RecipeError,
    RunError,
    Source,
    Task,
    UnknownName,
    derived,
    did_you_mean,
    revise,
)
from tunesmith.records.task import Task as TaskType
from tunesmith.records.until import Until, until_of
from tunesmith.reports import Display, QuietDisplay, choose
from tunesmith.runs import MemoryWriter, Run, RunWriter, Status
from tunesmith.runs.stopping import HOWS
from tunesmith.verbs.batch_preview import preview_batch
from tunesmith.verbs.exporters import Fanned, trackers

if TYPE_CHECKING:
    from tunesmith.data.spec import Prepared
    from tunesmith.training.guards import Guard, Probe
    from tunesmith.training.keeping import Keeping
    from tunesmith.training.plan import Made
    from tunesmith.training.ranks.place import Place
    from tunesmith.verbs.observing import Observing

AnyRun = Run | MemoryWriter
MAY_DIFFER_ON_RESUME = ("run.", "train.device", "train.threads", "eval.bootstrap")  # nothing of these changes an update

STATUS: Mapping[str, Status] = {
    "finished": "finished",
    "early": "finished",
    "stopped": "finished",
    "paused": "paused",
    "interrupted": "interrupted",
}


def fit(
    task_or_data: Any,
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    target: str | Sequence[str] | None = None,
    folder: str | Path | None = None,
    resume: "bool | int | AnyRun" = False,
    until: int | str | Until | None = None,
    display: Display | None = None,
    guards: "Sequence[Guard]" = (),
    probes: "Sequence[Probe]" = (),
    **about: Any,
) -> AnyRun:
    """Trains, judges on data not seen, and gives the run with its best weights in `run.model`.

    `task_or_data` is a `Task`, or its training data with the task's fields as keywords (`val=`, `test=`, `kind=` …). `recipe` is a
    `Recipe`, a mapping of dotted paths or sections, or a file. With `folder`, everything is written there; without, the run is held
    in memory. `resume=True` goes on from the folder's last checkpoint, a number from that step's, a run in memory from its end.
    `until` pauses: `3` or `"3 epochs"`, `"200 steps"`, `"30 seconds"`; the schedule's horizon stays that of the whole run.
    Started as one of several ranks (torchrun, srun) each calls it alike: they divide the rows of every update, the first writes the
    folder, and every one gets the best weights and the scores.
    A training stopped by Ctrl-C returns with status "interrupted". Without a `display`, a training with `until` and no folder is quiet.

    Raises `TunesmithError`s: bad input and settings (exit code 2), `TrainingFailed` and `StorageError` (3).
    """
    from tunesmith.data import prepare
    from tunesmith.data.sources import is_live
    from tunesmith.training.ranks.place import place

    where = place()
    task = as_task(task_or_data, target, about)
    pause = until_of(until)
    run = resumed_run(folder, resume)
    asked = as_recipe(recipe)
    settled = asked if run is None else recipe_of_resumed(run, asked, recipe is None)
    quiet = folder is None and until is not None and run is None
    if not where.first:
        display = QuietDisplay()
    screen = display if display is not None else (QuietDisplay() if quiet else choose(language=settled.run.language))
    try:
        # Files and arrays are looked at before torch is loaded: what is wrong with them is told at once.
        ready = None if is_live(task.train) else prepare(task, settled)
        return _trained(task, settled, run, folder, resume, pause, screen, guards, probes, ready, where)
    finally:
        screen.close()


def _trained(
    task: TaskType,
    recipe: Recipe,
    run: AnyRun | None,
    folder: str | Path | None,
    resume: "bool | int | AnyRun",
    until: Until,
    screen: Display,
    guards: "Sequence[Guard]",
    probes: "Sequence[Probe]",
    ready: "Prepared | None",
    where: "Place",
) -> AnyRun:
    from tunesmith.data import prepare
    from tunesmith.training.plan import make
    from tunesmith.training.ranks.joining import check_same, joined
    from tunesmith.training.session import seeded

    ranks = joined(recipe, where)
    with seeded(recipe.train.seed, deterministic=recipe.train.deterministic):
        prepared = ready if ready is not None else prepare(task, recipe)
        if run is not None:
            _check_same_data(run, prepared)
        made = make(task, recipe, prepared, guards, probes, ranks)
        if ranks is not None:
            check_same(ranks, made.plan.recipe, prepared.fingerprint)
        if not where.first:
            run = opened(None, made, prepared, task)
        elif run is None:
            run = opened(folder, made, prepared, task)
        if isinstance(run, MemoryWriter):
            return _carried_out(run, run, made, prepared, task, resume, until, screen)
        with run.writer() as writer:
            return _carried_out(run, writer, made, prepared, task, resume, until, screen)


def _carried_out(
    run: AnyRun,
    writer: RunWriter | MemoryWriter,
    made: "Made",
    prepared: "Prepared",
    task: TaskType,
    resume: "bool | int | AnyRun",
    until: Until,
    screen: Display,
) -> AnyRun:
    from tunesmith.training.judgement import judge_run
    from tunesmith.training.ranks.keeping import KeptByFirst
    from tunesmith.training.session import run_plan

    ranks = made.plan.ranks
    first = ranks is None or ranks.first
    keep = keeping(run, made.plan.recipe)
    kept, start = keep, starting_point(keep, resume, screen) if first else None
    if ranks is not None:
        keep, start = KeptByFirst(keep, ranks), ranks.firsts(start)
    screen.start(opening(made, prepared, task, start))
    record = Fanned(writer, trackers(run, made.plan.recipe, screen.notice))
    snapshot, mark = start if start is not None else (None, 0)
    record.begin_attempt(0 if snapshot is None else snapshot["step"], mark)
    if snapshot is None:
        write_down(writer, made, prepared)
    _tell(screen, made, prepared)
    observing = None
    if first and made.plan.state.parted is None:
        observing = _observing(run, writer, record, screen, made, 0 if snapshot is None else snapshot["step"])
    folder = run.folder if isinstance(run, Run) else None
    if folder is not None:
        writer.set_status(obeys=list(HOWS))
    with written_where_it_breaks(writer, record):
        if snapshot is None:
            preview_batch(made, prepared, screen, writer)
        if ranks is not None and snapshot is None:
            snapshot = ranks.firsts(made.plan.state.snapshot())  # all begin with the same numbers
        try:
            ending = run_plan(made.plan, record, screen, keep, start=snapshot, until=until, folder=folder)
        except BaseException:
            if observing is not None:
                observing.end(made.plan.state.step, whole=False)
            raise
    if observing is not None:
        observing.end(made.plan.state.step, whole=ending in ("finished", "early"))
    run.model = made.plan.state.model
    if isinstance(run, MemoryWriter) and first:
        run.kept = kept  # type: ignore[attr-defined]  # what `resume=run` goes on from
    if ending in ("finished", "early"):
        if first:
            quiet = isinstance(run, MemoryWriter) and isinstance(screen, QuietDisplay)
            judge_run(made.plan, prepared, task, writer, quiet=quiet)
        if ranks is not None and (scores := ranks.firsts(run.scores)) is not None and not first:
            writer.write_json("scores.json", scores)
    writer.set_status(STATUS[ending], ending=ending)
    record.close(STATUS[ending], run.scores)
    _close(run, made, screen, ending)
    return run


@contextmanager
def written_where_it_breaks(writer: RunWriter | MemoryWriter, record: Fanned) -> Iterator[None]:
    """What ends a training from inside stands in its folder, and with its trackers, before it is raised further."""
    try:
        yield
    except BaseException as error:
        failed = isinstance(error, Exception)
        writer.set_status("failed" if failed else "interrupted", reason=str(error))
        if failed:
            writer.traceback(traceback.format_exc())
        record.close("failed" if failed else "interrupted", None)
        raise


def _observing(
    run: AnyRun, writer: RunWriter | MemoryWriter, record: Fanned, screen: Display, made: "Made", first_step: int
) -> "Observing | None":
    """The watch over this run, and the rules while it goes on, unless the recipe switches them off."""
    recipe, state = made.plan.recipe, made.plan.state
    if not recipe.run.watch:
        return None
    from tunesmith.doctor.probes.watcher_probe import WatchProbe
    from tunesmith.training.guards import StopAtNonFinite
    from tunesmith.training.recovery.nonfinite import SkipNonFinite
    from tunesmith.training.update import Update
    from tunesmith.verbs.observing import NamesBirth, Observing

    probe = WatchProbe(overhead=recipe.run.overhead)
    probe.begin(state.model, state.optimizer, first_step)
    observing = Observing(run, writer, record, screen, probe)
    update = made.plan.update
    assert isinstance(update, Update)
    named = (
        NamesBirth(one, observing, update) if isinstance(one, StopAtNonFinite | SkipNonFinite) else one
        for one in made.plan.guards
    )
    made.plan.guards = (*named, observing)
    made.plan.probes = (*made.plan.probes, probe)
    return observing


def _tell(screen: Display, made: "Made", prepared: "Prepared") -> None:
    for finding in (*prepared.findings, *made.findings):
        screen.finding(finding, 0)
    for notice in (*made.plan.recipe.notices, *prepared.notices, *made.notices):
        screen.notice(notice)


def write_down(writer: RunWriter | MemoryWriter, made: "Made", prepared: "Prepared") -> None:
    """What a reader, a prediction and a resume need to know, before the first update."""
    import numpy as np

    from tunesmith.data.spec import spec_to_json

    plain = {
        "name": made.model_name,
        "spec": spec_to_json(prepared.spec),
        "outputs": prepared.outputs,
        "kind": prepared.kind,
        "classes": list(prepared.classes) if prepared.classes is not None else None,
        "positive": prepared.positive,
        "loss": made.plan.update.loss.name,
        "layers": made.layers,
    }
    writer.write_json("model.json", plain)
    writer.write_json("data/columns.json", [column_to_json(column) for column in prepared.columns])
    if prepared.pipeline is not None:
        writer.write_json("data/pipeline.json", prepared.pipeline.to_json())
    split = prepared.split
    writer.write_arrays(
        "data/split.npz", method=np.array(split.name), train=split.train, val=split.val, test=split.test
    )
    for finding in (*prepared.findings, *made.findings):
        writer.finding(finding, 0)
    for notice in (*made.plan.recipe.notices, *prepared.notices, *made.notices):
        writer.decision("notice", notice, step=0)


def column_to_json(column: Any) -> dict[str, Any]:
    """A column's description as plain data."""
    from dataclasses import asdict

    return asdict(column)


def _close(run: AnyRun, made: "Made", screen: Display, ending: str) -> None:
    from tunesmith.verbs.report import report

    scores = (run.scores or {}).get("parts", {})
    closing: dict[str, Any] = {
        "scores": {part: told["scores"] for part, told in scores.items()},
        "intervals": {part: told.get("intervals", {}) for part, told in scores.items()},
        "findings": run.findings,
        "slices": run.slices,
        "best": made.plan.state.progress.get("best"),
        "ending": ending,
        "step": made.plan.state.step,
    }
    if isinstance(run, Run):
        place = shown(run.folder)
        closing |= {"folder": place, "recipe": f"{place}/recipe.toml", "checkpoint": f"{place}/checkpoints"}
        if ending in ("finished", "early", "stopped"):
            own = not made.built_in
            again = f'tunesmith.load("{place}", model=...)' if own else f"tunesmith predict {place} NEW_DATA"
            closing |= {"report": shown(report(run)), "next": again}
        else:
            closing |= {"next": f"tunesmith fit --folder {place} --resume"}
    screen.finish(closing)


def shown(path: Path) -> str:
    """A path as a user would type it: relative to where they are, if it lies there."""
    place = Path(path).resolve()
    return str(place.relative_to(Path.cwd())) if place.is_relative_to(Path.cwd()) else str(place)


def as_task(task_or_data: Any, target: str | Sequence[str] | None, about: Mapping[str, Any]) -> TaskType:
    """The task meant, from a `Task` or from data and keywords."""
    fields = dict(about)
    if target is not None:
        fields["target"] = target if isinstance(target, str) else tuple(target)
    known = set(Task.__dataclass_fields__)
    for name in fields:
        if name not in known:
            raise UnknownName(f"fit got {name!r}, which no task has{did_you_mean(name, known)}")
    if isinstance(task_or_data, Task):
        return replace(task_or_data, **fields) if fields else task_or_data
    return Task(train=task_or_data, **fields)


def as_recipe(recipe: Recipe | Mapping[str, Any] | str | Path | None) -> Recipe:
    """The recipe meant: itself, of a file, or of a mapping of dotted paths or sections."""
    if recipe is None:
        return Recipe()
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, (str, Path)):
        from tunesmith.records import read_recipe

        return read_recipe(recipe)
    flat: dict[str, Any] = {}
    for key, value in recipe.items():
        if isinstance(value, Mapping) and "." not in key:
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return revise(Recipe(), flat, Source("revised"))


def resumed_run(folder: str | Path | None, resume: "bool | int | AnyRun") -> AnyRun | None:
    """The run to go on with; None for a new one."""
    if isinstance(resume, (Run, MemoryWriter)):
        return resume
    if resume is False:
        return None
    if folder is None:
        raise RunError("resume needs the folder of the run: pass folder='runs/…'")
    return Run(folder)


def recipe_of_resumed(run: AnyRun, asked: Recipe, silent: bool) -> Recipe:
    """The recipe the run was made with. Raises `RecipeError` where another was asked for, unless it changes no update."""
    made_with = run.recipe
    world = "run.world_size"  # a run goes on with any number of ranks
    changes: dict[str, Any] = {world: asked.get(world)}
    if silent:
        return revise(made_with, changes, asked.source(world))
    differing = []
    for path, source in asked.sources().items():
        if asked.get(path) == made_with.get(path):
            continue
        if path.startswith(MAY_DIFFER_ON_RESUME) and path != "run.sync_batch_norm":
            changes[path] = asked.get(path)
        elif source.kind not in ("default", "derived"):
            differing.append(f"{path} = {asked.get(path)!r} here, {made_with.get(path)!r} in the run")
    if differing:
        raise RecipeError(
            f"a resumed run goes on exactly as it was made, but the recipe differs: {'; '.join(differing)}; leave that out, "
            "or start a new run in another folder"
        )
    return revise(made_with, changes, {path: asked.source(path) for path in changes})


def _check_same_data(run: AnyRun, prepared: "Prepared") -> None:
    before = run.info.get("fingerprint")
    if before and before != prepared.fingerprint:
        raise DataError(
            f"the data differ from those of the run (fingerprint {prepared.fingerprint[:12]} here, {before[:12]} in the run); "
            "resume needs the same rows, columns and order: give the same files, or start a new run in another folder"
        )


def opened(folder: str | Path | None, made: "Made", prepared: "Prepared", task: TaskType) -> AnyRun:
    """A new run: in its folder, or in memory."""
    import torch

    from tunesmith import __version__

    info = {
        "fingerprint": prepared.fingerprint,
        "title": title(task),
        "kind": prepared.kind,
        "model": made.model_name,
        "rows": rows_by_part(prepared),
        "command": list(sys.argv),
        "steps": made.plan.steps,
        "epochs": made.plan.epochs,
        "versions": {"tunesmith": __version__, "torch": torch.__version__, "python": sys.version.split()[0]},
    }
    if folder is None:
        return MemoryWriter(made.plan.recipe, info)
    return Run.create(folder, recipe=made.plan.recipe, info=info)


def keeping(run: AnyRun, recipe: Recipe) -> "Keeping":
    """Where the run's snapshots go."""
    from tunesmith.training.keeping import KeptInFolder, KeptInMemory

    if isinstance(run, Run):
        return KeptInFolder(run.folder / "checkpoints", recipe.run.keep)
    kept: KeptInMemory | None = getattr(run, "kept", None)
    return kept if kept is not None else KeptInMemory()


def starting_point(keep: "Keeping", resume: "bool | int | AnyRun", screen: Display) -> Any:
    """The snapshot and mark to go on from; None at the very beginning, also of a run killed before its first checkpoint was whole."""
    from tunesmith.training.keeping import KeptInFolder

    if resume is False:
        return None
    step = resume if isinstance(resume, int) and not isinstance(resume, bool) else None
    if step is None and isinstance(keep, KeptInFolder) and keep.checkpoints.pointed("last") is None:
        screen.notice("the run was stopped before its first checkpoint was whole: it starts from its beginning")
        return None
    return keep.last(step)


def title(task: TaskType) -> str:
    """What the run is about, in a few words."""
    return Path(task.train).name if isinstance(task.train, (str, Path)) else type(task.train).__name__


def rows_by_part(prepared: "Prepared") -> dict[str, int]:
    """How many rows each part has."""
    from tunesmith.training.plan import row_count

    parts = {"train": prepared.train, "val": prepared.val, "test": prepared.test}
    return {name: row_count(part) for name, part in parts.items() if part is not None}


def opening(made: "Made", prepared: "Prepared", task: TaskType, start: Any) -> dict[str, Any]:
    """What is shown before the first update."""
    recipe, plan = made.plan.recipe, made.plan
    rows = rows_by_part(prepared)
    return {
        "title": title(task),
        "device": recipe.train.device,
        "seed": recipe.train.seed,
        "kind": prepared.kind,
        "model": made.model_name,
        "settings": [
            {"path": path, "value": value, "source": str(recipe.source(path))} for path, value in recipe.flat().items()
        ],
        "derived": [
            {"name": number.name, "value": number.value, "equation": number.equation}
            for number in derived(recipe, rows["train"])
        ],
        "columns": [column_to_json(column) for column in prepared.columns],
        "layers": made.layers,
        "rows": rows,
        "epochs": plan.epochs if plan.feed.sized else None,
        "steps_per_epoch": plan.feed.updates(),
        "resumed_at": None if start is None else start[0]["step"],
    }
