"""The stages in their order, on one task, inside one budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.autopilot.decision import Decision
from tunesmith.autopilot.flight import Flight, Hands
from tunesmith.autopilot.handing import DATA
from tunesmith.autopilot.judging import Scorer
from tunesmith.autopilot.ledger import Ledger
from tunesmith.autopilot.nets import Nets
from tunesmith.autopilot.opening import opened
from tunesmith.autopilot.purse import Purse
from tunesmith.autopilot.stages.baselines import baselines
from tunesmith.autopilot.stages.distil import distil
from tunesmith.autopilot.stages.inputs import inputs
from tunesmith.autopilot.stages.judge import judge
from tunesmith.autopilot.stages.longer import longer
from tunesmith.autopilot.stages.look import look
from tunesmith.autopilot.stages.mend import mend
from tunesmith.autopilot.stages.plain import plain
from tunesmith.autopilot.stages.pretrained import pretrained
from tunesmith.autopilot.stages.prove import prove
from tunesmith.autopilot.stages.regularise import regularise
from tunesmith.autopilot.stages.search import search
from tunesmith.autopilot.stages.seeds import seeds
from tunesmith.autopilot.stages.squeeze import squeeze
from tunesmith.autopilot.stages.worth import worth
from tunesmith.data.spec import Part, Prepared, spec_to_json
from tunesmith.records import DataError, Recipe, Task
from tunesmith.runs.files import write_json
from tunesmith.runs.lock import FolderLock

STAGES: Mapping[str, tuple[Callable[[Flight], Any], str]] = {
    "look": (look, "audit the data: leaks, duplicates, broken columns and labels"),
    "prove": (prove, "check the pipeline on a copy; a small sample must be learnt by heart"),
    "baselines": (baselines, "a constant answer, a linear model, gradient boosting"),
    "plain": (plain, "time an epoch, choose the length of a training, train the default net"),
    "inputs": (inputs, "what each group of columns brings, one after the other, by the cheapest model that reads them"),
    "mend": (mend, "where a check or the curve names an error: repair on twins"),
    "pretrained": (pretrained, "where a start is given: frozen, slower, unfrozen by layers, or drawn anew"),
    "search": (search, "two rounds: all that is worth it, then what matters in a widened space"),
    "regularise": (regularise, "one change at a time against the validation gap, each kept only with evidence"),
    "longer": (longer, "twice the epochs, where the best epoch came late"),
    "seeds": (seeds, "members for an ensemble: the best recipe from other seeds, and in cycles whose ends are kept"),
    "squeeze": (squeeze, "an ensemble of what is trained already, judged on rows it was not chosen on"),
    "distil": (distil, "one net that learns what the ensemble says, kept where it is as good"),
    "worth": (worth, "what more data would be worth: the best recipe on a quarter and a half of the rows"),
    "judge": (judge, "once on the test rows, with intervals, beside the baselines"),
}


@dataclass(frozen=True)
class Asked:
    """What a tuning was asked for."""

    task: Task
    recipe: Recipe  # settled
    context: Mapping[str, Any]
    prepared: Prepared
    unit: str  # seconds or epochs
    total: float
    seed: int
    about: Mapping[str, Any]  # the command and such, for tune.json


def fly(asked: Asked, folder: Path, hands: Hands, *, resume: bool, tell: Callable[[Decision], None]) -> Flight:
    """Carries out all stages. A folder whose tuning was stopped is gone on with under `resume`.

    Raises `RunError` for a folder that is not empty, or holds another tuning, and what the stages raise.
    """
    scorer = scorer_of(asked.prepared, asked.recipe)
    about = {"unit": asked.unit, "total": asked.total, "seed": asked.seed}
    about |= {"fingerprint": asked.prepared.fingerprint, "kind": asked.prepared.kind}
    opened(folder, about | dict(asked.about), resume)
    lock = FolderLock(folder)
    try:
        return _flown(asked, folder, hands, tell, scorer)
    finally:
        lock.release()


def _flown(asked: Asked, folder: Path, hands: Hands, tell: Callable[[Decision], None], scorer: Scorer) -> Flight:
    ledger = Ledger(folder, tell)
    nets = Nets(asked.task, asked.prepared, ledger, hands.subject, asked.recipe.train.seed)
    flight = Flight(
        task=asked.task,
        recipe=asked.recipe,
        prepared=asked.prepared,
        purse=Purse(asked.unit, asked.total, ledger),
        ledger=ledger,
        hands=hands,
        nets=nets,
        scorer=scorer,
        seed=asked.seed,
        context=asked.context,
    )
    pipeline = asked.prepared.pipeline
    write_json(
        folder / DATA,
        {"spec": spec_to_json(asked.prepared.spec), "pipeline": None if pipeline is None else pipeline.to_json()},
    )
    for stage, _ in STAGES.values():
        stage(flight)
    return flight


def scorer_of(prepared: Prepared, recipe: Recipe) -> Scorer:
    """Judges on the validation rows. Raises `DataError` where there are none, or the metric is no metric of the project."""
    from tunesmith.training.judgement import in_units

    if prepared.kind == "language":
        raise DataError(
            "tune chooses by scores of rows, which a language model has not; train it with fit, and try settings of it with search"
        )
    if prepared.val is None:
        raise DataError("tune chooses on validation rows, and there are none; give some (--val, or data.val above 0)")
    part = prepared.val
    if not isinstance(part, Part) or part.target is None:
        raise DataError(
            "tune needs validation rows it can read at once: arrays, a frame or a data file, and no loader; give val=(X, y)"
        )
    target = in_units(np.asarray(part.target), prepared)
    if prepared.kind in ("binary", "multiclass"):
        target = target.reshape(-1).astype(np.int64)
    return Scorer(
        prepared.kind,
        recipe.eval.metric,
        target,
        classes=prepared.classes,
        positive=prepared.positive,
        weight=part.weight,
    )
