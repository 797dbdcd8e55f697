"""`tunesmith scale`: what a larger net or more rows would reach, from a ladder of small trainings."""

from pathlib import Path
from typing import Annotated, Any

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
    Model,
    Positive,
    RecipeFile,
    Settings,
    SplitBy,
    Target,
    TaskObject,
    Time,
    Val,
    Weight,
)


def scale(
    data: Data = None,
    target: Target = None,
    widths: Annotated[str, typer.Option(metavar="LIST", help="Of the net, e.g. 16,32,64,128.")] = "16,32,64,128",
    shares: Annotated[str, typer.Option(metavar="LIST", help="Of the training rows, e.g. 0.25,0.5,1.")] = "1",
    rates: Annotated[str, typer.Option(metavar="LIST", help="Factors on the learning rate, e.g. 0.5,1,2.")] = "1",
    seeds: Annotated[int, typer.Option(metavar="NUMBER", help="Trainings of each kind.")] = 1,
    reach: Annotated[int | None, typer.Option(metavar="WIDTH", help="Predict the loss at this width.")] = None,
    reach_rows: Annotated[int | None, typer.Option(metavar="ROWS", help="Predict it for so many rows.")] = None,
    base_width: Annotated[
        int | None, typer.Option(metavar="WIDTH", help="Carry the rate from this width to the others (µP).")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Coordinate check over the widths.")] = False,
    val: Val = None,
    split: SplitBy = None,
    group: Group = None,
    time: Time = None,
    drop: Drop = None,
    weight: Weight = None,
    positive: Positive = None,
    column: Columns = None,
    kind: Kind = None,
    model: Model = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    epochs: Annotated[int | None, typer.Option(metavar="NUMBER", help="Of each training.")] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="For the trainings, scaling.json, scaling.svg.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in the folder.")] = False,
    task: TaskObject = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Train a ladder of sizes, and predict a larger one."""
    from shutil import get_terminal_size

    from tunesmith.cli.findings import Progress
    from tunesmith.cli.fit import share_of, task_of
    from tunesmith.cli.recipes import asked_recipe
    from tunesmith.reports.scaling import table
    from tunesmith.verbs.scale import PICTURE, RESULT
    from tunesmith.verbs.scale import scale as scaled

    short: dict[str, Any] = {
        "data.split": split,
        "model.name": model,
        "train.epochs": epochs,
        "data.val": share_of(val),
    }
    asked = asked_recipe(recipe, settings, short)
    given = task_of(
        task,
        data,
        target=target,
        val=val,
        group=group,
        time=time,
        drop=drop,
        sample_weight=weight,
        positive=positive,
        columns=column,
        kind=kind,
    )
    progress = Progress()
    try:
        found = scaled(
            given,
            asked,
            widths=[int(one) for one in numbers("--widths", widths, whole=True)],
            shares=numbers("--shares", shares),
            rates=numbers("--rates", rates),
            seeds=seeds,
            reach=reach,
            reach_rows=reach_rows,
            base_width=base_width,
            check=check,
            folder=folder,
            resume=resume,
            step=progress,
        )
    finally:
        progress.close()
    told = found.as_dict()
    files = {} if folder is None else {"file": str(folder / RESULT), "picture": str(folder / PICTURE)}
    return Answer(
        told | files, table(told, get_terminal_size().columns) + "".join(f"\n{file} written" for file in files.values())
    )


def numbers(option: str, text: str, *, whole: bool = False) -> list[float]:
    """The numbers of a list with commas.

    >>> numbers("--rates", "0.5, 1,2")
    [0.5, 1.0, 2.0]
    """
    from tunesmith.records import RecipeError

    found = []
    for word in text.split(","):
        try:
            found.append(float(int(word)) if whole else float(word))
        except ValueError:
            wanted = "whole numbers" if whole else "numbers"
            raise RecipeError(
                f"{option} {text}: {wanted} with commas between them were expected, not {word.strip()!r}"
            ) from None
    return found
