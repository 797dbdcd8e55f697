"""A training with a row that throws it off: `python recovery_target.py FOLDER resume|kill SAVE_EVERY`.

`kill` ends it in the middle of its recovery.
"""

import os
import signal
import sys
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

import tunesmith as ts
from tunesmith.records.state import State
from tunesmith.reports import QuietDisplay
from tunesmith.training.guards import Action, Guard, Measured

torch.set_num_threads(1)
ROWS, WILD = 1200, 777.0  # the wild row is known by its first column


def data(wild: bool = True) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(ROWS, 6)).astype(np.float32)
    target = (np.tanh(inputs[:, 0]) + 0.5 * inputs[:, 1] * inputs[:, 2]).astype(np.float32)
    target += 0.1 * generator.normal(size=ROWS).astype(np.float32)
    if wild:
        target[700] = WILD
    return inputs, target


def held() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(1)
    inputs = generator.normal(size=(400, 6)).astype(np.float32)
    return inputs, (np.tanh(inputs[:, 0]) + 0.5 * inputs[:, 1] * inputs[:, 2]).astype(np.float32)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Dropout(0.02), nn.Linear(32, 1))


def train(
    folder: Any = None,
    resume: bool = False,
    wild: bool = True,
    recipe: Any = None,
    guards: Any = (),
    model: Any = None,
    schedule: Any = None,
) -> Any:
    chosen = {
        "train.epochs": 2,
        "train.batch_size": 8,
        "optim.name": "sgd",
        "optim.lr": 0.03,
        "schedule.name": "constant",
        "data.scale_target": "none",
        "data.scale": "none",
        "train.snapshot_every": 40,
        "train.patience": None,
        "eval.bootstrap": 0,
        "run.watch": False,
        **(recipe or {}),
    }
    about = {"kind": "regression", "loss": nn.MSELoss(), "schedule": schedule}
    task = ts.Task(model or (lambda: net()), train=data(wild), val=held(), **about)
    return ts.fit(task, chosen, folder=folder, resume=resume, display=QuietDisplay(), guards=guards)


class Killed(Guard):
    """Ends the process without a word, some updates after it went back."""

    highest = 0

    def after_step(self, state: State, measured: Measured) -> Action | None:
        if state.step < self.highest - 3:
            os.kill(os.getpid(), signal.SIGKILL)
        self.highest = max(self.highest, state.step)
        return None


if __name__ == "__main__":
    word = sys.argv[2]
    every = {"train.skips": 0, "run.save_every": None if sys.argv[3] == "none" else int(sys.argv[3])}
    train(sys.argv[1], word == "resume", recipe=every, guards=[Killed()] if word == "kill" else [])
    print("finished", flush=True)
