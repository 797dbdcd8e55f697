"""`tunesmith check`: what is wrong with data and training, before a long run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.findings import ExitZero, Export, Only
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
    from tunesmith.records import Program

Subject = Annotated[
    Text, typer.Option("--task", metavar="MODULE:OBJECT", help="Your own Task or Program, or a function of one.")
]


def check(
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
    epochs: Annotated[int | None, typer.Option(metavar="NUMBER", help="Epochs of the run that is meant.")] = None,
    task: Subject = None,
    seconds: Annotated[float, typer.Option(metavar="NUMBER", help="Budget; cheap checks come first.")] = 30.0,
    only: Only = None,
    export: Export = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Page with the samples as the network sees them.")
    ] = None,
    exit_zero: ExitZero = False,
    language: Language = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Look for what is wrong with data and training, before a long run."""
    from tunesmith.cli.findings import Progress, answer_of
    from tunesmith.cli.fit import share_of, task_of
    from tunesmith.cli.recipes import asked_recipe
    from tunesmith.verbs.fit import title
    from tunesmith.verbs.preflight import looked

    short: dict[str, Any] = {"data.split": split, "model.name": model, "train.epochs": epochs, "run.language": language}
    short |= {"data.test": share_of(test), "data.val": share_of(val)}
    program = program_of(task)
    subject: Any = program
    if program is None:
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
            human=human,
            positive=positive,
            labels=labels,
            columns=column,
            kind=kind,
        )
    name = title(subject) if program is None else f"program {task}"
    progress = Progress()
    try:
        found, bench = looked(subject, asked_recipe(recipe, settings, short), seconds=seconds, only=only, step=progress)
    finally:
        progress.close()
    answer = answer_of(
        found, f"check of {name}", language=language, export=export, exit_zero=exit_zero, seconds=seconds, debug=debug
    )
    return answer if html is None else with_page(answer, html, found, bench, name, language or "en")


def program_of(task: Text) -> "Program | None":
    """The program behind `--task`, None where that is a task or nothing."""
    if task is None:
        return None
    from tunesmith.cli.fit import called
    from tunesmith.records import Program, Task

    made = called(task, Program, Task)
    return made if isinstance(made, Program) else None


def with_page(answer: Answer, file: Path, found: Any, bench: Any, name: str, language: str) -> Answer:
    """The same answer, and the page written."""
    from dataclasses import replace

    from tunesmith.verbs.look import look_page

    written = look_page(file, found, bench, name, language)
    return replace(answer, data={**answer.data, "page": str(written)}, text=f"{answer.text}page: {written}\n")
