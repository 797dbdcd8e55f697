"""`tunesmith collapse`: what training on one's own output does, generation by generation."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json

ACTIONS = ("simulate",)


def collapse(
    action: Annotated[str, typer.Argument(metavar="simulate", help="What to do.")],
    model: Annotated[
        str, typer.Option(metavar="NAME", help="gaussian, mixture, regression, categorical, autoencoder, letters.")
    ] = "gaussian",
    regime: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="replace, accumulate, mix or keep. Repeatable.")
    ] = None,
    generations: Annotated[int, typer.Option(metavar="NUMBER", help="1 is the fit to real data.")] = 10,
    n: Annotated[int, typer.Option("--n", metavar="ROWS", help="Rows (or letters) each generation adds.")] = 100,
    replicates: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Runs; 1000 as arrays, else 3, if nothing is said.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Same seed, same numbers.")] = 0,
    share: Annotated[float, typer.Option(metavar="SHARE", help="Of new rows that are real, with mix.")] = 0.5,
    text: Annotated[Path | None, typer.Option(metavar="FILE", help="Text for the model letters, also .gz.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Of the model, e.g. estimator=mle. Repeatable."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="For collapse.json, collapse.svg, generations.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in the folder.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Simulate generations trained on each other's output."""
    from tunesmith.cli.findings import Progress
    from tunesmith.records import UnknownName, did_you_mean
    from tunesmith.reports.recursion import table
    from tunesmith.verbs.collapse import PICTURE, RESULT
    from tunesmith.verbs.collapse import collapse as simulated

    if action not in ACTIONS:
        raise UnknownName(
            f"collapse has no action {action!r}{did_you_mean(action, ACTIONS)}; write `tunesmith collapse simulate`"
        )
    asked: dict[str, Any] = dict(map(setting, settings or ()))
    if text is not None:
        asked["text"] = text
    progress = Progress()
    try:
        found = simulated(
            model,
            regime=regime or ["replace"],
            generations=generations,
            n=n,
            replicates=replicates,
            seed=seed,
            share=share,
            folder=folder,
            resume=resume,
            step=progress,
            **asked,
        )
    finally:
        progress.close()
    told = [one.as_dict() for one in found]
    files = {} if folder is None else {"file": str(folder / RESULT), "picture": str(folder / PICTURE)}
    shown = "\n\n".join(table(one) for one in told)
    return Answer({"simulations": told} | files, shown + "".join(f"\n{file} written" for file in files.values()))


def setting(given: str) -> tuple[str, Any]:
    """One `--set`, its value as JSON where it is that."""
    from json import JSONDecodeError, loads

    from tunesmith.records import RecipeError

    name, equals, value = given.partition("=")
    if not equals or not name:
        raise RecipeError(f"--set {given}: expected NAME=VALUE, for example --set estimator=mle")
    try:
        return name.strip(), loads(value)
    except JSONDecodeError:
        return name.strip(), value  # a word
