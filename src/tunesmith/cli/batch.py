"""`tunesmith batch`: how many rows fit, how many are fast, and what batch learns most."""

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.check import Subject
from tunesmith.cli.options import (
    Data,
    Debug,
    Drop,
    Group,
    Json,
    Kind,
    Labels,
    Language,
    Model,
    RecipeFile,
    Settings,
    SplitBy,
    Target,
    Time,
    Val,
    Weight,
)

if TYPE_CHECKING:
    from tunesmith.doctor.repair.finders import FoundBatch


def batch(
    data: Data = None,
    target: Target = None,
    val: Val = None,
    split: SplitBy = None,
    group: Group = None,
    time: Time = None,
    drop: Drop = None,
    weight: Weight = None,
    labels: Labels = None,
    kind: Kind = None,
    model: Model = None,
    recipe: RecipeFile = None,
    settings: Settings = None,
    epochs: Annotated[int | None, typer.Option(metavar="NUMBER", help="Epochs of the run that is meant.")] = None,
    task: Subject = None,
    most: Annotated[int | None, typer.Option(metavar="ROWS", help="Rows that are tried at most.")] = None,
    margin: Annotated[float, typer.Option(metavar="SHARE", help="Of the rows that fit, left free.")] = 0.1,
    rule: Annotated[str, typer.Option(metavar="RULE", help="For the rate: auto, linear, sqrt or none.")] = "auto",
    compare: Annotated[bool, typer.Option(help="Train three batches on a part of the data.")] = True,
    seconds: Annotated[float, typer.Option(metavar="NUMBER", help="Budget.")] = 60.0,
    language: Language = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Find the batch that fits, is fast and learns most."""
    from tunesmith.cli.findings import Progress
    from tunesmith.cli.subjects import subject_of
    from tunesmith.verbs.find_batch import find_batch

    short = {"data.split": split, "model.name": model, "train.epochs": epochs}
    about = {"target": target, "group": group, "time": time, "drop": drop, "sample_weight": weight}
    subject, asked = subject_of(task, data, val, recipe, settings, short, {**about, "labels": labels, "kind": kind})
    progress = Progress()
    try:
        found = find_batch(
            subject, asked, seconds=seconds, most=most, margin=margin, rule=rule, compare=compare, step=progress
        )
    finally:
        progress.close()
    return Answer(found.as_dict(), shown(found, language or "en"))


def shown(found: "FoundBatch", language: str) -> str:
    """The sentence, the throughput, and what was compared."""
    told = [found.text(language), found.line, "", f"{'rows':>8} {'rows/s':>10} {'ms':>9}"]
    for one in found.paces:
        mark = " knee" if one.rows == found.knee else ""
        told.append(f"{one.rows:8d} {one.rows_a_second:10.0f} {1000 * one.seconds:9.3g}{mark}")
    if found.compared:
        samples = max((one.samples[-1] for one in found.compared if one.samples), default=0)
        told += [
            "",
            f"{'batch':>8} {'rate ×':>8} {f'loss at {samples} samples':>24} {f'at {found.equal_seconds:.2g} s':>12}",
        ]
        told += [
            f"{one.batch:8d} {one.factor:8.3g} {one.at_samples:24.4g} {one.at_seconds:12.4g}" for one in found.compared
        ]
    if found.change:
        told += ["", "--set " + " --set ".join(f"{name}={value:g}" for name, value in found.change.items())]
    return "\n".join([*told, f"{found.seconds:.1f} s", *found.notices])
