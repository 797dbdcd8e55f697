"""`tunesmith export`: a trained model for use elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    format: Annotated[str, typer.Option(metavar="FORMAT", help="pytorch, onnx or torchscript.")] = "pytorch",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; else into the run folder.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Write the best model as PyTorch, ONNX or TorchScript."""
    from tunesmith.reports.display import relative
    from tunesmith.verbs.export import export as exported

    place = exported(run, format, output)
    return Answer({"file": str(place), "format": format}, relative(place))
