"""`tunesmith audit`: what is wrong with the data."""

from typing import Annotated

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
    Positive,
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

Seconds = Annotated[
    float | None, typer.Option("--seconds", metavar="NUMBER", help="Budget; cheap ones come first. Default: no limit.")
]
Lineage = Annotated[
    Text, typer.Option(metavar="COLUMN|MARK", help="What tells generated rows: a column, COLUMN=VALUE, words.")
]
Older = Annotated[Text, typer.Option(metavar="DATA", help="Rows from before: do these reach less far?")]


def audit(
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
    recipe: RecipeFile = None,
    settings: Settings = None,
    task: TaskObject = None,
    lineage: Lineage = None,
    older: Older = None,
    seconds: Seconds = None,
    only: Only = None,
    export: Export = None,
    exit_zero: ExitZero = False,
    language: Language = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Look for what is wrong with data: copies, wrong labels, leaks."""
    from tunesmith.cli.findings import Progress, answer_of
    from tunesmith.cli.fit import share_of, task_of
    from tunesmith.cli.recipes import asked_recipe
    from tunesmith.verbs.audit import audit as audited
    from tunesmith.verbs.fit import title

    short = {"data.split": split, "run.language": language, "data.test": share_of(test), "data.val": share_of(val)}
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
    progress = Progress()
    try:
        found = audited(
            given,
            recipe=asked_recipe(recipe, settings, short),
            seconds=seconds,
            only=only,
            lineage=lineage,
            older=older,
            step=progress,
        )
    finally:
        progress.close()
    return answer_of(
        found,
        f"audit of {title(given)}",
        language=language,
        export=export,
        exit_zero=exit_zero,
        seconds=seconds,
        debug=debug,
    )
