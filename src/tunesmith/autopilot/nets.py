"""Trainings of the net as steps: one recipe, so many epochs, scored on the validation rows alone; and what the kept weights say."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunesmith.autopilot.ledger import Ledger
from tunesmith.data.spec import Array, Prepared
from tunesmith.records import DataError, ModelError, Recipe, RecipeError, Task, TrainingFailed
from tunesmith.search.subject import Subject

RUN = "run"
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
    ) -> dict[str, Any]:
        """A training as a step, on a `share` of the training rows.

        Found: `run` (its folder below that of the tuning), `records` by epoch, `epochs`; `failed` with the reason where it broke, `cut`
        where time was over before its end.
        """
        return self.ledger.once(name, lambda: self._train(name, recipe, epochs, out_of_time, share))

    def _train(
        self, name: str, recipe: Recipe, epochs: int, out_of_time: Callable[[], bool], share: float
    ) -> dict[str, Any]:
        place = self.ledger.place(name)
        place.mkdir(parents=True, exist_ok=True)
        subject = self.subject(self.task, recipe, share)
        records: list[dict[str, Any]] = []
        found: dict[str, Any] = {"run": str((place / RUN).relative_to(self.ledger.folder))}
        try:
            told: Any = subject.train({}, start=0, upto=epochs, folder=place, seed=recipe.train.seed, copy_from=None)
            with closing(told):
                for record in told:
                    records.append(dict(record or {}))
                    if out_of_time() and len(records) < epochs:
                        found["cut"] = f"after {len(records)} of {epochs} epochs"
                        break
        except (TrainingFailed, ModelError, DataError, RecipeError) as error:
            found["failed"] = str(error).splitlines()[0]
        return {**found, "records": records, "epochs": len(records) * share}

    def said(self, run: str, part: Any) -> tuple[Array, Array, Array | None]:
        """What the best weights of a run say of a part, with the truth and the weights of its rows: probabilities, or values in the
        target's unit. The part is one of the data as they were first prepared."""
        if run in self.others:
            return self.others[run].said(run, part)
        if self.first is not None:
            part = next(getattr(self.prepared, name) for name in PARTS if getattr(self.first, name) is part)
        from tunesmith.runs import Run
        from tunesmith.training.checkpoint import Checkpoints
        from tunesmith.training.evaluate import batches_of, evaluate, labelled, probabilities
        from tunesmith.training.judgement import VALUES, in_units
        from tunesmith.training.plan import evaluation_part, make
        from tunesmith.training.session import seeded

        folder = self.ledger.folder / run
        settled = Run(folder).recipe
        with seeded(settled.train.seed):
            made = make(self.task, settled, self.prepared)
        checkpoints = Checkpoints(folder / "checkpoints")
        made.plan.state.model.load_state_dict(
            checkpoints.weights("best" if checkpoints.pointed("best") is not None else "last")
        )
        precision = made.plan.update.precision
        held = evaluation_part(part, self.prepared, precision.device, precision)
        batches = batches_of(held, int(made.plan.recipe.eval.batch_size), precision.device, precision.dtype)
        seen = evaluate(made.plan.state.model, made.plan.update.loss, batches, precision)
        target = labelled(seen, self.prepared.kind)
        said = probabilities(seen.outputs, self.prepared.kind, made.plan.update.loss.name)
        if self.prepared.kind in VALUES:
            return in_units(said.reshape(target.shape), self.prepared), in_units(target, self.prepared), seen.weight
        return np.asarray(said), np.asarray(target), seen.weight


def best_of(found: Mapping[str, Any]) -> tuple[int, float] | None:
    """The epoch (from 1) and the score of the best record, lowest first as a search has it; None where there is none."""
    scored = [
        (float(record["score"]), epoch)
        for epoch, record in enumerate(found["records"], start=1)
        if record.get("score") is not None and record["score"] == record["score"]
    ]
    return None if not scored else (min(scored)[1], min(scored)[0])
