"""What watching costs: a loop by hand with and without `watch`, beside what others use to look into a training.

Pairs on one thread, alternating: the same training watched and not watched, one after the other in one process; the ratio pair by pair,
of seconds of the processor (of the wall on a GPU). The table has median and range. The trainings are those of a person: a `DataLoader` (token
windows of the transformer lie in memory), cross-entropy, AdamW; a tiny MLP (64-64-10, 32 rows), a CNN of two convolutions on 28 by 28
pictures (64 rows), a transformer of two blocks (width 64, 64 tokens, 16 rows).

`watch` writes a run folder and is told each loss; `watch, one line` is `watch(model, optimizer)` and nothing else. `every step by hand` logs
the gradient norm of each parameter at each step and nothing more, as many loops do. `lightning monitors` adds `LearningRateMonitor`,
`DeviceStatsMonitor` and the gradient norms of `grad_norm` at each step to a Lightning trainer without any, with its CSV logger in both;
`cockpit` (cockpit-for-pytorch 1.0.2 over backpack-for-pytorch 1.7.1) tracks its "economy" configuration at every 10th step, its usual interval.

`peak MB` is what the watched process held at most beyond the other, in processes of their own. `share` is what the watch says of itself.

Bars: `watch` 1.05 on the CNN and the transformer, 1.15 on the MLP.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tables import by_case, markdown
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

PAIRS, RATE = 9, 1e-3
STEPS = {"mlp": 12_000, "cnn": 1_000, "transformer": 400}
BARS = {("watch", "mlp"): 1.15, ("watch", "cnn"): 1.05, ("watch", "transformer"): 1.05}
TASKS = tuple(STEPS)
WIDTH, TOKENS, LETTERS = 64, 64, 96


def cases() -> list[dict[str, Any]]:
    own = [{"task": task, "row": row, "env": "training"} for task in TASKS for row in OURS]
    peers = [{"task": task, "row": "lightning monitors", "env": "training"} for task in TASKS]
    cockpits = [{"task": task, "row": "cockpit", "env": "cockpit"} for task in ("mlp", "cnn")]
    return [case | {"pairs": PAIRS, "device": "cpu"} for case in own + peers + cockpits]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(1)
    device, row, task = case["device"], ROWS[case["row"]], case["task"]
    base = BASES.get(case["row"], alone)
    shorter = case.get("steps", STEPS[task])
    run(base, task, device, max(50, shorter // 10))
    run(row, task, device, max(50, shorter // 10))  # imports and caches
    ratios, walls, ours, theirs, shares = [], [], [], [], []
    for pair in range(case["pairs"]):
        order = (row, base) if pair % 2 else (base, row)
        found = [run(one, task, device, shorter) for one in order]
        mine, other = (found[0], found[1]) if pair % 2 else (found[1], found[0])
        kind = "wall" if device != "cpu" else "cpu"
        ratios.append(mine[kind] / other[kind])
        walls.append(mine["wall"] / other["wall"])
        ours.append(1e6 * mine[kind] / shorter)
        theirs.append(1e6 * other[kind] / shorter)
        shares.append(mine.get("share") or 0.0)
    return {
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "wall ratio": statistics.median(walls),
        "row us": statistics.median(ours),
        "base us": statistics.median(theirs),
        "share": statistics.median(shares),
        "peak MB": peak(case["row"], task, device, shorter),
    }


def peak(row: str, task: str, device: str, steps: int) -> float:
    """Megabytes at most of a process with the row, less those of one with its base."""
    found = []
    for name in (row, "base of " + row):
        command = [sys.executable, __file__, "--peak", name, task, device, str(max(200, steps // 10))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return float(found[0] - found[1])


def run(row: Callable[..., Any], task: str, device: str, steps: int) -> dict[str, float]:
    """One training: seconds of the processor and of the wall, all that the row needs at its ends included."""
    torch.manual_seed(0)
    model, batches = net(task).to(device), feed(task, device, steps)
    _wait(device)
    cpu, wall = time.process_time(), time.perf_counter()
    told = row(model, batches, steps)
    _wait(device)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "share": told}


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


# The trainings


class Block(nn.Module):
    """One block of a small transformer, norms first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.act, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.first(x)).view(*x.shape[:2], 3, 4, WIDTH // 4).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.down(self.act(self.up(self.second(x))))


class Language(nn.Module):
    """Two blocks over letters."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.place = nn.Embedding(LETTERS, WIDTH), nn.Embedding(TOKENS, WIDTH)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, LETTERS)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1], device=x.device)
        logits: Tensor = self.head(self.norm(self.blocks(self.table(x) + self.place(places))))
        return logits.transpose(1, 2)


def net(task: str) -> nn.Module:
    torch.manual_seed(0)
    if task == "mlp":
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    if task == "transformer":
        return Language()
    first = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16 * 7 * 7, 10))


def feed(task: str, device: str, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches, as many as wanted."""
    if task == "transformer":
        text = torch.from_numpy(np.frombuffer(__doc__.encode() * 40, np.uint8).copy()).long() % LETTERS
        for _ in range(steps):
            at = torch.randint(len(text) - TOKENS - 1, (16,))
            rows = torch.stack([text[i : i + TOKENS + 1] for i in at.tolist()]).to(device)
            yield rows[:, :-1], rows[:, 1:]
        return
    from sklearn.datasets import load_digits

    found = load_digits()
    inputs, labels = torch.from_numpy((found.images / 16).astype(np.float32)), torch.from_numpy(found.target).long()
    if task == "mlp":
        inputs = inputs.flatten(1)
    else:
        inputs = nn.functional.interpolate(inputs[:, None], size=(28, 28), mode="bilinear", align_corners=False)
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=32 if task == "mlp" else 64, shuffle=True)
    left = steps
    while True:
        for x, y in loader:
            if not left:
                return
            left -= 1
            yield x.to(device), y.to(device)


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=RATE)


def alone(model: nn.Module, batches: Iterator[Any], steps: int) -> None:
    optimizer, loss_of = adamw(model), nn.CrossEntropyLoss()
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()


def watched(model: nn.Module, batches: Iterator[Any], steps: int) -> float:
    import tunesmith as ts

    optimizer, loss_of = adamw(model), nn.CrossEntropyLoss()
    with tempfile.TemporaryDirectory() as folder, ts.watch(model, optimizer, folder=f"{folder}/run", quiet=True) as on:
        for x, y in batches:
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
            on.step(loss)
        share: float = on.watcher.budget.share
    return share


def one_line(model: nn.Module, batches: Iterator[Any], steps: int) -> float:
    import tunesmith as ts

    optimizer = adamw(model)
    with ts.watch(model, optimizer, quiet=True) as on:
        loss_of = nn.CrossEntropyLoss()
        for x, y in batches:
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
        share: float = on.watcher.budget.share
    return share


def by_hand(model: nn.Module, batches: Iterator[Any], steps: int) -> None:
    optimizer, loss_of = adamw(model), nn.CrossEntropyLoss()
    log = []
    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        log.append({name: one.grad.norm().item() for name, one in model.named_parameters() if one.grad is not None})
        log[-1]["loss"] = loss.item()
        optimizer.step()


def lightning(model: nn.Module, batches: Iterator[Any], steps: int, *, monitors: bool = False) -> None:
    import lightning
    from lightning.pytorch.callbacks import DeviceStatsMonitor, LearningRateMonitor
    from lightning.pytorch.loggers import CSVLogger
    from lightning.pytorch.utilities import grad_norm

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.loss_of = model, nn.CrossEntropyLoss()

        def training_step(self, batch: Any, number: int) -> Tensor:
            loss: Tensor = self.loss_of(self.model(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return adamw(self.model)

        if monitors:

            def on_before_optimizer_step(self, optimizer: Any) -> None:
                self.log_dict(grad_norm(self.model, norm_type=2))

    class Batches(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return batches

    with tempfile.TemporaryDirectory() as folder:
        callbacks = [LearningRateMonitor("step"), DeviceStatsMonitor()] if monitors else []
        trainer = lightning.Trainer(
            max_steps=steps,
            max_epochs=1,
            accelerator="cpu" if next(model.parameters()).device.type == "cpu" else "gpu",
            default_root_dir=folder,
            logger=CSVLogger(folder),
            callbacks=callbacks,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Module(), DataLoader(Batches(), batch_size=None))


def lightning_monitors(model: nn.Module, batches: Iterator[Any], steps: int) -> None:
    lightning(model, batches, steps, monitors=True)


def cockpit(model: nn.Module, batches: Iterator[Any], steps: int) -> None:
    from backpack import extend
    from cockpit import Cockpit
    from cockpit.utils.configuration import configuration

    model, loss_of = extend(model), extend(nn.CrossEntropyLoss())
    single = extend(nn.CrossEntropyLoss(reduction="none"))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    quantities = configuration("economy", track_schedule=lambda step: step % 10 == 0)
    pit = Cockpit(model.parameters(), quantities=quantities)
    for step, (x, y) in enumerate(batches):
        optimizer.zero_grad()
        outputs = model(x)
        loss, losses = loss_of(outputs, y), single(outputs, y)
        told = {"batch_size": len(x), "individual_losses": losses, "loss": loss, "optimizer": optimizer}
        with pit(step, info=told):
            loss.backward(create_graph=pit.create_graph(step))
        optimizer.step()


def cockpit_base(model: nn.Module, batches: Iterator[Any], steps: int) -> None:
    optimizer, loss_of = torch.optim.SGD(model.parameters(), lr=RATE), nn.CrossEntropyLoss()
    for x, y in batches:
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        optimizer.step()


OURS: dict[str, Callable[..., Any]] = {"watch": watched, "watch, one line": one_line, "every step by hand": by_hand}
ROWS = OURS | {"lightning monitors": lightning_monitors, "cockpit": cockpit}
BASES: dict[str, Callable[..., Any]] = {"lightning monitors": lightning, "cockpit": cockpit_base}


def table(rows: Any) -> str:
    lines = []
    for group in by_case(rows):
        case, measured = group[-1]["case"], group[-1]["measured"]
        bar = BARS.get((case["row"], case["task"]))
        held = "" if bar is None else f"{bar} {'held' if measured['ratio'] <= bar else 'missed'}"
        ratio = f"{measured['ratio']:.3f} ({measured['lowest']:.3f} to {measured['highest']:.3f})"
        times = [f"{measured[name]:.0f}" for name in ("row us", "base us")]
        share = f"{measured['share']:.3f}" if measured["share"] else ""
        last = [f"{measured['wall ratio']:.3f}", share, f"{measured['peak MB']:.1f}"]
        lines.append([case["device"], case["task"], case["row"], ratio, held, *times, *last])
    header = ["device", "task", "row", "ratio", "bar", "µs a step", "without", "ratio, wall", "share", "peak MB"]
    return markdown(header, lines)


def main() -> None:
    """The most that a process holds with a row; or, with `--quick`, its ratio in a few short pairs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peak", nargs=4)
    parser.add_argument("--quick", nargs=2)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    if asked.peak:
        name, task, device, steps = asked.peak
        based = name.startswith("base of ")
        name = name.removeprefix("base of ")
        torch.set_num_threads(1)
        if name in OURS:
            pass
        run(BASES.get(name, alone) if based else ROWS[name], task, device, int(steps))
        if device != "cpu":
            print(torch.cuda.max_memory_allocated() / 2**20)
        else:
            told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            print(int(told["VmHWM"].split()[0]) / 2**10)  # ru_maxrss is at first that of the process it came from
    else:
        row, task = asked.quick
        case = {"row": row, "task": task, "device": asked.device, "pairs": asked.pairs}
        print(json.dumps(measure(case | ({"steps": asked.steps} if asked.steps else {})), indent=1))


if __name__ == "__main__":
    main()
