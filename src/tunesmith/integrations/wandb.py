"""Weights & Biases: offline in the run folder, to be sent by `wandb sync`, unless WANDB_MODE says otherwise."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.integrations import EXPORTERS, Exporter, flat, imported, numbers, tag

PROJECT = "tunesmith"
STEP = "step"


@EXPORTERS.add("wandb")
class WeightsAndBiases(Exporter):
    """Logs to a run of wandb's; `destination` is the project's name."""

    def __init__(self, info: Mapping[str, Any], destination: str | Path | None = None) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # nothing goes into the network unasked
        wandb = imported("wandb", "wandb")
        settings = wandb.Settings(console="off", silent=True, disable_git=True, save_code=False)
        self._run = wandb.init(
            project=str(destination or PROJECT),
            name=str(info.get("title") or Path(info["folder"]).name),
            dir=info["folder"],
            config=flat(info.get("recipe", {})),
            mode=os.environ.get("WANDB_MODE", "offline"),
            settings=settings,
            reinit="create_new",
        )
        self._run.define_metric("*", step_metric=STEP)

    def signals(self, name: str, steps: Any, values: Any, where: str = "") -> None:
        for step, value in zip(steps, values, strict=True):
            self._run.log({tag(name, where): float(value), STEP: int(step)})

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self._run.log(numbers(row, "evaluation") | {STEP: int(row["step"])})

    def scores(self, scores: Mapping[str, Any]) -> None:
        self._run.summary.update(numbers(scores, "scores"))

    def close(self, status: str) -> None:
        self._run.summary["status"] = status
        self._run.finish(exit_code=int(status == "failed"))
