"""Resume: is a run that was cut short and went on the run that was not?

`tunesmith`: a training with dropout, batch norm, a balanced sampler, accumulation, an average of the weights, warm-up and clipping,
once straight, and twenty times killed with `kill -9` at a random moment of its wall time and resumed by the same call in a fresh
process. `tensors` compares the whole last checkpoint (weights, average, optimizer, random generators, counters) with
`torch.equal`, `signals` every logged value and evaluation. Evaluations and checkpoint writes are slowed down by a few
milliseconds, so that kills fall into each of them; the process says on a pipe what it is at, and the table counts it.

The others train an MLP with dropout on shuffled digits, same seed in every process: four epochs straight, twice (does the seed
repeat the run?), and stopped after a checkpoint in the middle of the second epoch and resumed in a fresh process. They choose
their moment: none of them is killed. skorch writes checkpoints between epochs alone, so it is stopped there.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tables import markdown

ROUNDS, KILLS = 4, 5  # kills a round, all against one straight run
PEERS = ("lightning", "accelerate", "accelerate seedable", "transformers", "skorch")
EPOCHS, BATCHES = 4, 16  # of the peers
STOP = BATCHES + BATCHES // 2
PHASES = {b"t": "epoch", b"e": "evaluation", b"c": "checkpoint write"}


def cases() -> list[dict[str, Any]]:
    ours = [{"row": "tunesmith", "seed": seed, "kills": KILLS, "env": "training"} for seed in range(ROUNDS)]
    return ours + [{"row": peer, "env": "training"} for peer in PEERS]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        if case["row"] == "tunesmith":
            return killed_often(case, Path(folder))
        return stopped_and_resumed(case["row"], Path(folder))


def killed_often(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Several runs, each killed once and resumed, against one that was left alone."""
    _, seconds, _ = child("ours", folder / "straight", "new")
    moments, whole = random.Random(case["seed"]), left_by(folder / "straight")
    return {
        "kills": [killed_and_resumed(folder / f"run-{kill}", whole, moments, seconds) for kill in range(case["kills"])]
    }


def killed_and_resumed(folder: Path, whole: dict[str, Any], moments: random.Random, seconds: float) -> dict[str, Any]:
    from tunesmith.training.checkpoint import Checkpoints

    code, phase = 0, ""
    while code == 0 or not (folder / "run.json").exists():  # killed before there was a run, or not at all: once more
        shutil.rmtree(folder, ignore_errors=True)
        code, _, phase = child("ours", folder, "new", kill_after=moments.uniform(0.0, 1.0) * seconds)
    steps = Checkpoints(folder / "checkpoints").steps() if (folder / "checkpoints").exists() else []
    child("ours", folder, "resume")
    mine = left_by(folder)
    return {
        "in": phase,
        "from step": max(steps, default=0),
        "tensors": same(mine["snapshot"], whole["snapshot"]),
        "signals": same(mine["signals"], whole["signals"]) and same(mine["evaluations"], whole["evaluations"]),
        "scores": same(mine["scores"], whole["scores"]),
    }


def child(what: str, folder: Path, word: str, kill_after: float | None = None) -> tuple[int, float, str]:
    """A training in a process of its own: exit code (0 where it ended by itself), seconds of training, and what it was at."""
    reading, writing = os.pipe()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PHASE": str(writing)}
    command = [sys.executable, __file__, what, str(folder), word]
    process = subprocess.Popen(
        command, env=environment, pass_fds=[writing], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert os.read(reading, 1) == b"s", (process.communicate()[1] or b"").decode()[-500:]  # imports are done
    began = time.monotonic()
    if kill_after is not None:
        time.sleep(kill_after)
        process.kill()
    seen = b""
    while piece := os.read(reading, 4096):
        seen += piece
    seconds = time.monotonic() - began
    os.close(reading)
    said = process.communicate()[1]
    if process.returncode > 0:
        raise RuntimeError(said.decode()[-500:])
    return process.returncode, seconds, PHASES.get(seen[-1:], "the start, before an update")


def left_by(folder: Path) -> dict[str, Any]:
    """Everything a run leaves, but the readings of clock and memory."""
    from tunesmith.runs import Run
    from tunesmith.training.checkpoint import Checkpoints

    run = Run(folder)
    snapshot, _ = Checkpoints(folder / "checkpoints").read("last")
    measured = ("seconds", "memory_mb", "eta_seconds", "time")
    rows = [{key: value for key, value in row.items() if key not in measured} for row in run.evaluations]
    signals = {key: run.signals.read(*key) for key in run.signals.names()}
    return {"snapshot": snapshot, "signals": signals, "evaluations": rows, "scores": run.scores}


def same(one: Any, other: Any) -> bool:
    """Bit for bit; NaN is NaN."""
    if hasattr(one, "detach"):
        import torch

        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (one != one and other != other)


def train_ours(folder: str, word: str) -> None:
    import torch
    from torch import nn

    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(400, 8)).astype(np.float32)
    labels = (inputs[:, 0] + 0.5 * draw.normal(size=400) > 0.3).astype(np.int64)
    recipe = {
        "train.epochs": 6,
        "train.batch_size": 8,
        "train.accumulate": 3,
        "train.ema": 0.9,
        "data.sampler": "balanced",
        "data.per_class": 4,
        "schedule.warmup": 10,
        "optim.clip_norm": 1.0,
        "run.save_every": 7,
        "eval.every": 9,
        "eval.bootstrap": 0,
    }

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.3), nn.BatchNorm1d(16), nn.Linear(16, 2))

    say = announced()
    say(b"s")
    ts.fit(
        ts.Task(model, train=(inputs, labels)), recipe, folder=folder, resume=word == "resume", display=QuietDisplay()
    )


def announced() -> Callable[[bytes], None]:
    """Makes the process say what it is at, and take its time there."""
    from tunesmith.training import checkpoint, judge, update

    pipe = int(os.environ["PHASE"])

    def say(word: bytes) -> None:
        os.write(pipe, word)

    def within(word: bytes, seconds: float, call: Callable[..., Any], after: bytes) -> Callable[..., Any]:
        def slower(*given: Any, **more: Any) -> Any:
            say(word)
            time.sleep(seconds / 2)
            result = call(*given, **more)
            time.sleep(seconds / 2)
            say(after)
            return result

        return slower

    judge.evaluate = within(b"e", 0.2, judge.evaluate, b"t")
    checkpoint._write = within(b"c", 0.008, checkpoint._write, b"c")
    checkpoint.Checkpoints.write = within(b"c", 0.0, checkpoint.Checkpoints.write, b"t")
    update.Update.__call__ = within(b"t", 0.015, update.Update.__call__, b"t")
    return say


def stopped_and_resumed(row: str, folder: Path) -> dict[str, Any]:
    """Each part in a process of its own."""
    import torch

    weights = {}
    for part in ("straight", "again", "first", "resumed"):
        file = folder / f"{part}.pt"
        subprocess.run(
            [sys.executable, __file__, "peer", row, part, str(folder), str(file)], check=True, capture_output=True
        )
        weights[part] = torch.load(file)
    whole, resumed = weights["straight"], weights["resumed"]
    return {
        "stopped": "between epochs" if row == "skorch" else "inside an epoch",
        "same seed repeats": torch.equal(whole, weights["again"]),
        "tensors": torch.equal(whole, resumed),
        "difference": ((whole - resumed).norm() / whole.norm()).item(),
    }


def train_peer(row: str, part: str, folder: Path, file: str) -> None:
    import torch
    from sklearn.datasets import load_digits
    from torch import nn

    torch.set_num_threads(1)
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    found = load_digits()
    inputs = torch.from_numpy((found.data / 16).astype(np.float32))[: 32 * BATCHES]
    labels = torch.from_numpy(found.target.astype(np.int64))[: 32 * BATCHES]
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 10))
    trained = {"lightning": lightning, "transformers": transformers, "skorch": skorch}.get(row, accelerate)
    trained(model, inputs, labels, part, folder, *([row.endswith("seedable")] if row.startswith("accelerate") else []))
    torch.save(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]), file)


def loader(inputs: Any, labels: Any) -> Any:
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(inputs, labels), batch_size=32, shuffle=True)


def lightning(model: Any, inputs: Any, labels: Any, part: str, folder: Path) -> None:
    import lightning
    import torch
    from lightning.pytorch.callbacks import ModelCheckpoint
    from torch.nn import functional

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, number: int) -> Any:
            return functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    saving = ModelCheckpoint(dirpath=folder / "lightning", every_n_train_steps=STOP, save_top_k=-1)
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        max_steps=STOP if part == "first" else -1,
        accelerator="cpu",
        logger=False,
        callbacks=[saving] if part == "first" else [],
        enable_checkpointing=part == "first",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    kept = str(next((folder / "lightning").glob("*.ckpt"))) if part == "resumed" else None
    trainer.fit(Module(), loader(inputs, labels), ckpt_path=kept)


def accelerate(model: Any, inputs: Any, labels: Any, part: str, folder: Path, seedable: bool) -> None:
    import torch
    from accelerate import Accelerator, DataLoaderConfiguration
    from torch.nn import functional

    accelerator = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(use_seedable_sampler=seedable))
    prepared, optimizer, batches = accelerator.prepare(
        model, torch.optim.AdamW(model.parameters(), lr=1e-3), loader(inputs, labels)
    )
    step = 0
    if part == "resumed":
        accelerator.load_state(str(folder / "accelerate"))
        step = STOP
    for epoch in range(step // BATCHES, EPOCHS):
        batches.set_epoch(epoch)
        left = accelerator.skip_first_batches(batches, step % BATCHES) if step % BATCHES else batches
        for x, y in left:
            optimizer.zero_grad()
            accelerator.backward(functional.cross_entropy(prepared(x), y))
            optimizer.step()
            step += 1
            if part == "first" and step == STOP:
                accelerator.save_state(str(folder / "accelerate"))
                return


def transformers(model: Any, inputs: Any, labels: Any, part: str, folder: Path) -> None:
    from torch import nn
    from torch.nn import functional
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class WithLoss(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            outputs = self.model(x)
            return {"loss": functional.cross_entropy(outputs, labels), "logits": outputs}

    class Stop(TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **more: Any) -> None:
            if part == "first" and state.global_step == STOP:
                control.should_save = control.should_training_stop = True

    rows = [{"x": x, "labels": y} for x, y in zip(inputs, labels, strict=True)]
    arguments = TrainingArguments(
        output_dir=str(folder / "transformers"),
        per_device_train_batch_size=32,
        num_train_epochs=EPOCHS,
        learning_rate=1e-3,
        seed=0,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(model=WithLoss(), args=arguments, train_dataset=rows, callbacks=[Stop()])
    kept = str(next((folder / "transformers").glob("checkpoint-*"))) if part == "resumed" else None
    trainer.train(resume_from_checkpoint=kept)


def skorch(model: Any, inputs: Any, labels: Any, part: str, folder: Path) -> None:
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import LoadInitState, TrainEndCheckpoint
    from torch import nn

    kept = TrainEndCheckpoint(dirname=str(folder / "skorch"))
    callbacks = {"straight": [], "again": [], "first": [kept], "resumed": [kept, LoadInitState(kept)]}[part]
    net = NeuralNetClassifier(
        model,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        lr=1e-3,
        batch_size=32,
        max_epochs=EPOCHS // 2 if part in ("first", "resumed") else EPOCHS,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=callbacks,
        verbose=0,
    )
    net.fit(inputs, labels)
    model.load_state_dict(net.module_.state_dict())


def table(rows: Any) -> str:
    newest = {json.dumps(row["case"], sort_keys=True): row for row in rows}.values()
    mine = [kill for row in newest if row["case"]["row"] == "tunesmith" for kill in row["measured"]["kills"]]
    lines = []
    for phase in sorted({each["in"] for each in mine}):
        fell = [each for each in mine if each["in"] == phase]
        counts = [f"{sum(each[what] for each in fell)} of {len(fell)}" for what in ("tensors", "signals", "scores")]
        lines.append([phase, str(len(fell)), *counts])
    totals = [f"{sum(each[what] for each in mine)} of {len(mine)}" for what in ("tensors", "signals", "scores")]
    lines.append(["all", str(len(mine)), *totals])
    others = [
        [
            row["case"]["row"],
            *(plain(row["measured"][what]) for what in ("stopped", "same seed repeats", "tensors", "difference")),
        ]
        for row in newest
        if row["case"]["row"] != "tunesmith"
    ]
    head = ["killed in", "kills", "all tensors equal", "all signals equal", "scores equal"]
    peers = ["row", "stopped", "same seed repeats", "all weights equal", "relative difference"]
    return "\n\n".join(
        ["Ours, killed with `kill -9` and resumed:", markdown(head, lines), "The others:", markdown(peers, others)]
    )


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.2g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        train_ours(sys.argv[2], sys.argv[3])
    else:
        train_peer(sys.argv[2], sys.argv[3], Path(sys.argv[4]), sys.argv[5])
