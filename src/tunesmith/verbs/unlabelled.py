"""Trainings of what predicts nothing, generators and embeddings: one run folder, one loop, one way to go on and to close."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import DataError, Recipe, RecipeError
from tunesmith.records.until import Until, until_of
from tunesmith.reports import Display, QuietDisplay, choose
from tunesmith.runs import MemoryWriter, Run, RunWriter
from tunesmith.runs.stopping import HOWS
from tunesmith.verbs.exporters import Fanned, trackers
from tunesmith.verbs.fit import (
    STATUS,
    AnyRun,
    as_recipe,
    keeping,
    recipe_of_resumed,
    resumed_run,
    shown,
    starting_point,
    written_where_it_breaks,
)

if TYPE_CHECKING:
    from tunesmith.training.loop import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What sets one kind of training apart: its words, the file of arrays that looks leave, the numbers beside the score."""

    name: str
    model: str
    said: str
    title: str  # before the shape of a row
    arrays: str
    again: str  # how to go on, of a folder
    scores: tuple[str, ...]


def train(
    kind: Kind,
    planned: Callable[[Recipe], "Plan"],
    rules: Callable[[], Mapping[str, Any]],
    recipe: Recipe | Mapping[str, Any] | str | Path | None,
    *,
    folder: str | Path | None,
    resume: bool | int | AnyRun,
    until: int | str | Until | None,
    display: Display | None,
) -> AnyRun:
    """Trains by the plan of a settled recipe; `rules` are what a resumed run must have as well."""
    pause, run = until_of(until), resumed_run(folder, resume)
    asked = as_recipe(recipe)
    settled = asked if run is None else recipe_of_resumed(run, asked, recipe is None)
    quiet = folder is None and until is not None and run is None
    screen = display if display is not None else (QuietDisplay() if quiet else choose(language=settled.run.language))
    try:
        return _trained(kind, planned, rules, settled, run, folder, resume, pause, screen)
    finally:
        screen.close()


def _trained(
    kind: Kind,
    planned: Callable[[Recipe], "Plan"],
    rules: Callable[[], Mapping[str, Any]],
    recipe: Recipe,
    run: AnyRun | None,
    folder: str | Path | None,
    resume: bool | int | AnyRun,
    until: Until,
    screen: Display,
) -> AnyRun:
    from tunesmith.training.session import seeded

    with seeded(recipe.train.seed, deterministic=recipe.train.deterministic):
        plan = planned(recipe)
        about = _about(kind, rules(), plan)
        if run is None:
            run = (
                MemoryWriter(plan.recipe, about)
                if folder is None
                else Run.create(folder, recipe=plan.recipe, info=about)
            )
        else:
            _check_same(kind, run, about)
        if isinstance(run, MemoryWriter):
            return _carried_out(kind, run, run, plan, about, resume, until, screen)
        with run.writer() as writer:
            return _carried_out(kind, run, writer, plan, about, resume, until, screen)


def _carried_out(
    kind: Kind,
    run: AnyRun,
    writer: RunWriter | MemoryWriter,
    plan: "Plan",
    about: Mapping[str, Any],
    resume: bool | int | AnyRun,
    until: Until,
    screen: Display,
) -> AnyRun:
    from tunesmith.training.session import run_plan

    keep = keeping(run, plan.recipe)
    start = starting_point(keep, resume, screen)
    snapshot, mark = start if start is not None else (None, 0)
    screen.start(_opening(plan, about, None if snapshot is None else snapshot["step"]))
    record = Fanned(writer, trackers(run, plan.recipe, screen.notice))
    record.begin_attempt(0 if snapshot is None else snapshot["step"], mark)
    if snapshot is None:
        model = {"name": about["model"], "kind": kind.name, "layers": about["layers"], "rules": about["rules"]}
        writer.write_json("model.json", model)
    plan.judge.show = partial(writer.write_arrays, kind.arrays)  # type: ignore[attr-defined]  # both judges have it
    folder = run.folder if isinstance(run, Run) else None
    if folder is not None:
        writer.set_status(obeys=list(HOWS))
    with written_where_it_breaks(writer, record):
        ending = run_plan(plan, record, screen, keep, start=snapshot, until=until, folder=folder)
    run.model = plan.state.model
    if isinstance(run, MemoryWriter):
        run.kept = keep  # type: ignore[attr-defined]  # what `resume=run` goes on from
    if ending in ("finished", "early"):
        writer.write_json("scores.json", _scores(kind, plan, run))
    writer.set_status(STATUS[ending], ending=ending)
    record.close(STATUS[ending], run.scores)
    _close(kind, run, plan, screen, ending)
    return run


def _about(kind: Kind, rules: Mapping[str, Any], plan: "Plan") -> dict[str, Any]:
    """What the run is of, for its folder and for a resume."""
    import torch

    from tunesmith import __version__
    from tunesmith.generative.gan.rows import RealRows

    assert isinstance(plan.feed, RealRows)
    rows, held = plan.feed.rows, plan.judge.sight.compared  # type: ignore[attr-defined]  # both judges have one
    layers = [
        {"name": name, "kind": type(layer).__name__, "parameters": sum(one.numel() for one in own)}
        for name, layer in plan.state.model.named_modules()
        if (own := list(layer.parameters(recurse=False)))
    ]
    return {
        "title": f"{kind.title} " + " × ".join(str(size) for size in rows.shape[1:]),
        "kind": kind.name,
        "model": kind.model,
        "rules": dict(rules),
        "rows": {"train": len(rows), "val": len(held)},
        "fingerprint": _fingerprint(rows, held),
        "layers": layers,
        "command": list(sys.argv),
        "steps": plan.steps,
        "epochs": plan.epochs,
        "versions": {"tunesmith": __version__, "torch": torch.__version__, "python": sys.version.split()[0]},
    }


def _fingerprint(*parts: Any) -> str:
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for rows in parts:
        digest.update(repr(tuple(rows.shape)).encode())
        digest.update(rows.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _check_same(kind: Kind, run: AnyRun, about: Mapping[str, Any]) -> None:
    """Raises `DataError` for other data than those of the run, `RecipeError` for other rules."""
    before = run.info
    if before.get("kind") != kind.name:
        raise DataError(f"the run is no {kind.said} but of kind {before.get('kind')!r}; go on with it by fit")
    if before["fingerprint"] != about["fingerprint"]:
        raise DataError("the data differ from those of the run; a resumed run needs the same rows in the same order")
    for name, value in about["rules"].items():
        if before["rules"][name] != value:
            raise RecipeError(
                f"a resumed run goes on exactly as it was made, but {name} is {value!r} here and {before['rules'][name]!r} in the run"
            )


def _opening(plan: "Plan", about: Mapping[str, Any], resumed_at: int | None) -> dict[str, Any]:
    recipe = plan.recipe
    settings = [
        {"path": path, "value": value, "source": str(recipe.source(path))} for path, value in recipe.flat().items()
    ]
    return {
        **{name: about[name] for name in ("title", "kind", "model", "rows")},
        "layers": [{"shape": None, "init_std": None, **layer} for layer in about["layers"]],
        "device": recipe.train.device,
        "seed": recipe.train.seed,
        "settings": settings,
        "derived": [],
        "columns": [],
        "epochs": plan.epochs,
        "steps_per_epoch": plan.feed.updates(),
        "resumed_at": resumed_at,
    }


def _scores(kind: Kind, plan: "Plan", run: AnyRun) -> dict[str, Any]:
    """What the kept weights scored at their evaluation."""
    best = plan.state.progress.get("best")
    row = next(row for row in reversed(run.evaluations) if best is None or row["step"] == best["step"])
    scores = {row["metric"]: row["score"]} | {name: row[name] for name in kind.scores if row.get(name) is not None}
    rows = run.info["rows"]["val"]
    return {"metric": row["metric"], "best": best, "parts": {"val": {"rows": rows, "scores": scores}}}


def _close(kind: Kind, run: AnyRun, plan: "Plan", screen: Display, ending: str) -> None:
    from tunesmith.verbs.report import report

    parts = (run.scores or {}).get("parts", {})
    closing: dict[str, Any] = {
        "scores": {part: told["scores"] for part, told in parts.items()},
        "intervals": {},
        "findings": run.findings,
        "best": plan.state.progress.get("best"),
        "ending": ending,
        "step": plan.state.step,
    }
    if isinstance(run, Run):
        place = shown(run.folder)
        closing |= {"folder": place, "recipe": f"{place}/recipe.toml", "checkpoint": f"{place}/checkpoints"}
        if ending in ("finished", "early", "stopped"):
            closing |= {"report": shown(report(run))}
        closing |= {"next": kind.again.format(folder=place)}
    screen.finish(closing)
