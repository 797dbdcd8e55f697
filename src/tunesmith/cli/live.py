"""`tunesmith live`: runs and searches in a browser while they go on."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json


def live(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run, a search, or a folder that holds several.")],
    port: Annotated[int, typer.Option(metavar="NUMBER", help="0 takes any that is free.")] = 8765,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Who may reach it; any but this machine alone demands a token.")
    ] = "127.0.0.1",
    control: Annotated[bool, typer.Option("--control", help="With buttons that stop what runs.")] = False,
    token: Annotated[
        str | None, typer.Option(metavar="WORD", help="Demand this; else one is made where it is needed.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Name under which it is asked for too. Repeatable.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Show runs and searches in a browser while they go on."""
    from tunesmith.reports.live.serving import server, told

    made = server(folder, host=host, port=port, control=control, token=token, names=tuple(name or ()))
    return Answer(told(made), f"{made.url}\nCtrl-C ends it\n", then=made.serve)
