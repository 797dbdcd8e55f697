"""A small training of two players, slowed down where a test wants to kill it: `python gan_target.py FOLDER new|resume [slow]`."""

import os
import sys
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import nn

import tunesmith as ts
from tunesmith.generative import mixture, ring
from tunesmith.generative.gan import looks
from tunesmith.reports import QuietDisplay
from tunesmith.training import checkpoint

torch.set_num_threads(1)
STEPS = 60
CENTRES, SIGMA = ring(8, 2.0), 0.05
RECIPE = {
    "train.steps": STEPS,
    "train.batch_size": 32,
    "train.ema": 0.9,
    "optim.lr": 1e-3,
    "optim.clip_norm": 5.0,
    "schedule.name": "cosine",
    "schedule.warmup": 5,
    "eval.every": 15,
    "run.save_every": 7,
}


def net(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, outputs))


def players(pack: int = 1) -> dict[str, Any]:
    """Fresh nets at each training."""
    return {
        "generator": lambda: net(8, 2),
        "discriminator": lambda: nn.Sequential(nn.Linear(2 * pack, 32), nn.ReLU(), nn.Linear(32, 1)),
        "data": mixture(CENTRES, SIGMA, 800),
        "latent": 8,
        "pack": pack,
    }


def gan(**rules: Any) -> ts.Gan:
    return ts.Gan(**{**players(rules.get("pack", 1)), **rules})


def slowed() -> None:
    """Longer looks and checkpoint writes, so that a kill falls into them often."""
    looking, writing = looks.Sight.__call__, checkpoint._write

    def slow_look(*about: Any) -> Any:
        time.sleep(0.05)
        return looking(*about)

    def slow_write(*about: Any) -> None:
        writing(*about)
        time.sleep(0.005)

    looks.Sight.__call__ = slow_look
    checkpoint._write = slow_write


def train(folder: str | None, resume: bool, **more: Any) -> Any:
    played = gan(critic_steps=2, pack=2, spectral=True, unroll=1)
    return ts.train_gan(played, RECIPE, folder=folder, resume=resume, display=QuietDisplay(), **more)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        slowed()
    print("started", flush=True)
    train(sys.argv[1], sys.argv[2] == "resume")
    print("finished", flush=True)
