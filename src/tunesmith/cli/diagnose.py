"""`tunesmith diagnose`: which fault it is, from a run, a log, or a program that experiments may be made with."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.findings import ExitZero, Export, Progress, answer_of
from tunesmith.cli.options import Debug, Json, Language, RecipeFile, Settings, Text, Words

if TYPE_CHECKING:
    from tunesmith.runs.history import History

Log = Annotated[
    Text,
    typer.Argument(
        metavar="RUN_OR_LOG",
        help="A run folder, or a log: CSV, JSON, JSONL, trainer_state.json, TensorBoard events, a printed log.",
        show_default=False,
    ),
]
Map = Annotated[
    Words,
    typer.Option(
        "--map",
        metavar="COLUMN=ROLE",
        help="What a column is, e.g. 'l=train loss', 'acc=val accuracy', 'i=step', 'junk=ignore'. Repeatable.",
    ),
]
Subject = Annotated[
    Text, typer.Option("--task", metavar="MODULE:OBJECT", help="Your own Program or Task, or a function of one.")
]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="NAME", help="Only this rule, check or experiment. Repeatable.")
]


def diagnose(
    log: Log = None,
    columns: Map = None,
    task: Subject = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    seconds: Annotated[
        float, typer.Option(metavar="NUMBER", help="Budget for a --task; cheap and decisive looks come first.")
    ] = 60.0,
    only: Only = None,
    export: Export = None,
    exit_zero: ExitZero = False,
    language: Language = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Name the cause of a training that goes wrong."""
    from tunesmith.records import DataError

    if (log is None) == (task is None):
        came = "both a log and a --task" if task is not None else "neither a log nor a --task"
        raise DataError(f"{came} came; give one: tunesmith diagnose RUN_OR_LOG, or --task module:object")
    shown: dict[str, Any] = {"language": language, "export": export, "exit_zero": exit_zero, "debug": debug}
    if task is not None:
        return _of_program(task, recipe, settings, seconds, only, shown)
    assert log is not None
    return _of_log(log, roles_of(columns or ()), only, shown)


def roles_of(pairs: Sequence[str]) -> Mapping[str, str]:
    """`COLUMN=ROLE` as a mapping; the last `=` divides, since columns may hold one.

    >>> roles_of(["loss/a=b=val loss"])
    {'loss/a=b': 'val loss'}
    """
    from tunesmith.records import DataError

    found = {}
    for pair in pairs:
        column, equals, role = pair.rpartition("=")
        if not equals or not column.strip() or not role.strip():
            raise DataError(f"--map {pair!r}; expected COLUMN=ROLE, e.g. --map 'l=train loss'")
        found[column.strip()] = role.strip()
    return found


# A program


def _of_program(
    task: str, recipe: Any, settings: Any, seconds: float, only: Sequence[str] | None, shown: Mapping[str, Any]
) -> Answer:
    from tunesmith.cli.fit import called
    from tunesmith.cli.recipes import asked_recipe
    from tunesmith.records import Program, Task
    from tunesmith.verbs.diagnose import examined

    subject = called(task, Program, Task)
    asked = asked_recipe(recipe, settings, {}) if isinstance(subject, Task) else None
    progress = Progress()
    try:
        found = examined(subject, asked, seconds=seconds, only=only, step=progress)
    finally:
        progress.close()
    kind = "program" if isinstance(subject, Program) else "task"
    return answer_of(found, f"diagnosis of {kind} {task}", seconds=seconds, **shown)


# A log


def _of_log(log: str, roles: Mapping[str, str], only: Sequence[str] | None, shown: Mapping[str, Any]) -> Answer:
    from tunesmith.verbs.diagnose import histories, judged

    language = shown["language"] or "en"
    told = [(one, judged(one, only, language)) for one in histories(log, roles)]
    for one, found in told:
        found.notices[:0] = lines_of(one, language)
    answers = [answer_of(found, _title(log, one, len(told)), **shown) for one, found in told]
    data: dict[str, Any] = {"findings": [each for answer in answers for each in answer.data["findings"]]}
    data["runs"] = [
        {**answer.data, "title": one.title, "reader": one.reader, "roles": dict(one.roles)}
        for (one, _), answer in zip(told, answers, strict=True)
    ]
    text = "\n".join(answer.text for answer in answers)
    return Answer(data, text, code=max((answer.code for answer in answers), default=0))


def _title(log: str, history: "History", count: int) -> str:
    return f"diagnosis of {log}" if count == 1 else f"diagnosis of {history.title or log}"


def lines_of(history: "History", language: str = "en") -> list[str]:
    """What the columns were taken for, in `language`."""
    from tunesmith.records.messages import render
    from tunesmith.runs.readers.roles import spoken

    read = [f"{column} = {spoken(role, language)}" for column, role in history.roles.items() if role != "ignore"]
    left = [column for column, role in history.roles.items() if role == "ignore"]
    whole = {"reader": history.reader, "columns": ", ".join(read)}
    lines = [render("readers.read_as" if read else "readers.read_as_bare", whole, language)]
    if left:
        lines.append(render("readers.left_out", {"columns": ", ".join(left)}, language))
    if read:
        lines.append(render("readers.other_meaning", {}, language))
    return lines
