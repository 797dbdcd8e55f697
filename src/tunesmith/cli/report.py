"""`tunesmith report`: one self-contained page."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Folder of a run, a search or a tuning; several runs, or several tunings, are set beside each other.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write; else report.html in the run.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Write the HTML page of runs, of a search, or of tunings."""
    from tunesmith.reports.display import relative
    from tunesmith.verbs.report import report as reported

    place = reported(runs, output)
    return Answer({"file": str(place)}, relative(place))
