"""Trainings of the net as steps: one recipe, so many epochs, scored on the validation rows alone; and what the kept weights say."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.autopilot.ledger import Ledger
from tunesmith.data.spec import Array, Prepared
from tunesmith.records import DataError, ModelError, Recipe, RecipeError, Task, TrainingFailed
from tunesmith.search.subject import Subject

RUN = "run"
STALE, RISEN = 0.4, 0.2  # share of a training without a better score; of the lowest held-out loss, above it; assumption
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Nets:
    """Trains nets of a task, each in the folder of its step.

    Where columns were left out on the way, `first` are the data as they were before, and `others` the nets of runs with other inputs, by run.
    """

    task: Task
    prepared: Prepared
    ledger: Ledger
    subject: Callable[..., Subject]
    seed: int  # divides the rows, whatever the seed of a training
    first: Prepared | None = None
    others: Mapping[str, "Nets"] = field(default_factory=dict)

    def trained(
        self,
        name: str,
        recipe: Recipe,
        epochs: int,
        out_of_time: Callable[[], bool] = lambda: False,
        *,
        share: float = 1.0,
        targets: Array | None = None,
        kept: Sequence[int] = (),
    ) -> dict[str, Any]:
        """A training as a step, on a `share` of the training rows, or on other `targets` of them.

        Found: `run` (its folder below that of the tuning), `records` by epoch, `epochs`; `failed` with the reason where it broke, `cut`
        where time was over before its end, `stopped` where it had nothing more to win, `of` how many epochs were planned. The weights after the
        epochs `kept` are set aside; `snapshots` has the steps they are of.
        """
        return self.ledger.once(name, lambda: self._train(name, recipe, epochs, out_of_time, share, targets, kept))

    def _train(
        self,
        name: str,
        recipe: Recipe,
        epochs: int,
        out_of_time: Callable[[], bool],
        share: float,
        targets: Array | None,
        kept: Sequence[int],
    ) -> dict[str, Any]:
        place = self.ledger.place(name)
        place.mkdir(parents=True, exist_ok=True)
        subject = self.subject(self.task, recipe, share, targets, self.seed)
        records: list[dict[str, Any]] = []
        found: dict[str, Any] = {"run": str((place / RUN).relative_to(self.ledger.folder))}
        try:
            told: Any = subject.train({}, start=0, upto=epochs, folder=place, seed=recipe.train.seed, copy_from=None)
            with closing(told):
                for record in told:
                    records.append(dict(record or {}))
                    if len(records) in kept:
                        found.setdefault("snapshots", []).append(self._aside(place / RUN, len(records)))
                    if out_of_time() and len(records) < epochs:
                        found["cut"] = f"after {len(records)} of {epochs} epochs"
                        break
                    if lost(records, epochs):
                        found["stopped"] = f"after {len(records)} of {epochs} epochs: the held-out loss only rises"
                        break
        except (TrainingFailed, ModelError, DataError, RecipeError) as error:
            found["failed"] = str(error).splitlines()[0]
        return {**found, "records": records, "of": epochs, "epochs": len(records) * share}

    def _aside(self, run: Path, epoch: int) -> int:
        """Sets the weights after an epoch aside, unless an earlier try did; the step they are of."""
        from tunesmith.runs import Run
        from tunesmith.training.checkpoint import SNAPSHOTS, Checkpoints

        step = int(next(row["step"] for row in Run(run).evaluations if row["epoch"] == epoch))
        if step not in Checkpoints(run / SNAPSHOTS).steps():
            Checkpoints(run / "checkpoints").set_aside(step, run / SNAPSHOTS)
        return step

    def said(self, run: str, part: Any, step: int | None = None) -> tuple[Array, Array, Array | None]:
        """What the best weights of a run, or those set aside at a step, say of a part: probabilities, or values in the target's unit.

        With the truth and the weights of its rows. The part is one of the data as they were first prepared.
        """
        if run in self.others:
            return self.others[run].said(run, part, step)
        if self.first is not None:
            part = next(getattr(self.prepared, name) for name in PARTS if getattr(self.first, name) is part)
        from tunesmith.runs import Run
        from tunesmith.training.checkpoint import kept_weights
        from tunesmith.training.evaluate import batches_of, evaluate, labelled, probabilities
        from tunesmith.training.judgement import VALUES, in_units
        from tunesmith.training.plan import evaluation_part, make
        from tunesmith.training.session import seeded

        folder = self.ledger.folder / run
        settled = Run(folder).recipe
        with seeded(settled.train.seed):
            made = make(self.task, settled, self.prepared)
        made.plan.state.model.load_state_dict(kept_weights(folder, step))
        precision = made.plan.update.precision
        held = evaluation_part(part, self.prepared, precision.device, precision)
        batches = batches_of(held, int(made.plan.recipe.eval.batch_size), precision.device, precision.dtype)
        seen = evaluate(made.plan.state.model, made.plan.update.loss, batches, precision)
        target = labelled(seen, self.prepared.kind)
        said = probabilities(seen.outputs, self.prepared.kind, made.plan.update.loss.name)
        if self.prepared.kind in VALUES:
            return in_units(said.reshape(target.shape), self.prepared), in_units(target, self.prepared), seen.weight
        return np.asarray(said), np.asarray(target), seen.weight


def lost(records: Sequence[Mapping[str, Any]], epochs: int) -> bool:
    """Whether a training has nothing more to win: no better score for `STALE` of its length, and a held-out loss far above its lowest.

    The loss is asked too, for a score that stands still under a high rate often rises when the rate falls.

    >>> rising = [{"score": -0.9 + 0.01 * epoch, "val_loss": 0.3 + 0.05 * epoch} for epoch in range(9)]
    >>> lost(rising, 20), lost(rising, 30)
    (True, False)
    """
    best = best_of({"records": records})
    held = [float(one["val_loss"]) for one in records if one.get("val_loss") is not None]
    if best is None or not held or len(records) - best[0] < STALE * epochs:
        return False
    return held[-1] > min(held) + RISEN * abs(min(held))


def best_of(found: Mapping[str, Any]) -> tuple[int, float] | None:
    """The epoch (from 1) and the score of the best record, lowest first as a search has it; None where there is none."""
    scored = [
        (float(record["score"]), epoch)
        for epoch, record in enumerate(found["records"], start=1)
        if record.get("score") is not None and record["score"] == record["score"]
    ]
    return None if not scored else (min(scored)[1], min(scored)[0])
