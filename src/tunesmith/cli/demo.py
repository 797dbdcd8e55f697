"""`tunesmith demo`: a whole tuning on data that came with the installation."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json, Quiet, Settings

IMAGES = "train-images-idx3-ubyte.gz"
TEST = "t10k-images-idx3-ubyte.gz"


def demo(
    budget: Annotated[str, typer.Option(metavar="AMOUNT", help="As for tune: '150s', '40 epochs' …")] = "150s",
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Of the tuning; else ./tunesmith-demo.", show_default=False),
    ] = None,
    settings: Settings = None,
    quiet: Quiet = False,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Tune on pictures that came with Tunesmith."""
    from importlib.resources import as_file, files

    from tunesmith.cli.recipes import asked_recipe
    from tunesmith.cli.tune import tuned
    from tunesmith.records import Task
    from tunesmith.reports.display import relative

    with as_file(files("tunesmith") / "demo_data" / "fashion_mnist") as data:
        task = Task(train=str(data / IMAGES), test=str(data / TEST))
        answer = tuned(task, asked_recipe(None, settings, {}), budget, 0, folder or fresh(), False, quiet, json)
    told = f"open {relative(Path(answer.data['report']))} in a browser" if not quiet else ""
    return Answer(answer.data, told, answer.code)


def fresh() -> Path:
    """`tunesmith-demo`, with a number where that is taken."""
    from tunesmith.cli.fit import free

    plain = Path("tunesmith-demo")
    return free(Path(), "tunesmith-demo") if plain.exists() else plain
