"""`tunesmith rate`: a learning rate that was trained at before it is handed over."""

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
    from tunesmith.doctor.repair.finders import FoundRate


def rate(
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
    seconds: Annotated[float, typer.Option(metavar="NUMBER", help="Budget.")] = 60.0,
    language: Language = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Find a learning rate by a range test and short trainings."""
    from tunesmith.cli.findings import Progress
    from tunesmith.cli.subjects import subject_of
    from tunesmith.verbs.find_rate import find_rate

    short = {"data.split": split, "model.name": model, "train.epochs": epochs}
    about = {"target": target, "group": group, "time": time, "drop": drop, "sample_weight": weight}
    subject, asked = subject_of(task, data, val, recipe, settings, short, {**about, "labels": labels, "kind": kind})
    progress = Progress()
    try:
        found = find_rate(subject, asked, seconds=seconds, step=progress)
    finally:
        progress.close()
    return Answer(found.as_dict(), shown(found, language or "en"), 0 if found.rate is not None else 3)


def shown(found: "FoundRate", language: str) -> str:
    """The sentence, the curve, and what was tried."""
    import numpy as np

    from tunesmith.cli.schedule import shown_on
    from tunesmith.reports.plot import curve

    told = [found.text(language)]
    if found.rate is not None:
        told.append(f"confidence {found.confidence:.2f}")
        if len(set(found.rates)) > 1:
            told.append("rates of the groups: " + ", ".join(f"{rate:g}" for rate in found.rates))
        if found.change:
            told.append("--set " + " --set ".join(f"{name}={value:g}" for name, value in found.change.items()))
    if found.curve is not None and len(found.curve.rates) > 1:
        marks = [] if found.rate is None else [(float(np.log10(found.rate)), f"{found.rate:g}")]
        labels = ("log10 of the rate", f"training loss of the range test, mean of {found.curve.window}")
        x, y = np.log10(found.curve.rates), np.asarray(found.curve.smoothed)
        top = float(y[: len(y) // 4].max()) * 1.5 if y.min() >= 0 else float(y.max())
        told += ["", curve(x, np.minimum(y, top), labels=labels, look=shown_on(), height=8, marks=marks)]
    told += ["", f"{'rate':>10} {'updates':>8} {'training':>10} {'validation':>10}"]
    for one in found.tried:
        what = one.broke or f"{one.loss:10.4g} {one.held:10.4g}"
        told.append(f"{one.rate:10.3g} {one.steps:8d} {what}" + (" *" if one.rate == found.rate else ""))
    told.append(f"{found.updates} updates on copies, {found.seconds:.1f} s; the whole run has {found.of}")
    return "\n".join([*told, *found.notices])
