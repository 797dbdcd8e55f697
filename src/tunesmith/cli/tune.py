"""`tunesmith tune`: from a data file, or a program of the user's own, to a tuned, judged and explained model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import (
    Columns,
    Data,
    Debug,
    Drop,
    Group,
    Json,
    Kind,
    Labels,
    Model,
    Positive,
    Quiet,
    RecipeFile,
    Settings,
    SplitBy,
    Target,
    Test,
    Text,
    Time,
    Val,
    Weight,
)

if TYPE_CHECKING:
    from tunesmith.records import Program, Recipe, Task
    from tunesmith.verbs.tune import Tuned

Amount = Annotated[
    str,
    typer.Option(metavar="AMOUNT", help="Time such as '10m' or '90s', '300 epochs', or a number of full trainings."),
]

Subject = Annotated[
    Text,
    typer.Option(
        "--task", "--program", metavar="MODULE:OBJECT", help="Your own Task or Program, or a function of one."
    ),
]


def tune(
    data: Data = None,
    target: Target = None,
    budget: Amount = "10m",
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Of the tuning; new: tuned/<data>-<number>.", show_default=False),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the tuning in --folder; DATA and options may be left out.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and train nothing.")] = False,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Of every random choice.")] = 0,
    test: Test = None,
    val: Val = None,
    split: SplitBy = None,
    group: Group = None,
    time: Time = None,
    drop: Drop = None,
    weight: Weight = None,
    positive: Positive = None,
    labels: Labels = None,
    column: Columns = None,
    kind: Kind = None,
    model: Model = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    task: Subject = None,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Tune on a data file or your own program, judge once, and say why."""
    if resume and data is None and task is None and folder is not None:
        return again(folder, quiet, json, debug)
    from tunesmith.cli.check import program_of
    from tunesmith.cli.fit import share_of, task_of
    from tunesmith.cli.recipes import asked_recipe

    short: dict[str, Any] = {"data.split": split, "model.name": model}
    short |= {"data.test": share_of(test), "data.val": share_of(val)}
    asked = asked_recipe(recipe, settings, short)
    about: dict[str, Any] = {"target": target, "test": test, "val": val, "group": group, "time": time, "drop": drop}
    about |= {"sample_weight": weight, "positive": positive, "labels": labels, "columns": column, "kind": kind}
    program = program_of(task)
    given: Any = program
    if program is None:
        given = task_of(task, data, **about)
    else:
        alone({"DATA": data, "--recipe": recipe, "--set": settings, **short, **about})
        asked = None
    if dry_run:
        return planned(given, asked, budget, seed)
    return tuned(given, asked, budget, seed, place_of(folder, data, task, resume), resume, quiet, json)


def alone(others: dict[str, Any]) -> None:
    """Raises `DataError` where data or options of a recipe came with a program."""
    from tunesmith.records import DataError

    came = [name for name, value in others.items() if value]
    if came:
        raise DataError(
            f"{', '.join(came)} came with a program; it has its own settings and data, so give --program, --budget, --folder and --seed alone"
        )


def planned(task: "Task | Program", recipe: "Recipe | None", budget: str, seed: int) -> Answer:
    """What would be done, without a training."""
    from tunesmith.verbs.tune import plan

    told = plan(task, recipe, budget=budget, seed=seed)
    lines = [
        f"budget  {told['total']:g} {told['unit']}, seed {seed}",
        f"task    {told['kind']}, {told['rows']} rows to train on",
    ]
    lines += [f"metric  {told['metric']}", f"model   {told['model']}, {told['epochs']} epochs at most", ""]
    lines += [f"{number:2} {stage['stage']:<11}{stage['does']}" for number, stage in enumerate(told["stages"], start=1)]
    return Answer(told, "\n".join(lines))


def tuned(
    task: "Task | Program",
    recipe: "Recipe | None",
    budget: str,
    seed: int,
    place: Path,
    resume: bool,
    quiet: bool,
    json: bool,
) -> Answer:
    """The tuning itself, shown as it goes, and its answer."""
    import sys

    from tunesmith.reports.tune_live import choose_tune
    from tunesmith.verbs.report import report
    from tunesmith.verbs.tune import tune as fly

    display = choose_tune(json=json, quiet=quiet)
    found = fly(
        task, recipe, budget=budget, folder=place, resume=resume, seed=seed, tell=display, command=list(sys.argv[1:])
    )
    page = report(found.folder)
    display.finish(found, page)
    return answer_of(found, page)


def answer_of(found: "Tuned", page: Path) -> Answer:
    """Scores, decisions and place of a tuning."""
    judged = found.judged
    part = judged["part"]
    data: dict[str, Any] = {"scores": {part: found.scores}, "folder": str(found.folder), "report": str(page)}
    data |= {
        "metric": judged["metric"],
        "beside": {name: row["scores"][judged["metric"]] for name, row in judged["rows"].items()},
    }
    data |= {"intervals": {part: judged["rows"]["handed over"]["intervals"]}}
    data |= {"lines": found.lines} if found.of_program else {}
    return Answer(data | {"decisions": [one.as_dict() for one in found.decisions]})


def again(folder: Path, quiet: bool, json: bool, debug: bool) -> Answer:
    """Goes on with a tuning as its own command has it, without typing that again."""
    from tunesmith.autopilot.opening import settings_of
    from tunesmith.cli.app import app
    from tunesmith.cli.fit import flag, without
    from tunesmith.records import RunError

    words = list(settings_of(folder).get("command", ()))
    if words[:1] != ["tune"]:
        raise RunError(
            f"{folder} was not started by `tunesmith tune`, so its data are not known; give them: tunesmith tune DATA --folder {folder} --resume"
        )
    kept = without(words, {"--folder": 1, "--resume": 0, "--json": 0, "--quiet": 0, "-q": 0, "--debug": 0})
    flags = [*flag("--quiet", quiet), *flag("--json", json), *flag("--debug", debug)]
    answer = app([*kept, *flags, "--folder", str(folder), "--resume"], standalone_mode=False)
    assert isinstance(answer, Answer)
    return answer


def place_of(folder: Path | None, data: str | None, task: str | None, resume: bool) -> Path:
    """The folder asked for, else the first free number below `tuned`."""
    from tunesmith.cli.fit import free
    from tunesmith.records import RunError

    if folder is not None:
        return folder
    if resume:
        raise RunError("--resume needs the tuning to go on with: add --folder FOLDER")
    name = Path(data).name.split(".")[0] if data else str(task).partition(":")[0]
    return free(Path("tuned"), name or "task")
