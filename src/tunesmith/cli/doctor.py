"""`tunesmith doctor`: what this machine and installation can do."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json


def doctor(
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder whose disk is measured.")] = Path("."),
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Look at this machine and this installation."""
    from tunesmith.verbs.doctor import doctor as looked

    found = looked(folder)
    return Answer(found.as_dict(), found.text())
