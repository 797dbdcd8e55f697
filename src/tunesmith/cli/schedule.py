"""`tunesmith schedule`: the learning rate over a run, drawn."""

from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json

if TYPE_CHECKING:
    from tunesmith.reports.plot import Look

WIDEST = 120


def schedule(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Schedules; without one, all are listed.", show_default=False),
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Updates of the run; 1000 if nothing is said.")] = None,
    epochs: Annotated[float | None, typer.Option(metavar="N", help="Length in epochs, with --per-epoch.")] = None,
    per_epoch: Annotated[
        int | None, typer.Option(metavar="N", help='Updates of an epoch, for lengths such as "2ep".')
    ] = None,
    effective_batch: Annotated[
        int | None, typer.Option(metavar="N", help='Rows of an update, for lengths such as "10000samples".')
    ] = None,
    warmup: Annotated[str, typer.Option(metavar="N|SHARE", help='Updates of the warm-up, or "0.05dur", "2ep".')] = "0",
    warmup_kind: Annotated[str | None, typer.Option(metavar="NAME", help="linear, cosine, constant, poly …")] = None,
    warmup_start: Annotated[float | None, typer.Option(metavar="FACTOR", help="Factor of the first update.")] = None,
    join: Annotated[
        str | None, typer.Option(metavar="HOW", help="Warm-up and schedule: after, over, product or composite.")
    ] = None,
    floor: Annotated[float | None, typer.Option(metavar="FACTOR", help="Smallest factor of the peak rate.")] = None,
    peak: Annotated[
        float | None, typer.Option(metavar="RATE", help="The peak rate; else factors of it are shown.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An argument of the schedule, e.g. gamma=0.5. Repeatable."),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(metavar="FILE", help="Recipe whose schedule is drawn.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Picture to write, .svg or .png.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Draw the learning rate over a run, or list the schedules."""
    from tunesmith.records import read_recipe
    from tunesmith.reports.schedules import several
    from tunesmith.verbs.schedule import draw, ending, listed
    from tunesmith.verbs.schedule import schedule as drawn

    look = shown_on()
    if not names and recipe is None:
        return Answer({"schedules": catalogue()}, listed(look.width, plain=look.plain))
    if out is not None:
        ending(out)
    given = {"warmup_kind": warmup_kind, "warmup_start": warmup_start, "warmup_join": join, "floor": floor}
    asked: dict[str, Any] = dict(map(setting, settings or ())) | {
        key: one for key, one in given.items() if one is not None
    }
    run: dict[str, Any] = {"epochs": epochs, "per_epoch": per_epoch, "effective_batch": effective_batch, "peak": peak}
    base = read_recipe(recipe) if recipe is not None else None
    amount = int(warmup) if warmup.isdigit() else warmup
    found = [drawn(name, steps, warmup=amount, recipe=base, **run, **asked) for name in names or ["auto"]]
    if out is not None:
        draw(found, out)
    file = {"file": str(out) if out else None}
    data = found[0].as_dict() if len(found) == 1 else {"schedules": [one.as_dict() for one in found]}
    return Answer(data | file, several(found, look) + (f"\n\n{out} written" if out else ""))


def shown_on() -> "Look":
    """What standard output can show."""
    import os
    import sys

    from tunesmith.reports.plot import look_of

    return look_of(sys.stdout, min(get_terminal_size().columns, WIDEST), dict(os.environ))


def setting(text: str) -> tuple[str, Any]:
    """One `--set`: `gamma=0.5` for the schedule, `schedule.grow_batch=8` for the recipe's section."""
    from tunesmith.records import RecipeError, parse_setting

    if "=" not in text:
        raise RecipeError(f"--set {text}: expected NAME=VALUE, for example --set gamma=0.5")
    path, value = parse_setting(text if text.startswith("schedule.") else f"schedule.extra.{text}")
    return path.removeprefix("schedule.").removeprefix("extra."), value


def catalogue() -> list[str]:
    from tunesmith.blocks.schedules import SCHEDULES

    return list(SCHEDULES)
