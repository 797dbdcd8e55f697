"""`tunesmith predict`: a trained run on new data."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json

if TYPE_CHECKING:
    from tunesmith.training.predicting import Predictions


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="New data, of the same columns; the target may be absent.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write: .csv, or .json. Else standard output."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Predict new rows with the best model of a run."""
    from tunesmith.cli.answers import as_json
    from tunesmith.verbs.predict import predict as predicted

    made = predicted(run, data)
    for notice in made.notices:
        typer.echo(f"note: {notice}", err=True)
    answer = Answer(made.as_dict(), as_csv(made))
    if output is None:
        return answer
    text = as_json(answer.data) + "\n" if output.suffix == ".json" else answer.text
    output.write_text(text, encoding="utf-8", newline="")
    told = f"{len(made)} predictions written to {output}"
    return Answer({**answer.data, "file": str(output)}, told)


def as_csv(made: "Predictions") -> str:
    """A line a row: the prediction, and the probability of each class or each value."""
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    if made.values is not None:
        values = made.values.reshape(len(made.values), -1)
        single = values.shape[1] == 1
        names = made.classes if made.classes and len(made.classes) == values.shape[1] else range(1, values.shape[1] + 1)
        lines.writerow(["prediction"] if single else [f"prediction {name}" for name in names])
        lines.writerows(values.tolist())
        return stream.getvalue()
    lines.writerow(["prediction", *(f"p({label})" for label in made.classes or ())])
    chances = made.probabilities.tolist() if made.probabilities is not None else [[]] * len(made)
    for label, row in zip(made.labels or (), chances, strict=True):
        lines.writerow([written(label), *(f"{chance:.6g}" for chance in row)])
    return stream.getvalue()


def written(label: Any) -> str:
    """A label, or the labels of a row that may have several.

    >>> written("spam"), written(["red", "round"])
    ('spam', 'red|round')
    """
    return "|".join(str(one) for one in label) if isinstance(label, list | tuple) else str(label)
