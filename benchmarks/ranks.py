"""Several ranks beside one process: how far apart the weights are after the same updates, and how long an update takes.

Each case trains the same recipe (AdamW, clipping, average of the weights, two micro-batches an update, rows that the ranks cannot
divide evenly) in one process and on gloo ranks of this machine, one thread each. `weights apart` is the largest difference of any weight
after all updates, `loss apart` that of the validation loss. `ms` is the wall time of an update in the second epoch, its evaluation
included, of the one process and of the ranks. Small nets lose by talking: an update of a thousand weights takes longer to add up than to
compute. Two ranks gain where a process of its own has a core of its own: on a machine that does other work, as here, less.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tables import markdown

NETS = {"mlp": 64, "wide mlp": 1024, "cnn": 16, "dropout": 64}
ROWS, BATCH = 611, 66
SAID = ["net", "precision", "ranks", "updates", "weights apart", "loss apart", "ms, one process", "ms, ranks", "ratio"]


def cases() -> list[dict[str, Any]]:
    return [{"net": net, "precision": kind, "ranks": 2} for net in NETS for kind in ("fp32", "fp64")]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        alone, together = (trained(case, world, Path(name)) for world in (1, case["ranks"]))
        import torch

        ours, theirs = (torch.load(Path(name) / f"{world}.pt") for world in (case["ranks"], 1))
    apart = max((ours[key].double() - theirs[key].double()).abs().max().item() for key in ours)
    return {
        "updates": alone["updates"],
        "weights": apart,
        "loss": abs(alone["loss"] - together["loss"]),
        "ms": [1000 * alone["seconds"], 1000 * together["seconds"]],
    }


def trained(case: dict[str, Any], world: int, folder: Path) -> dict[str, Any]:
    """What the first of `world` ranks tells."""
    command = [sys.executable, str(Path(__file__).resolve()), json.dumps(case), str(folder / f"{world}.pt")]
    meeting = {"WORLD_SIZE": str(world), "TUNESMITH_MEETING": str(folder / "meeting"), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(command, env={**os.environ, **meeting, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(world)
    ]
    said = [one.communicate()[0] for one in ranks]
    if any(one.returncode for one in ranks):
        raise RuntimeError(f"ranks ended with {[one.returncode for one in ranks]}")
    told: dict[str, Any] = json.loads(said[0].strip().splitlines()[-1])
    return told


def rank(case: dict[str, Any], file: str) -> None:
    """Trains as one of the ranks."""
    import numpy as np
    import torch

    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    torch.set_num_threads(1)
    draws = np.random.default_rng(0)
    size = (1, 16, 16) if case["net"] == "cnn" else (32,)
    rows = draws.normal(size=(ROWS, *size)).astype(np.float32)
    labels = (rows.reshape(ROWS, -1)[:, :8].sum(1) + draws.normal(size=ROWS) > 0).astype(np.int64)
    task = ts.Task(lambda: net(case["net"]), train=(rows, labels), val=(rows[:128], labels[:128]), kind="binary")
    recipe = {
        "optim.name": "adamw", "optim.lr": 1e-3, "optim.clip_norm": 0.5, "train.ema": 0.99, "train.accumulate": 2,
        "train.batch_size": BATCH, "train.epochs": 4, "train.precision": case["precision"], "train.device": "cpu",
        "data.scale": "none", "eval.bootstrap": 0, "run.watch": False, "schedule.name": "constant", "train.patience": None,
    }  # fmt: skip
    run = ts.fit(task, recipe, display=QuietDisplay())
    seen = run.evaluations
    updates = seen[1]["step"] - seen[0]["step"]
    told = {"updates": seen[-1]["step"], "loss": seen[-1]["val_loss"], "seconds": seen[1]["seconds"] / updates}
    if os.environ["RANK"] == "0":
        torch.save(run.model.state_dict(), file)
        print(json.dumps(told))


def net(name: str) -> Any:
    from torch import nn

    width = NETS[name]
    if name == "cnn":
        layers = nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, stride=2), nn.ReLU()
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 2))
    drop = [nn.Dropout(0.3)] if name == "dropout" else []
    return nn.Sequential(
        nn.Linear(32, width), nn.ReLU(), *drop, nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
    )


def table(rows: list[dict[str, Any]]) -> str:
    made = []
    for row in rows:
        case, told = row["case"], row["measured"]
        alone, together = told["ms"]
        made.append(
            [
                case["net"],
                case["precision"],
                str(case["ranks"]),
                str(told["updates"]),
                f"{told['weights']:.1e}",
                f"{told['loss']:.1e}",
                f"{alone:.1f}",
                f"{together:.1f}",
                f"{together / alone:.2f}",
            ]
        )
    return markdown(SAID, made)


if __name__ == "__main__":
    rank(json.loads(sys.argv[1]), sys.argv[2])
