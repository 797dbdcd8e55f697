"""`tunesmith fit`: trains on a data file."""

from collections.abc import Mapping, Sequence
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
    Human,
    Json,
    Kind,
    Labels,
    Language,
    Model,
    Positive,
    Quiet,
    RecipeFile,
    Settings,
    SplitBy,
    Target,
    TaskObject,
    Test,
    Time,
    Val,
    Weight,
)

if TYPE_CHECKING:
    from tunesmith.records import Recipe, Task

Text = str | None
Words = list[str] | None
STOPPED = 130  # exit code of a training that was interrupted


def fit(
    data: Data = None,
    target: Target = None,
    test: Test = None,
    val: Val = None,
    split: SplitBy = None,
    group: Group = None,
    time: Time = None,
    drop: Drop = None,
    weight: Weight = None,
    human: Human = None,
    positive: Positive = None,
    labels: Labels = None,
    column: Columns = None,
    kind: Kind = None,
    model: Model = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    epochs: Annotated[int | None, typer.Option(metavar="NUMBER", help="Passes over the training rows.")] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Run folder; new: runs/<data>-<number>.", show_default=False)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --folder; DATA and options may be left out.")
    ] = False,
    until: Annotated[
        Text, typer.Option(metavar="WHEN", help="Pause then, e.g. '3 epochs', '200 steps', '30 seconds'.")
    ] = None,
    nproc: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="Processes of this machine that train together.")
    ] = None,
    task: TaskObject = None,
    language: Language = None,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Train on a data file, and judge on rows not seen."""
    from tunesmith.cli.recipes import asked_recipe

    if resume and data is None and task is None and folder is not None:
        ranks = ["--nproc", str(nproc)] if nproc is not None else []
        return again(folder, until, [*ranks, *flag("--quiet", quiet), *flag("--debug", debug)], json)
    short: dict[str, Any] = {"data.split": split, "model.name": model, "train.epochs": epochs, "run.language": language}
    short |= {"data.test": share_of(test), "data.val": share_of(val)}
    short |= {"run.world_size": nproc}
    asked = asked_recipe(recipe, settings, short)
    if (answer := as_ranks(asked, json)) is not None:
        return answer
    given = task_of(
        task,
        data,
        target=target,
        test=test,
        val=val,
        group=group,
        time=time,
        drop=drop,
        sample_weight=weight,
        human=human,
        positive=positive,
        labels=labels,
        columns=column,
        kind=kind,
    )
    return trained(given, asked, place_of(folder, data, task, resume), resume, until, quiet, json)


def as_ranks(recipe: "Recipe | None", json: bool) -> Answer | None:
    """Starts this command line as several ranks, where the recipe asks for them and this is none of them; what the first answers."""
    import os
    import sys

    world = recipe.run.world_size if recipe is not None else "auto"
    if world == "auto" or int(world) == 1 or "WORLD_SIZE" in os.environ or "SLURM_STEP_NUM_TASKS" in os.environ:
        return None
    from json import loads

    from tunesmith.training.ranks.launching import launched

    code, output = launched(sys.argv[1:], int(world), listen=json)
    return Answer(loads(output) if output else {}, code=code)


def flag(name: str, given: bool) -> list[str]:
    return [name] if given else []


def again(folder: Path, until: Text, flags: list[str], json: bool) -> Answer:
    """Goes on with a run as its own command has it, without typing that again."""
    from tunesmith.cli.app import app
    from tunesmith.records import RunError
    from tunesmith.runs import Run

    attempts = Run(folder).attempts
    words = list(attempts[0].get("command", ()))[1:] if attempts else []
    if words[:1] != ["fit"]:
        raise RunError(
            f"run {folder} was not started by `tunesmith fit`, so its data are not known; give them: tunesmith fit DATA --folder {folder} --resume"
        )
    once = {"--until": 1, "--folder": 1, "--resume": 0, "--json": 0, "--quiet": 0, "-q": 0, "--debug": 0}
    kept = without(words, once | ({"--nproc": 1} if "--nproc" in flags else {}))
    asked = ["--until", until] if until is not None else []
    answer = app(
        [*kept, *asked, *flags, *flag("--json", json), "--folder", str(folder), "--resume"], standalone_mode=False
    )
    assert isinstance(answer, Answer)
    return answer


def without(words: Sequence[str], options: Mapping[str, int]) -> list[str]:
    """The words of a command line without some options, each with its number of values.

    >>> without(["fit", "a.csv", "--until", "3", "--json", "--folder=x"], {"--until": 1, "--json": 0, "--folder": 1})
    ['fit', 'a.csv']
    """
    kept, skip = [], 0
    for word in words:
        name, equals, _ = word.partition("=")
        if skip:
            skip -= 1
        elif name in options:
            skip = 0 if equals else options[name]
        else:
            kept.append(word)
    return kept


def trained(
    task: "Task", recipe: "Recipe | None", folder: Path, resume: bool, until: Text, quiet: bool, json: bool
) -> Answer:
    """The training itself, shown as it goes, and its answer."""
    from traceback import format_exc

    from tunesmith.records import TunesmithError
    from tunesmith.reports import choose
    from tunesmith.training.ranks.place import place
    from tunesmith.verbs.fit import fit as train

    first = place().first
    display = choose(json=json, quiet=quiet or not first, language=recipe.run.language if recipe is not None else "en")
    try:
        run = train(task, recipe, folder=folder, resume=resume, until=until, display=display)
    except TunesmithError:
        raise
    except Exception:
        if first and (folder / "run.json").is_file():
            (folder / "traceback.txt").write_text(format_exc(), encoding="utf-8")
        raise
    finally:
        display.close()
    if not first:
        raise typer.Exit(STOPPED if run.info.get("ending") == "interrupted" else 0)
    return answer_of(run)


def answer_of(run: Any) -> Answer:
    """Scores and place of a run."""
    scores = run.scores or {}
    parts = {part: told["scores"] for part, told in scores.get("parts", {}).items()}
    report = run.folder / "report.html"
    data = {"scores": parts, "folder": str(run.folder), "status": run.status, "best": scores.get("best")}
    data |= {"report": str(report) if report.is_file() else None}
    data |= {"findings": [finding.as_dict() for finding in run.findings]}
    return Answer(data, code=STOPPED if run.info.get("ending") == "interrupted" else 0)


def task_of(task: Text, data: Text, **about: Any) -> "Task":
    """The task of `--task`, or of the data and what the options say of them, as they were typed.

    Shares of rows that `test` and `val` ask for are the recipe's, and no data; `columns` are words `name=kind`.
    """
    from dataclasses import replace

    from tunesmith.records import DataError, Task

    shares = {name for name in ("test", "val") if share_of(about.get(name)) is not None}
    told = {name: value for name, value in about.items() if value and name not in shares}
    if "columns" in told:
        told["columns"] = kinds_of(told["columns"])
    if "target" in told:
        told["target"] = told["target"][0] if len(told["target"]) == 1 else tuple(told["target"])
    if "drop" in told:
        told["drop"] = tuple(told["drop"])
    if task is not None:
        if data is not None:
            raise DataError(
                f"both data {data!r} and --task {task!r} were given; a task brings its own data, so give one of them"
            )
        found = imported(task)
        return replace(found, **told) if told else found
    if data is None:
        raise DataError("no data were given: tunesmith fit DATA --target COLUMN")
    return Task(train=data, **told)


def imported(name: str) -> "Task":
    """The task behind `module:object`. Raises `DataError` for anything else."""
    from tunesmith.records import DataError, Task

    made = called(name, Task)
    if not isinstance(made, Task):
        raise DataError(
            f"--task {name!r} is a {type(made).__name__}; expected a tunesmith.Task or a function that returns one"
        )
    return made


def called(name: str, *kinds: type) -> Any:
    """What stands behind `module:object`, called where it is a function and none of `kinds`; the module is also looked for
    where the user stands."""
    import sys
    from importlib import import_module

    from tunesmith.records import DataError, did_you_mean

    module_name, colon, wanted = name.partition(":")
    if not colon or not module_name or not wanted:
        raise DataError(f"--task {name!r}: expected module:object, for example my_task:task")
    sys.path.insert(0, "")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        beside = [path.stem for path in Path().glob("*.py")]
        hint = did_you_mean(module_name, beside) if error.name == module_name else ""
        raise DataError(f"--task {name!r}: no module called {error.name!r}{hint}") from None
    if not hasattr(module, wanted):
        raise DataError(f"--task {name!r}: {module_name} has no {wanted!r}{did_you_mean(wanted, public(module))}")
    found = getattr(module, wanted)
    return found() if callable(found) and not isinstance(found, kinds) else found


def public(module: object) -> Sequence[str]:
    return [name for name in vars(module) if not name.startswith("_")]


def share_of(text: Text) -> float | None:
    """The share of rows that `--test` or `--val` asks for, None where it names a file.

    >>> share_of("0.2"), share_of("test.csv"), share_of(None)
    (0.2, None, None)
    """
    if text is None or Path(text).exists():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def kinds_of(words: Words) -> dict[str, str]:
    """`name=kind` pairs.

    >>> kinds_of(["zip=category"])
    {'zip': 'category'}
    """
    from tunesmith.records import DataError

    pairs = {}
    for word in words or ():
        name, equals, kind = word.rpartition("=")
        if not equals or not name or not kind:
            raise DataError(f"--column {word!r}: expected name=kind, for example zip=category")
        pairs[name] = kind
    return pairs


def place_of(folder: Path | None, data: Text, task: Text, resume: bool) -> Path:
    """The run folder: the one asked for, else the first free number below `runs`."""
    from tunesmith.records import RunError

    if folder is not None:
        return folder
    if resume:
        raise RunError("--resume needs the run to go on with: add --folder RUN")
    name = Path(data).name.split(".")[0] if data else str(task).partition(":")[0]
    return free(Path("runs"), name or "run")


def free(parent: Path, name: str) -> Path:
    """The first folder `name-1`, `name-2` … below `parent` that is not there."""
    from itertools import count

    return next(place for place in (parent / f"{name}-{i}" for i in count(1)) if not place.exists())
