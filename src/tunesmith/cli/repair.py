"""`tunesmith repair`: a recipe or program is mended, and each change proved on twins."""

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
    from tunesmith.doctor.repair import Repair

Subject = Annotated[
    Text, typer.Option("--task", metavar="MODULE:OBJECT", help="Your own Task or Program, or a function of one.")
]
Apply = Annotated[bool, typer.Option("--apply", help="Write the new recipe: over --recipe, else into recipe.toml.")]


def repair(
    data: Data = None,
    target: Target = None,
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
    epochs: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Epochs that trials may train; three times those of the run.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(metavar="NUMBER", help="Budget for all together.")] = None,
    apply: Apply = False,
    language: Language = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Mend a training that goes wrong, and prove that it helped."""
    from tunesmith.cli.check import program_of
    from tunesmith.cli.findings import Progress
    from tunesmith.cli.fit import share_of, task_of
    from tunesmith.cli.recipes import asked_recipe
    from tunesmith.verbs.repair import repair as mend

    program = program_of(task)
    short: dict[str, Any] = {"data.split": split, "model.name": model, "run.language": language}
    short |= {"data.test": share_of(test), "data.val": share_of(val)}
    asked = None if program is not None else asked_recipe(recipe, settings, short)
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
            positive=positive,
            labels=labels,
            columns=column,
            kind=kind,
        )
    progress = Progress()
    try:
        told = mend(subject, asked, epochs=epochs, seconds=seconds, step=progress)
    finally:
        progress.close()
    written = written_to(told, recipe, apply)
    return answer_of(told, language or "en", written)


def written_to(told: "Repair", file: Path | None, apply: bool) -> Path | None:
    """Where the new recipe was written; None where it was not. Raises `RecipeError` where there is no recipe to write."""
    from tunesmith.records import RecipeError
    from tunesmith.records.recipe_text import recipe_to_toml

    if not apply:
        return None
    if told.recipe is None:
        raise RecipeError(
            "--apply writes a recipe, and a Program has none: make the lines that are printed without --apply"
        )
    if not told.change:
        return None
    place = Path("recipe.toml") if file is None else file
    place.write_text(recipe_to_toml(told.recipe), encoding="utf-8")
    return place


def answer_of(told: "Repair", language: str, written: Path | None) -> Answer:
    """What was changed, with evidence, and how to carry it over."""
    data = told.as_dict(language) | {"file": None if written is None else str(written)}
    return Answer(data, "".join(f"{line}\n" for line in lines_of(told, language, written)))


def lines_of(told: "Repair", language: str, written: Path | None) -> list[str]:
    """The text for a person."""
    from tunesmith.records.messages import render

    measure = render(f"word.{told.measure}", {}, language)
    values = {"measure": measure, "before": told.before, "after": told.after, "chance": told.chance}
    wrong = [one for one in told.left if one.severity != "note" and one.status != "refuted"]
    sound = not told.tried and not wrong
    ending = "repair.mended" if told.changed else "repair.sound" if sound else "repair.not_mended"
    said = [render(ending, values | {"tried": len(told.tried)}, language)]
    said += [f"· {notice}" for notice in told.notices]
    said += [f"✓ {each.text(language)}" for each in told.changes]
    if told.tried:
        names = ", ".join(dict.fromkeys(each.change for each in told.tried))
        said.append(render("repair.in_vain", {"names": names}, language))
    if wrong:
        said.append(render("repair.still", {"faults": ", ".join(dict.fromkeys(one.fault for one in wrong))}, language))
        advice = dict.fromkeys(remedy.text(language) for one in wrong for remedy in one.remedies)
        said += [render("repair.advice", {"text": text}, language) for text in advice]
    if told.changed:
        said += _to_do(told, language, written)
    return said


def _to_do(told: "Repair", language: str, written: Path | None) -> list[str]:
    from tunesmith.records.messages import render

    said = [render(f"repair.{told.restart_from}", {}, language)]
    if told.recipe is None:
        return [*said, render("repair.lines", {}, language), *(f"    {line}" for line in told.lines)]
    said += [render("repair.recipe", {}, language), *(f"    {path} = {value!r}" for path, value in told.change.items())]
    if written is not None:
        return [*said, render("repair.written", {"file": written}, language)]
    return [*said, render("repair.apply", {}, language)]
