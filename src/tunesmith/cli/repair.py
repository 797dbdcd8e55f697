"""`tunesmith repair`: a recipe, a program, a game of two players or embeddings are mended, and each change proved on twins."""

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
    from tunesmith.generative.embedding.task import Embedding
    from tunesmith.generative.gan.task import Gan
    from tunesmith.generative.mending.outcome import Mended
    from tunesmith.records import Program

Subject = Annotated[
    Text,
    typer.Option(
        "--task", metavar="MODULE:OBJECT", help="Your own Task, Program, Gan or Embedding, or a function of one."
    ),
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
    updates: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Of a Gan or an Embedding: updates of a twin; a fifth of the training."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Of a Gan or an Embedding: the run that told the collapse, with its recipe."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Of a Gan or an Embedding: keeps every twin, for --resume.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the twins in --folder.")] = False,
    apply: Apply = False,
    language: Language = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Mend a training that goes wrong, and prove that it helped."""
    from tunesmith.cli.findings import Progress
    from tunesmith.cli.fit import share_of, task_of
    from tunesmith.cli.recipes import asked_recipe
    from tunesmith.records import RecipeError
    from tunesmith.verbs.repair import repair as mend

    own = {"updates": updates, "run": run, "folder": folder, "resume": resume or None}
    asked_of_own = {name: value for name, value in own.items() if value is not None}
    program, collapsing = brought(task)
    if collapsing is not None:
        from tunesmith.generative.mending.outcome import Mended

        given = recipe is not None or bool(settings) or run is None  # else the recipe is that of the run
        wanted = asked_recipe(recipe, settings, {"run.language": language}) if given else None
        progress = Progress()
        try:
            mended = mend(collapsing, wanted, epochs=epochs, seconds=seconds, step=progress, **asked_of_own)
        finally:
            progress.close()
        assert isinstance(mended, Mended)
        return mended_answer(mended, language or "en", written_to(mended, recipe, apply))
    if asked_of_own:
        names = ", ".join(f"--{name}" for name in asked_of_own)
        raise RecipeError(f"{names} came without a Gan or an Embedding; they are for --task MODULE:OBJECT of one")
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


def brought(task: Text) -> "tuple[Program | None, Gan | Embedding | None]":
    """The program, or the game or training of embeddings, behind `--task`; neither where that is a task, or nothing."""
    if task is None:
        return None, None
    from tunesmith.cli.fit import called
    from tunesmith.generative.embedding.task import Embedding
    from tunesmith.generative.gan.task import Gan
    from tunesmith.records import Program, Task

    made = called(task, Program, Task, Gan, Embedding)
    return made if isinstance(made, Program) else None, made if isinstance(made, Gan | Embedding) else None


def mended_answer(told: "Mended", language: str, written: Path | None) -> Answer:
    """What was changed of a training that collapsed, with evidence, and how to carry it over."""
    from tunesmith.records.messages import render

    measure = render(f"word.{told.measure}", {}, language)
    values = {"measure": measure, "before": told.before, "after": told.after, "seeds": told.seeds}
    ending = "mended" if told.changed else "not_mended" if told.tried else "sound"
    said = [render(f"mending.{ending}", values | {"tried": len(told.tried)}, language)]
    said += [f"· {notice}" for notice in told.notices]
    said += [f"✓ {each.text(language)}" for each in told.changes]
    said += [f"✗ {each.text(language)}" for each in told.tried]
    said += [render("mending.unfit", {"name": name, "why": why}, language) for name, why in told.unfit.items()]
    if told.findings.unreached:
        said.append(render("mending.unreached", {"names": ", ".join(told.findings.unreached)}, language))
    if told.changed:
        said += [render("mending.lines", {}, language), *(f"    {line}" for line in told.lines)]
    if written is not None:
        said.append(render("repair.written", {"file": written}, language))
    data = told.as_dict(language) | {"file": None if written is None else str(written)}
    return Answer(data, "".join(f"{line}\n" for line in said))


def written_to(told: "Repair | Mended", file: Path | None, apply: bool) -> Path | None:
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
