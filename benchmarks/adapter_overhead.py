"""What the callbacks of the watch cost in Lightning, the Transformers Trainer and skorch: process CPU time of a training with the callback
against the same one without, in alternating pairs in one process; the table has the median and range of the ratios.

Two tasks on scikit-learn's digits: an MLP 64-256-256-10 with batches of 64, and two convolutions (pictures made 28 by 28) with batches of 64;
`EPOCHS` epochs with a validation after each, AdamW, one thread. Everything between the start and the end of the fit counts: hooks, measurements,
the run folder, and the rules after each evaluation. `equal` tells that the weights are the same bit for bit.

These are short trainings, of one to two seconds: the dense looks at the start and the first calls of the rules are most of it.
The watch holds itself to a share of the *wall* time; on a machine that others use too, as this one was (ten ready processes a
core), that is more of the CPU time.
"""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tables import by_case, markdown
from torch import nn

PAIRS, ROWS, BATCH = 5, 1440, 64
EPOCHS = {"mlp": 30, "cnn": 6}
TRAINERS = ("lightning", "transformers", "skorch")


def cases() -> list[dict[str, Any]]:
    return [{"trainer": name, "task": task, "pairs": PAIRS, "env": "training"} for name in TRAINERS for task in EPOCHS]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    fit = {"lightning": lightning, "transformers": transformers, "skorch": skorch}[case["trainer"]]
    fit(case["task"], "")
    with tempfile.TemporaryDirectory() as folder:  # imports and caches
        fit(case["task"], f"{folder}/run")
    ratios, alone, watched, equal = [], [], [], True
    for pair in range(case["pairs"]):
        seconds, weights = {}, {}
        for with_watch in (False, True) if pair % 2 else (True, False):
            with tempfile.TemporaryDirectory() as folder:
                began = time.process_time()
                model = fit(case["task"], f"{folder}/run" if with_watch else "")
                seconds[with_watch] = time.process_time() - began
            weights[with_watch] = [value.clone() for value in model.state_dict().values()]
        ratios.append(seconds[True] / seconds[False])
        alone.append(seconds[False])
        watched.append(seconds[True])
        equal &= all(torch.equal(one, other) for one, other in zip(weights[True], weights[False], strict=True))
    return {
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "seconds": statistics.median(alone),
        "watched seconds": statistics.median(watched),
        "milliseconds a step": 1000 * statistics.median(alone) / (EPOCHS[case["task"]] * -(-ROWS // BATCH)),
        "equal": equal,
    }


def table(rows: Any) -> str:
    lines = []
    for group in by_case(rows):
        case, last = group[-1]["case"], group[-1]["measured"]
        lines.append(
            [
                case["trainer"],
                case["task"],
                f"{last['ratio']:.3f} ({last['lowest']:.3f} to {last['highest']:.3f})",
                f"{last['seconds']:.2f}, {last['watched seconds']:.2f}",
                f"{last['milliseconds a step']:.2f}",
                "yes" if last["equal"] else "NO",
            ]
        )
    head = ["trainer", "task", "ratio", "seconds alone, watched", "milliseconds a step", "weights equal"]
    return markdown(head, lines)


def digits(task: str) -> tuple[torch.Tensor, torch.Tensor]:
    from sklearn.datasets import load_digits

    found = load_digits()
    inputs = torch.from_numpy((found.images / 16).astype(np.float32))
    if task == "mlp":
        return inputs.flatten(1), torch.from_numpy(found.target.astype(np.int64))
    grown = nn.functional.interpolate(inputs[:, None], size=(28, 28), mode="bilinear", align_corners=False)
    return grown, torch.from_numpy(found.target.astype(np.int64))


def net(task: str) -> nn.Sequential:
    torch.manual_seed(0)
    if task == "mlp":
        return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    first = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16 * 7 * 7, 10))


def quiet(line: str) -> None:
    """Nothing is printed."""


def callbacks(module: Any, folder: str) -> list[Any]:
    return [module.WatchCallback(folder, sink=quiet)] if folder else []


def lightning(task: str, folder: str) -> nn.Module:
    import logging

    import lightning.pytorch as pl
    from torch.utils.data import DataLoader, TensorDataset

    from tunesmith.integrations import lightning as adapter

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net(task)

        def training_step(self, batch: Any, place: int) -> Any:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch: Any, place: int) -> None:
            self.log("val_loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), 1e-3)

    inputs, labels = digits(task)
    module = Module()
    torch.manual_seed(1)
    trainer = pl.Trainer(
        max_epochs=EPOCHS[task], callbacks=callbacks(adapter, folder), logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    train = DataLoader(TensorDataset(inputs[:ROWS], labels[:ROWS]), BATCH, shuffle=True)
    trainer.fit(module, train, DataLoader(TensorDataset(inputs[ROWS:], labels[ROWS:]), 360))
    return module.net


def transformers(task: str, folder: str) -> nn.Module:
    import transformers as hf

    from tunesmith.integrations import transformers as adapter

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net(task)

        def forward(self, inputs: Any, labels: Any = None) -> dict[str, Any]:
            outputs = self.net(inputs)
            return {"loss": nn.functional.cross_entropy(outputs, labels), "logits": outputs}

    inputs, labels = digits(task)
    rows = [{"inputs": one, "labels": label} for one, label in zip(inputs, labels, strict=True)]
    module = Module()
    hf.set_seed(1)
    with tempfile.TemporaryDirectory() as out:
        settings = hf.TrainingArguments(
            output_dir=out, num_train_epochs=EPOCHS[task], per_device_train_batch_size=BATCH, per_device_eval_batch_size=360,
            learning_rate=1e-3, eval_strategy="epoch", save_strategy="no", logging_strategy="no", report_to="none",
            use_cpu=True, disable_tqdm=True,
        )  # fmt: skip
        trainer = hf.Trainer(
            model=module, args=settings, train_dataset=rows[:ROWS], eval_dataset=rows[ROWS:],
            callbacks=callbacks(adapter, folder),
        )  # fmt: skip
        trainer.remove_callback(hf.PrinterCallback)
        trainer.train()
    return module.net


def skorch(task: str, folder: str) -> nn.Module:
    from skorch import NeuralNetClassifier

    from tunesmith.integrations import skorch as adapter

    inputs, labels = digits(task)
    made: Callable[[], nn.Module] = lambda: net(task)  # noqa: E731 -- skorch asks for a class or a function
    torch.manual_seed(1)
    fitted = NeuralNetClassifier(
        made, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.AdamW, lr=1e-3, max_epochs=EPOCHS[task],
        batch_size=BATCH, iterator_train__shuffle=True, verbose=0, callbacks=callbacks(adapter, folder),
    )  # fmt: skip
    fitted.fit(inputs.numpy(), labels.numpy())
    return fitted.module_
