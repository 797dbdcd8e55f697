"""One rank of several, or the one process they are compared with: `python rank_target.py FOLDER JOB…`; FOLDER/jobs.json has the jobs.

Every job is a training by name: {"case", "folder", "recipe", "resume", "until"}. What came out lies in FOLDER/<job>.<rank>.json
and FOLDER/<job>.<rank>.pt.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import tunesmith as ts
from tunesmith.records import TunesmithError
from tunesmith.reports import QuietDisplay

ROWS, WIDTH = 101, 6
RANK = int(os.environ.get("RANK", "0"))


def table(shift: float = 0.0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows, classes of which one is rare, and weights of the rows."""
    draws = np.random.default_rng(0)
    rows = draws.normal(size=(ROWS, WIDTH)).astype(np.float32) + np.float32(shift)
    labels = (rows[:, 0] + draws.normal(size=ROWS) * 0.5 > 0.8).astype(np.int64)
    return rows, labels, draws.uniform(0.2, 3.0, ROWS).astype(np.float32)


class Breaks(nn.Module):
    """Breaks, or runs out of memory, on rank 1 alone, in its seventh pass of training and with more than `most` rows."""

    def __init__(self, how: str, most: int = 0) -> None:
        super().__init__()
        self.how, self.most, self.passes = how, most, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.passes += self.training
        if self.training and RANK == 1 and self.passes > 6 and len(inputs) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory") if self.how == "memory" else ValueError("no such leaf")
        return inputs


def net(*, norm: bool = False, dropout: float = 0.0, before: nn.Module | None = None) -> nn.Module:
    layers: list[nn.Module] = [] if before is None else [before]
    layers += [nn.Linear(WIDTH, 12), *([nn.BatchNorm1d(12)] if norm else []), nn.Tanh(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(12, 2))


def loader(*, shared: bool = False) -> Any:
    rows, labels, weights = (torch.from_numpy(held) for held in table())
    data = TensorDataset(rows, labels, weights)
    if shared:
        return DataLoader(data, batch_size=16, sampler=DistributedSampler(data, num_replicas=2, rank=RANK))
    return DataLoader(data, batch_size=16, shuffle=True)


def chats() -> list[dict[str, Any]]:
    """Answers of very different lengths, so that the tokens of two ranks are not as many."""
    return [{"instruction": f"Say {number}", "output": "so " * (1 + number % 7)} for number in range(45)]


def task(case: str) -> ts.Task:
    rows, labels, weights = table()
    val = table()[:2]
    match case:
        case "all":
            return ts.Task(lambda: net(dropout=0.3), train=(rows, labels), sample_weight=weights)
        case "norm":
            return ts.Task(lambda: net(norm=True), train=(rows, labels))
        case "tokens":
            return ts.Task("auto", train=chats(), kind="language")
        case "loader" | "shared":
            return ts.Task(lambda: net(), train=loader(shared=case == "shared"), val=val, kind="binary")
        case "nan":
            rows[7, 0] = 1e30  # its exponential overflows
            return ts.Task(lambda: net(before=Grown()), train=(rows, labels), val=val, kind="binary")
        case "memory":
            return ts.Task(lambda: net(dropout=0.3, before=Breaks("memory", 3)), train=(rows, labels))
        case "breaks":
            return ts.Task(lambda: net(before=Breaks("no")), train=(rows, labels))
        case "other data":
            return ts.Task(lambda: net(), train=table(float(RANK))[:2])
        case "sparse":
            layers = nn.Embedding(9, 4, sparse=True), nn.Flatten(), nn.Linear(4, 2)
            return ts.Task(lambda: nn.Sequential(*layers), train=(labels[:, None], labels), kind="binary")
    return ts.Task(lambda: net(), train=(rows, labels))


class Grown(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.exp()


def carried_out(job: dict[str, Any]) -> dict[str, Any]:
    recipe = {"train.device": "cpu", "eval.bootstrap": 0, "data.scale": "none", **job.get("recipe", {})}
    recipe |= job.get(f"recipe of rank {RANK}", {})
    resume = job.get("resume", False)
    if "pause" in job:  # in memory
        resume = ts.fit(task(job["case"]), recipe, until=job["pause"], display=QuietDisplay())
    run = ts.fit(
        task(job["case"]),
        recipe,
        folder=job.get("folder"),
        resume=resume,
        until=job.get("until"),
        display=QuietDisplay(),
    )
    torch.save({"weights": run.model.state_dict()}, Path(sys.argv[1]) / f"{job['name']}.{RANK}.pt")
    rows = [
        {name: row[name] for name in ("step", "train_loss", "val_loss", "score", "best")} for row in run.evaluations
    ]
    said = [decision.get("because", "") for decision in run.decisions]
    return {"rows": rows, "scores": run.scores, "said": said, "status": run.status, "ending": run.info.get("ending")}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    for job in json.loads((folder / "jobs.json").read_text()):
        try:
            told = carried_out(job)
        except TunesmithError as error:
            told = {"error": type(error).__name__, "said": str(error)}
        (folder / f"{job['name']}.{RANK}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
