"""MLflow: a run in the experiment "tunesmith".

It goes to the address named, else to that of MLFLOW_TRACKING_URI, else to the folder `mlruns` beside the run folder. The
small package mlflow-skinny writes to folders and servers; databases need the whole mlflow.
"""

import os
import re
import time
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tunesmith.integrations import EXPORTERS, Exporter, flat, imported, numbers, tag
from tunesmith.records import MissingExtra

EXPERIMENT = "tunesmith"
METRICS, PARAMETERS, LENGTH = (
    1000,
    100,
    6000,
)  # most a call, most a call, longest value: limits of MLflow's tracking interface
STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED", "paused": "KILLED", "running": "RUNNING"}
DATABASES = {"sqlite", "postgresql", "mysql", "mssql"}
FORBIDDEN = re.compile(r"[^/\w.\- :]")


@EXPORTERS.add("mlflow")
class MLflow(Exporter):
    """Logs through MLflow's client; `destination` is a folder or a tracking address, such as `sqlite:///runs.db`."""

    def __init__(self, info: Mapping[str, Any], destination: str | Path | None = None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing goes into the network unasked
        self._entities = imported("mlflow.entities", "mlflow")
        address = _address(
            destination or os.environ.get("MLFLOW_TRACKING_URI") or Path(info["folder"]).parent / "mlruns"
        )
        self._client = imported("mlflow", "mlflow").MlflowClient(tracking_uri=address)
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        number = experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT)
        name = str(info.get("title") or Path(info["folder"]).name)
        self._run = self._client.create_run(
            number, run_name=name, tags={"tunesmith.id": str(info.get("id", ""))}
        ).info.run_id
        parameters = [
            self._entities.Param(path, str(value)[:LENGTH]) for path, value in flat(info.get("recipe", {})).items()
        ]
        for start in range(0, len(parameters), PARAMETERS):
            self._client.log_batch(self._run, params=parameters[start : start + PARAMETERS])
        self._step = 0

    def signals(self, name: str, steps: Any, values: Any, where: str = "") -> None:
        self._log((tag(name, where), float(value), int(step)) for step, value in zip(steps, values, strict=True))

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self._step = int(row["step"])
        self._log((name, value, self._step) for name, value in numbers(row, "evaluation").items())

    def scores(self, scores: Mapping[str, Any]) -> None:
        self._log((name, value, self._step) for name, value in numbers(scores, "scores").items())

    def close(self, status: str) -> None:
        self._client.set_terminated(self._run, STATUS[status])

    def _log(self, points: Iterable[tuple[str, float, int]]) -> None:
        now = int(time.time() * 1000)
        metrics = [self._entities.Metric(FORBIDDEN.sub("_", name), value, now, step) for name, value, step in points]
        for start in range(0, len(metrics), METRICS):
            self._client.log_batch(self._run, metrics=metrics[start : start + METRICS])


def _address(destination: str | Path) -> str:
    scheme = destination.partition(":")[0] if isinstance(destination, str) and ":" in destination else ""
    if scheme in DATABASES and find_spec("sqlalchemy") is None:
        raise MissingExtra(
            f"MLflow needs its whole package to write to {destination}: pip install mlflow, or name a folder or a server"
        )
    if scheme not in ("", "file"):
        return str(destination)
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # newer versions refuse a folder without it
    return str(destination) if scheme else Path(destination).absolute().as_uri()
