"""What a training loop costs: process CPU time of a step, against a loop written out by hand.

Two tasks on scikit-learn's digits: an MLP 64-64-10 with batches of 32, and two convolutions with batches of 64 (pictures made
28 by 28). Every trainer trains the same model with AdamW on the same rows, shuffled anew each epoch. The model stamps the clock
at every training forward; a step is the time between stamps, so that imports and set-up stay outside, and the end of an epoch,
checkpoints and logs inside; the first 30 steps are left out. One process, one thread, alternating pairs: base and row one after
the other, the ratio pair by pair; the table has its median and range.

`base` is a `DataLoader` loop by hand with clipping by norm, an average of the weights (decay 0.999) and a cosine schedule;
`bare` is the same loop without the three, `bare, sliced` slices shuffled tensors. Ours has clipping, average, schedule, the log in
a run folder, checkpoints and all checks on. The others are as they come: what they do by default, and no clipping, average or
schedule where the default has none; `lean` has progress, logs and checkpoints switched off. `accuracy` of the training rows
afterwards shows that the work was done.

Bars: ours through a `DataLoader` 1.05 on both tasks, in memory 0.75 on the MLP and 1.02 on the CNN.
"""

import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tables import by_case, markdown
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tunesmith.training.guards import Guard

PAIRS, WARM, RATE, DECAY, NORM, AVERAGE = 7, 30, 1e-3, 1e-2, 1.0, 0.999
BATCH, EPOCHS = {"mlp": 32, "cnn": 64}, {"mlp": 15, "cnn": 5}
BARS = {
    ("ours, DataLoader", "mlp"): 1.05,
    ("ours, DataLoader", "cnn"): 1.05,
    ("ours, in memory", "mlp"): 0.75,
    ("ours, in memory", "cnn"): 1.02,
}


def cases() -> list[dict[str, Any]]:
    ours = ("ours, DataLoader", "ours, in memory")
    to_base = [{"task": task, "row": row, "against": "base"} for task in BATCH for row in ROWS if row != "base"]
    to_bare = [{"task": task, "row": row, "against": "bare"} for task in BATCH for row in ours]
    return [case | {"env": "training", "pairs": PAIRS} for case in to_base + to_bare]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(1)
    row, base = ROWS[case["row"]], ROWS[case["against"]]
    timed(row, case["task"])  # imports and caches
    ratios, rows, bases = [], [], []
    for pair in range(case["pairs"]):
        first, second = (row, base) if pair % 2 else (base, row)
        one, other = timed(first, case["task"]), timed(second, case["task"])
        mine, theirs = (one, other) if pair % 2 else (other, one)
        ratios.append(mine["cpu"] / theirs["cpu"])
        rows.append(mine)
        bases.append(theirs)
    return {
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "wall ratio": statistics.median(a["wall"] / b["wall"] for a, b in zip(rows, bases, strict=True)),
        "row us": statistics.median(each["cpu"] for each in rows),
        "base us": statistics.median(each["cpu"] for each in bases),
        "steps": rows[0]["steps"],
        "base steps": bases[0]["steps"],
        "accuracy": statistics.median(each["accuracy"] for each in rows),
        "base accuracy": statistics.median(each["accuracy"] for each in bases),
    }


class Clock:
    """The times of the training forwards of one training."""

    def __init__(self) -> None:
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def stamp(self) -> None:
        self.cpu.append(time.process_time())
        self.wall.append(time.perf_counter())


CLOCK = Clock()


class Stamped(nn.Sequential):
    """A net that stamps the clock when it is trained."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            CLOCK.stamp()
        return super().forward(x)


def timed(row: Callable[[str], nn.Module], task: str) -> dict[str, float]:
    """One training: microseconds of a step, CPU and wall, and what the model has learnt."""
    CLOCK.cpu, CLOCK.wall = [], []
    torch.manual_seed(0)
    model = row(task)
    count = len(CLOCK.cpu)
    steps = count - 1 - WARM
    if steps < 1:
        raise RuntimeError(f"{count} steps are too few: the first {WARM} are left out")
    cpu, wall = CLOCK.cpu[-1] - CLOCK.cpu[WARM], CLOCK.wall[-1] - CLOCK.wall[WARM]
    return {"cpu": 1e6 * cpu / steps, "wall": 1e6 * wall / steps, "steps": count, "accuracy": accuracy(model, task)}


def net(task: str) -> Stamped:
    torch.manual_seed(0)
    if task == "mlp":
        return Stamped(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    first = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return Stamped(*first, *second, nn.Flatten(), nn.Linear(16 * 7 * 7, 10))


_HELD: dict[str, tuple[Tensor, Tensor]] = {}


def digits(task: str) -> tuple[Tensor, Tensor]:
    """1797 digits of 8 by 8 as rows of 64, or as pictures of 28 by 28, in [0, 1]."""
    if task not in _HELD:
        from sklearn.datasets import load_digits

        found = load_digits()
        inputs = torch.from_numpy((found.images / 16).astype(np.float32))
        if task == "mlp":
            inputs = inputs.flatten(1)
        else:
            inputs = nn.functional.interpolate(inputs[:, None], size=(28, 28), mode="bilinear", align_corners=False)
        _HELD[task] = inputs, torch.from_numpy(found.target.astype(np.int64))
    return _HELD[task]


def loader(task: str) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*digits(task)), batch_size=BATCH[task], shuffle=True)


def adamw(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)


@torch.no_grad()
def accuracy(model: nn.Module, task: str) -> float:
    inputs, labels = digits(task)
    return (model.eval()(inputs).argmax(1) == labels).float().mean().item()


def base(task: str) -> nn.Module:
    """What a careful person writes by hand."""
    model, batches, loss_of = net(task), loader(task), nn.CrossEntropyLoss()
    optimizer = adamw(model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS[task] * len(batches))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE))
    model.train()
    for _ in range(EPOCHS[task]):
        total = torch.zeros(())
        for inputs, labels in batches:
            optimizer.zero_grad()
            loss = loss_of(model(inputs), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), NORM)
            optimizer.step()
            schedule.step()
            average.update_parameters(model)
            total += loss.detach()
    return model


def bare(task: str) -> nn.Module:
    """The shortest loop over a `DataLoader`."""
    model, batches, loss_of = net(task), loader(task), nn.CrossEntropyLoss()
    optimizer = adamw(model.parameters())
    model.train()
    for _ in range(EPOCHS[task]):
        total = torch.zeros(())
        for inputs, labels in batches:
            optimizer.zero_grad()
            loss = loss_of(model(inputs), labels)
            loss.backward()
            optimizer.step()
            total += loss.detach()
    return model


def sliced(task: str) -> nn.Module:
    """The shortest loop over tensors in memory."""
    model, (inputs, labels), loss_of = net(task), digits(task), nn.CrossEntropyLoss()
    optimizer = adamw(model.parameters())
    model.train()
    for _ in range(EPOCHS[task]):
        total = torch.zeros(())
        order = torch.randperm(len(inputs))
        for batch in order.split(BATCH[task]):
            optimizer.zero_grad()
            loss = loss_of(model(inputs[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.detach()
    return model


def ours(task: str, train: Any) -> nn.Module:
    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    recipe = {
        "train.epochs": EPOCHS[task],
        "train.batch_size": BATCH[task],
        "train.ema": AVERAGE,
        "optim.name": "adamw",
        "optim.lr": RATE,
        "optim.weight_decay": DECAY,
        "optim.clip_norm": NORM,
        "schedule.name": "cosine",
        "data.val": 0.0,
        "data.test": 0.0,
        "eval.bootstrap": 0,
    }
    trained = Trained(EPOCHS[task])
    with tempfile.TemporaryDirectory() as folder:
        ts.fit(
            ts.Task(net(task), train=train), recipe, folder=f"{folder}/run", display=QuietDisplay(), guards=[trained]
        )
    return trained.model


class Trained(Guard):
    """Keeps the model as it was trained: the run ends on the average of its weights, the other rows do not."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.model: nn.Module = nn.Identity()

    def after_evaluation(self, state: Any, row: Any) -> None:
        if state.epoch == self.epochs:
            self.model = copy.deepcopy(state.model)


def ours_loader(task: str) -> nn.Module:
    return ours(task, loader(task))


def ours_memory(task: str) -> nn.Module:
    inputs, labels = digits(task)
    return ours(task, (inputs, labels))


def lightning(task: str, *, lean: bool = False) -> nn.Module:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = net(task)
            self.loss_of = nn.CrossEntropyLoss()

        def training_step(self, batch: Any, number: int) -> Tensor:
            loss = self.loss_of(self.model(batch[0]), batch[1])
            if not lean:
                self.log("train_loss", loss, prog_bar=True)
            return loss

        def configure_optimizers(self) -> Any:
            return adamw(self.parameters())

    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    settings: dict[str, Any] = dict.fromkeys(off, False) if lean else {}
    module = Module()
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(max_epochs=EPOCHS[task], accelerator="cpu", default_root_dir=folder, **settings)
        trainer.fit(module, loader(task))
    return module.model


def lightning_lean(task: str) -> nn.Module:
    return lightning(task, lean=True)


def accelerate(task: str) -> nn.Module:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model, loss_of = net(task), nn.CrossEntropyLoss()
    prepared, optimizer, batches = accelerator.prepare(model, adamw(model.parameters()), loader(task))
    prepared.train()
    for _ in range(EPOCHS[task]):
        total = torch.zeros(())
        for inputs, labels in batches:
            optimizer.zero_grad()
            loss = loss_of(prepared(inputs), labels)
            accelerator.backward(loss)
            optimizer.step()
            total += loss.detach()
    return model


def skorch(task: str) -> nn.Module:
    from skorch import NeuralNetClassifier

    net_of = NeuralNetClassifier(
        net(task),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        lr=RATE,
        optimizer__weight_decay=DECAY,
        batch_size=BATCH[task],
        max_epochs=EPOCHS[task],
        iterator_train__shuffle=True,
        train_split=None,  # every row trains on all digits
    )
    return net_of.fit(*digits(task)).module_


class Named(Dataset[Any]):
    """Rows as the Transformers Trainer names them."""

    def __init__(self, task: str) -> None:
        self.inputs, self.labels = digits(task)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x": self.inputs[index], "labels": self.labels[index]}


class WithLoss(nn.Module):
    """The model and its loss, as the Transformers Trainer wants them."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.model, self.loss_of = net(task), nn.CrossEntropyLoss()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        outputs = self.model(x)
        return {"loss": self.loss_of(outputs, labels), "logits": outputs}


def transformers(task: str, *, lean: bool = False) -> nn.Module:
    from transformers import Trainer, TrainingArguments

    off = {
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "max_grad_norm": 0.0,
        "lr_scheduler_type": "constant",
    }
    model = WithLoss(task)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH[task],
            num_train_epochs=EPOCHS[task],
            learning_rate=RATE,
            weight_decay=DECAY,
            use_cpu=True,
            report_to=[],
            **(off if lean else {}),
        )
        Trainer(model=model, args=arguments, train_dataset=Named(task)).train()
    return model.model


def transformers_lean(task: str) -> nn.Module:
    return transformers(task, lean=True)


def ignite(task: str) -> nn.Module:
    from ignite.engine import create_supervised_trainer

    model = net(task)
    create_supervised_trainer(model, adamw(model.parameters()), nn.CrossEntropyLoss()).run(
        loader(task), max_epochs=EPOCHS[task]
    )
    return model


ROWS: dict[str, Callable[[str], nn.Module]] = {
    "base": base,
    "bare": bare,
    "bare, sliced": sliced,
    "ours, DataLoader": ours_loader,
    "ours, in memory": ours_memory,
    "lightning": lightning,
    "lightning lean": lightning_lean,
    "accelerate": accelerate,
    "skorch": skorch,
    "transformers": transformers,
    "transformers lean": transformers_lean,
    "ignite": ignite,
}


def table(rows: Any) -> str:
    lines = []
    for group in by_case(rows):
        case, measured = group[-1]["case"], group[-1]["measured"]
        bar = BARS.get((case["row"], case["task"])) if case["against"] == "base" else None
        held = "" if bar is None else f"{bar} {'held' if measured['ratio'] <= bar else 'missed'}"
        ratio = f"{measured['ratio']:.2f} ({measured['lowest']:.2f} to {measured['highest']:.2f})"
        steps = f"{measured['row us']:.0f}", f"{measured['base us']:.0f}"
        learnt = f"{measured['accuracy']:.3f}", f"{measured['base accuracy']:.3f}"
        lines.append(
            [case["task"], case["row"], case["against"], ratio, held, f"{measured['wall ratio']:.2f}", *steps, *learnt]
        )
    header = [
        "task",
        "row",
        "against",
        "ratio, CPU",
        "bar",
        "ratio, wall",
        "row µs",
        "against µs",
        "accuracy",
        "against accuracy",
    ]
    return markdown(header, lines)
