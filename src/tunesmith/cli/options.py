"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Text = str | None
Words = list[str] | None

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else there.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Language = Annotated[str | None, typer.Option("--lang", "--language", metavar="CODE", help="Of findings: en, zh.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a recipe field, e.g. optim.lr=1e-3. Repeatable."),
]
Data = Annotated[
    Text,
    typer.Argument(
        metavar="DATA",
        help="Training data: .csv, .parquet, .jsonl, .txt (each also .gz), .npz, an idx file, a folder or .zip of pictures.",
        show_default=False,
    ),
]
Target = Annotated[Words, typer.Option(metavar="COLUMN", help="What to predict. Repeatable.")]
Test = Annotated[Text, typer.Option(metavar="DATA|SHARE", help="Test data, or the share of rows kept for the test.")]
Val = Annotated[
    Text, typer.Option(metavar="DATA|SHARE", help="Validation data, or the share of rows kept for validation.")
]
SplitBy = Annotated[Text, typer.Option(metavar="METHOD", help="random, stratified, group or time.")]
Group = Annotated[Text, typer.Option(metavar="COLUMN", help="Column whose rows of equal value stay in one part.")]
Time = Annotated[Text, typer.Option(metavar="COLUMN", help="Column to split by time: the newest rows are the test.")]
Drop = Annotated[Words, typer.Option(metavar="COLUMN", help="Column to leave out. Repeatable.")]
Weight = Annotated[Text, typer.Option(metavar="COLUMN", help="Column with the weight of each row.")]
Human = Annotated[
    Text, typer.Option(metavar="COLUMN", help="Second annotation of the target: the human line, never an input.")
]
Positive = Annotated[Text, typer.Option(metavar="LABEL", help="Which of two classes is the positive one.")]
Labels = Annotated[Text, typer.Option(metavar="FILE", help="File of labels that belongs to an idx file of pictures.")]
Columns = Annotated[
    Words, typer.Option(metavar="NAME=KIND", help="Overrule the kind of a column, e.g. zip=category. Repeatable.")
]
Kind = Annotated[
    Text, typer.Option(metavar="KIND", help="multiclass, binary, multilabel, regression, multi_regression, language.")
]
Model = Annotated[
    Text, typer.Option(metavar="NAME", help="Built-in model: mlp, cnn, bag, lstm, transformer, decoder, encoder.")
]
RecipeFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Recipe file, as `tunesmith init` writes it.")]
TaskObject = Annotated[
    Text, typer.Option(metavar="MODULE:OBJECT", help="Your own Task, or a function that returns one.")
]
