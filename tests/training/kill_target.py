"""A training with everything on, slowed down where a test wants to kill it: `python kill_target.py FOLDER [resume]`."""

import os
import sys
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

import tunesmith as ts
from tunesmith.reports import QuietDisplay
from tunesmith.training import checkpoint, judge

torch.set_num_threads(1)
STEPS = 12 * 5


def data() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(310, 6)).astype(np.float32)
    return inputs, (inputs[:, 0] + 0.5 * generator.normal(size=310) > 0.3).astype(np.int64)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.BatchNorm1d(16), nn.Linear(16, 2))


def slowed() -> None:
    """Longer evaluations and checkpoint writes, so that a kill falls into them often."""
    evaluating, writing = judge.evaluate, checkpoint._write

    def slow_evaluation(*about: Any, **more: Any) -> Any:
        time.sleep(0.02)
        return evaluating(*about, **more)

    def slow_write(*about: Any) -> None:
        writing(*about)
        time.sleep(0.003)

    judge.evaluate = slow_evaluation
    checkpoint._write = slow_write


def train(folder: str | None, resume: bool) -> Any:
    inputs, labels = data()
    recipe = {
        "train.epochs": 5,
        "train.batch_size": 8,
        "train.accumulate": 3,
        "data.sampler": "balanced",
        "data.per_class": 4,
        "train.ema": 0.9,
        "schedule.warmup": 10,
        "optim.clip_norm": 1.0,
        "run.save_every": 7,
        "eval.bootstrap": 0,
    }
    return ts.fit(ts.Task(model, train=(inputs, labels)), recipe, folder=folder, resume=resume, display=QuietDisplay())


if __name__ == "__main__":
    if len(sys.argv) > 3:
        slowed()
    print("started", flush=True)
    train(sys.argv[1], sys.argv[2] == "resume")
    print("finished", flush=True)
