"""A small training of embeddings, slowed down where a test wants to kill it: `python embedding_target.py FOLDER new|resume [slow]`."""

import os
import sys
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor, nn

import tunesmith as ts
from tunesmith.generative.embedding import looks
from tunesmith.reports import QuietDisplay
from tunesmith.training import checkpoint

torch.set_num_threads(1)
STEPS = 60
RECIPE = {
    "train.steps": STEPS,
    "train.batch_size": 32,
    "optim.lr": 3e-3,
    "optim.clip_norm": 5.0,
    "schedule.warmup": 5,
    "eval.every": 15,
    "run.save_every": 7,
}


def encoder() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 16))


def rows(count: int = 500, seed: int = 0) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def task(**rules: Any) -> ts.Embedding:
    return ts.Embedding(**{"encoder": encoder, "data": rows(), "rule": "byol", "width": 8, **rules})


def slowed() -> None:
    """Longer looks and checkpoint writes, so that a kill falls into them often."""
    looking, writing = looks.EmbeddingSight.__call__, checkpoint._write

    def slow_look(*about: Any) -> Any:
        time.sleep(0.05)
        return looking(*about)

    def slow_write(*about: Any) -> None:
        writing(*about)
        time.sleep(0.005)

    looks.EmbeddingSight.__call__ = slow_look
    checkpoint._write = slow_write


def train(folder: str | None, resume: bool, **more: Any) -> Any:
    return ts.train_embedding(task(), RECIPE, folder=folder, resume=resume, display=QuietDisplay(), **more)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        slowed()
    print("started", flush=True)
    train(sys.argv[1], sys.argv[2] == "resume")
    print("finished", flush=True)
