"""`tunesmith search`: the best configuration of a data file, a task or a program; and what a search stands at."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import (
    Columns,
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
    TaskObject,
    Test,
    Text,
    Time,
    Val,
    Weight,
)

if TYPE_CHECKING:
    from tunesmith.search.study import Study

Subject = Annotated[
    Text,
    typer.Argument(
        metavar="DATA|status|export", help="Training data; or status or export, and a FOLDER.", show_default=False
    ),
]
Where = Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Of status and export.", show_default=False)]
Amount = Annotated[
    str, typer.Option(metavar="AMOUNT", help="Full trainings (20), or '540 epochs', '100 trials', '10m'.")
]


def search(
    data: Subject = None,
    where: Where = None,
    target: Target = None,
    budget: Amount = "20",
    space: Annotated[str, typer.Option(metavar="FILE|auto", help="Space as a .toml or .json file.")] = "auto",
    sampler: Annotated[str, typer.Option(metavar="NAME", help="Which configurations; auto chooses.")] = "auto",
    scheme: Annotated[
        str, typer.Option(metavar="NAME", help="How epochs are divided: auto, asha, hyperband, full …")
    ] = "auto",
    executor: Annotated[str, typer.Option(metavar="NAME", help="Where: local, pool, ray, slurm.")] = "local",
    workers: Annotated[int, typer.Option(metavar="NUMBER", help="Trials at once.")] = 1,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Of all that is proposed.")] = 0,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Study; new: studies/<data>-<number>.", show_default=False)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the study in --folder; DATA and options may be left out.")
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Of a full training; units for --command.")
    ] = None,
    warm: Annotated[
        list[Path] | None, typer.Option(metavar="STUDY", help="Folder of an earlier search to learn from; several.")
    ] = None,
    command: Annotated[Text, typer.Option(metavar="'WORDS'", help="Program that trains; it speaks JSON lines.")] = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="That one epoch may take.")] = None,
    confirm: Annotated[
        int | None, typer.Option(metavar="SEEDS", help="Fresh trainings of the best and the default; 0: none.")
    ] = None,
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
    task: TaskObject = None,
    format: Annotated[str, typer.Option(metavar="NAME", help="Of export: csv or json.")] = "csv",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Of export; else it is printed.")] = None,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Search for the best configuration of a training."""
    if data in ("status", "export") and not Path(data).exists():
        return looked_at(data, where, format, output)
    if where is not None:
        raise typer.BadParameter(f"{str(where)!r} came after the data; give the folder of the study as --folder")
    if resume and data is None and task is None and command is None and folder is not None:
        return again(folder, quiet, json, debug)
    from tunesmith.cli.fit import share_of, task_of
    from tunesmith.cli.recipes import asked_recipe

    given: dict[str, Any] = {
        "executor": executor,
        "workers": workers,
        "seed": seed,
        "sampler": sampler,
        "scheme": scheme,
    }
    given |= {"budget": budget, "max_budget": epochs, "timeout": timeout, "confirm": confirm, "resume": resume}
    given["warm"] = list(warm) if warm else None
    if command is not None:
        subject = of_command(command, data, task)
    else:
        short: dict[str, Any] = {"data.split": split, "model.name": model}
        short |= {"data.test": share_of(test), "data.val": share_of(val)}
        given["recipe"] = asked_recipe(recipe, settings, short)
        subject = task_of(
            task,
            data,
            target=target,
            test=test,
            val=val,
            group=group,
            time=time,
            drop=drop,
            sample_weight=weight,
            positive=positive,
            labels=labels,
            columns=column,
            kind=kind,
        )
    place = place_of(folder, data, task or command, resume)
    return searched(subject, given, space, place, quiet, json)


def of_command(command: str, data: Text, task: Text) -> Any:
    """The program that trains."""
    from tunesmith.records import DataError
    from tunesmith.search.subjects import Command

    if data is not None or task is not None:
        raise DataError(
            f"both --command and {data or task!r} were given; a command brings its own data, give one of them"
        )
    return Command(command)


def place_of(folder: Path | None, data: Text, named: Text, resume: bool) -> Path:
    """The study folder: the one asked for, else the first free number below `studies`."""
    from tunesmith.cli.fit import free
    from tunesmith.records import RunError

    if folder is not None:
        return folder
    if resume:
        raise RunError("--resume needs the study to go on with: add --folder STUDY")
    name = Path(data).name.split(".")[0] if data else "".join(one for one in str(named) if one.isalnum() or one in "_-")
    return free(Path("studies"), name[:40] or "study")


def searched(subject: Any, given: dict[str, Any], space: str, place: Path, quiet: bool, json: bool) -> Answer:
    """The search itself, shown as it goes, and its answer."""
    import sys

    from tunesmith.records import DataError
    from tunesmith.reports.search_live import choose_search
    from tunesmith.verbs.search import search as find
    from tunesmith.verbs.search_budget import amount_of
    from tunesmith.verbs.search_files import read_space

    if space == "auto" and not hasattr(subject, "fields") and hasattr(subject, "words"):
        raise DataError("of a command nobody knows what to search: give --space FILE.toml")
    if space != "auto":
        given["space"], given["prior"] = read_space(space)
    display = choose_search(json=json, quiet=quiet, seconds=amount_of(given["budget"]).seconds)
    try:
        study = find(subject, folder=place, show=display, about={"command": list(sys.argv[1:])}, **given)
    finally:
        display.close()
    return answer_of(study)


def again(folder: Path, quiet: bool, json: bool, debug: bool) -> Answer:
    """Goes on with a study as its own command has it, without typing that again."""
    from tunesmith.cli.app import app
    from tunesmith.cli.fit import flag, without
    from tunesmith.records import RunError
    from tunesmith.search.study_settings import read_settings

    words = list(read_settings(folder).get("command", ()))
    if words[:1] != ["search"]:
        raise RunError(
            f"study {folder} was not started by `tunesmith search`, so its data are not known; give them: "
            f"tunesmith search DATA --folder {folder} --resume"
        )
    options = {"--folder": 1, "--resume": 0, "--json": 0, "--quiet": 0, "-q": 0, "--debug": 0}
    flags = [*flag("--quiet", quiet), *flag("--debug", debug), *flag("--json", json)]
    answer = app([*without(words, options), *flags, "--folder", str(folder), "--resume"], standalone_mode=False)
    assert isinstance(answer, Answer)
    return answer


def looked_at(what: str, folder: Path | None, format: str, output: Path | None) -> Answer:
    """`status` and `export`."""
    from tunesmith.records import RunError
    from tunesmith.search.study import Study
    from tunesmith.search.study_export import export, exported

    if folder is None:
        raise RunError(f"tunesmith search {what} needs the folder of a study: tunesmith search {what} FOLDER")
    study = Study(folder)
    if what == "status":
        return Answer({**data_of(study), "status": study.status()}, text_of(study))
    if output is not None:
        return Answer({"file": str(export(study, output)), "trials": len(study.trials)}, f"{output}\n")
    return Answer({"trials": study.rows(), "folder": str(folder)}, exported(study, format))


def answer_of(study: "Study") -> Answer:
    """The best, and how to train it."""
    ended = f"{study.ended}\n" if study.ended else ""
    return Answer({**data_of(study), "status": study.status(), "ended": study.ended}, ended + text_of(study))


def data_of(study: "Study") -> dict[str, Any]:
    """The best configuration and its score, for programs."""
    best = None
    if study.best is not None:
        best = {"config": study.best_config, "score": study.best_score, "trial": study.best.id}
        best |= {name: study.best_record[name] for name in ("metric", "value") if name in study.best_record}
    told: dict[str, Any] = {"best": best, "trials": len(study.trials), "folder": str(study.folder)}
    return told if study.confirmation is None else told | {"confirmation": study.confirmation}


def text_of(study: "Study") -> str:
    """The same for a person."""
    from tunesmith.search.study import number, shown

    status = study.status()
    states = ", ".join(
        f"{status[one]} {one}" for one in ("running", "paused", "done", "stopped", "failed") if status[one]
    )
    total = "" if study.total is None else f" of {study.total}"
    lines = [f"{study.folder}: {status['trials']} trials ({states or 'none'}), {status['spent']}{total} units"]
    if study.trials.earlier:
        lines.append(f"  begun with {len(study.trials.earlier)} trials of earlier studies")
    lines += [f"  {count} ended: {reason}" for reason, count in list(status["reasons"].items())[:5]]
    if study.best is None:
        return "\n".join([*lines, "no trial has a score yet"]) + "\n"
    record = study.best_record
    value = (
        f"{record['metric']} {number(record['value'])}" if "metric" in record else f"score {number(study.best_score)}"
    )
    lines.append(f"best: trial {study.best.id}, {value}, as the search saw it")
    lines += [f"    {name} = {value!r}" for name, value in study.best_config.items()]
    higher = "metric" in record and record["value"] == -study.best_score
    lines += confirmed(study.confirmation, record.get("metric", "score"), -1 if higher else 1)
    if "metric" in record:
        lines.append(f"next: tunesmith fit … {' '.join(f'--set {pair}' for pair in shown(study.best_config).split())}")
    return "\n".join(lines) + "\n"


def confirmed(told: "dict[str, Any] | None", measure: str = "score", sign: int = 1) -> list[str]:
    """What fresh trainings gave, in words; `sign`: -1 where the measure is better the higher it is."""
    from tunesmith.search.study import number

    if not told:
        return []
    lines = [f"{measure} of trainings on {told['seeds']} fresh seeds:"]
    for row in told["trials"]:
        lines.append(
            f"    trial {row['trial']}: {number(sign * row['mean'])} (the search saw {number(sign * row['seen'])})"
        )
        gain = row.get("gain")
        if gain and gain["low"] is not None:
            if gain["low"] == gain["high"] == 0:
                lines[-1] += ", the same as the default"
                continue
            way = "better" if gain["mean"] >= 0 else "worse"
            ends = sorted((abs(gain["low"]), abs(gain["high"]))) if gain["low"] * gain["high"] > 0 else None
            told_ends = f"{number(ends[0])} to {number(ends[1])}" if ends else "not beyond the noise"
            lines[-1] += f", {number(abs(gain['mean']))} {way} than the default ({told_ends})"
    if told["default"] is not None:
        lines.append(f"    default: {number(sign * told['default']['mean'])}")
    return lines
