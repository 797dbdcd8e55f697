"""Recovery from what throws a training off: events planted in the middle of a run, with and without recovery.

Pictures of clothes (shipped with the package; 2,000 to train on, 1,000 to score by), four epochs of 63 updates, the rate falling
linearly to zero: an MLP with Adam, a convolutional net with SGD and momentum, a transformer over the rows of a picture with
AdamW. Each event strikes at a moment drawn between a third and nine tenths of the run, or with its rows in every epoch; three
seeds. The score is the accuracy of the last weights on the rows kept.

* `recovery`: `fit` as it is.
* `off`: `train.recover = "off"`.
* `clipped`: off, with gradients clipped to norm 1, the usual protection.

*Held* is a run that ends with at least 98 % of the accuracy of the run without the event; a run that was stopped is not. `worst`
is the lowest share among the seeds (of the run that was stopped: 0). `windows` counts those left out, `returns` how often the run went back.
The rows `no event` show the run without event, with recovery, beside itself with another order of the rows.
"""

import os
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tables import Row, markdown

TRAIN, HELD, BATCH, EPOCHS = 2000, 1000, 32, 4
UPDATES = EPOCHS * -(-TRAIN // BATCH)
SEEDS = (0, 1, 2)
ENOUGH = 0.98
TASKS = {
    "mlp": {"optim.name": "adam", "optim.lr": 2e-3},
    "convolutions": {"optim.name": "sgd", "optim.momentum": 0.9, "optim.lr": 0.05},
    "transformer": {"optim.name": "adamw", "optim.lr": 2e-3},
}
MODES: dict[str, dict[str, Any]] = {
    "recovery": {},
    "off": {"train.recover": "off"},
    "clipped": {"train.recover": "off", "optim.clip_norm": 1.0},
}
EVENTS = {
    "no event": "another order of the rows",
    "poisoned batch": "one batch: pixels times 300",
    "poisoned batches": "four batches in a row: pixels times 100, labels exchanged",
    "wild rows": "three rows, pixels times 1,000, in every epoch",
    "row with NaN": "one row, in every epoch",
    "row with infinity": "one row, in every epoch",
    "rate spike": "the schedule holds the rate at 300 times its value for three updates",
    "rate misread": "one update at 10,000 times the rate",
    "fp16 overflow": "a layer computed in half precision; two rows beyond its range in every epoch",
    "log of zero": "a loss of one's own, -log(p); in one batch p is 0",
    "division by zero": "a model that divides each row by its spread; two rows have none",
    "gradient NaN": "one backward pass gives NaN",
    "loss not divided": "one loss 10,000 times too large",
    "bit flip": "the exponent of one weight of the first layer: times 2 to the 32nd",
    "optimizer state lost": "second moments set to 0 (momentum: times 1,000)",
}


def cases() -> list[dict[str, Any]]:
    return [{"task": task, "event": event} for event in EVENTS for task in TASKS]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    task, event = case["task"], case["event"]
    clean = [trained(task, "no event", {}, seed)[0] for seed in SEEDS]
    measured: dict[str, Any] = {"clean": clean}
    for mode, change in MODES.items():
        if event == "no event":
            runs = [trained(task, event, change, seed + 100) for seed in SEEDS]
        else:
            runs = [trained(task, event, change, seed) for seed in SEEDS]
        measured[mode] = {
            "scores": [score for score, *_ in runs],
            "windows": sum(windows for _, windows, _, _ in runs),
            "returns": sum(returns for _, _, returns, _ in runs),
            "ended": [ended for *_, ended in runs],
        }
    return measured


def trained(task: str, event: str, change: dict[str, Any], seed: int) -> tuple[float, int, int, str]:
    """Accuracy of the last weights (0 where the run was stopped), windows left out, returns, and how it ended."""
    import torch

    import tunesmith as ts
    from tunesmith.records import TrainingFailed
    from tunesmith.reports import QuietDisplay

    moment = int(torch.randint(UPDATES // 3, round(0.9 * UPDATES), (1,), generator=torch.Generator().manual_seed(seed)))
    struck = Event(event, moment)
    train, val = rows(event)
    about: dict[str, Any] = {"loss": own_loss(struck)} if event == "log of zero" else {}
    recipe = {
        "train.seed": seed,
        "train.epochs": EPOCHS,
        "train.batch_size": BATCH,
        "schedule.name": "linear",
        "eval.metric": "accuracy",
        "eval.bootstrap": 0,
        "run.watch": False,
        **TASKS[task],
        **change,
    }
    run = None
    try:
        with struck.hooks():
            run = ts.fit(
                ts.Task(
                    lambda: struck.around(net(task)), train, val=val, test=val, schedule=struck.schedule(), **about
                ),
                recipe,
                display=QuietDisplay(),
            )
    except TrainingFailed as error:
        return 0.0, 0, 0, str(error)
    done = [row["change"] for row in run.decisions if row["what"] == "recovery"]
    windows = sum(one.get("skip", 0) + ("skipped" in one) for one in done)
    return float(run.evaluations[-1]["score"]), windows, sum("returns" in one for one in done), run.status


class Event:
    """Strikes at training pass or update `moment`, counted as they are made: once, whatever is made again."""

    def __init__(self, name: str, moment: int) -> None:
        self.name, self.moment = name, moment
        self.passes = self.steps = 0

    def around(self, inner: Any) -> Any:
        """The model, with what strikes inside it."""
        from torch import nn

        event = self

        class Struck(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, x: Any) -> Any:
                import torch

                learns = self.training and torch.is_grad_enabled()
                event.passes += learns
                return event.passed(self.inner, x, learns)

        return Struck()

    def passed(self, inner: Any, x: Any, learns: bool) -> Any:
        here = learns and self.passes == self.moment
        if self.name == "poisoned batch" and here:
            x = x * 300
        if self.name == "poisoned batches" and learns and self.moment <= self.passes < self.moment + 4:
            return inner(x * 100).flip(0)
        if self.name == "division by zero":
            x = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)
        if self.name == "fp16 overflow":
            x = (x.half() * 8).float() / 8
        outputs = inner(x)
        if self.name == "gradient NaN" and here:
            outputs.register_hook(lambda gradient: gradient * float("nan"))
        if self.name == "loss not divided" and here:
            outputs.register_hook(lambda gradient: gradient * 1e4)
        return outputs

    def schedule(self) -> Callable[[int], float] | None:
        if self.name != "rate spike":
            return None
        return lambda step: (1 - step / UPDATES) * (300.0 if self.moment <= step < self.moment + 3 else 1.0)

    def hooks(self) -> Any:
        from contextlib import ExitStack

        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        stack = ExitStack()
        for handle in (register_optimizer_step_pre_hook(self.before), register_optimizer_step_post_hook(self.after)):
            stack.callback(handle.remove)
        return stack

    def before(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self.steps += 1
        if self.steps != self.moment:
            return
        if self.name == "rate misread":
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * 1e4
        if self.name == "optimizer state lost":
            for state in optimizer.state.values():
                if "exp_avg_sq" in state:
                    state["exp_avg_sq"].zero_()
                if state.get("momentum_buffer") is not None:
                    state["momentum_buffer"].mul_(1000)

    def after(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        import torch

        if self.steps != self.moment or self.name != "bit flip":
            return
        weight = optimizer.param_groups[0]["params"][0]
        with torch.no_grad():
            weight.view(-1)[weight.numel() // 2] *= 2.0**32


def own_loss(event: Event) -> Callable[[Any, Any], Any]:
    """-log(p) by hand; at the moment the probability of the first row's label is 0."""

    def loss(outputs: Any, target: Any) -> Any:
        import torch

        chances = outputs.softmax(1)[torch.arange(len(target)), target]
        if event.passes == event.moment and torch.is_grad_enabled():
            chances = chances * (torch.arange(len(target)) > 0)
        return -chances.log().mean()

    return loss


def rows(event: str) -> Any:
    """Training and validation rows, the planted ones among those for training."""
    import torch
    from torch.utils.data import TensorDataset

    from tunesmith.testing.healthy import data

    x, y = data.drawn(*data.fashion(), TRAIN + HELD, 0)
    x = (x / 255 - 0.286) / 0.353
    train = x[:TRAIN].clone()
    places = torch.tensor([411, 1200, 1777])
    if event == "wild rows":
        train[places] *= 1000
    if event == "row with NaN":
        train[places[0], 0, 3, 3] = float("nan")
    if event == "row with infinity":
        train[places[0], 0, 3, 3] = float("inf")
    if event == "fp16 overflow":
        train[places[:2]] *= 2e4
    if event == "division by zero":
        train[places[:2]] = 0.5
    made = streamed if event.startswith("row with") else TensorDataset
    return made(train, y[:TRAIN]), made(x[TRAIN:], y[TRAIN:])


def streamed(*tensors: Any) -> Any:
    """A dataset that gives row by row: a `TensorDataset` is read as a whole, and refused where it holds a NaN."""
    from torch.utils.data import Dataset

    class Rows(Dataset):
        def __len__(self) -> int:
            return len(tensors[0])

        def __getitem__(self, row: int) -> Any:
            return tuple(tensor[row] for tensor in tensors)

    return Rows()


def net(task: str) -> Any:
    from torch import nn

    if task == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
        )
    if task == "convolutions":
        return nn.Sequential(
            nn.Conv2d(1, 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(784, 10)
        )
    return over_rows()


def over_rows() -> Any:
    import torch
    from torch import nn

    class OverRows(nn.Module):
        """A transformer that reads a picture row by row."""

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Linear(28, 32)
            self.places = nn.Parameter(0.02 * torch.randn(28, 32))
            layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
            self.net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(32, 10)

        def forward(self, x: Any) -> Any:
            return self.head(self.net(self.table(x[:, 0]) + self.places).mean(1))

    return OverRows()


def shares(measured: Any, mode: str) -> list[float]:
    return [score / clean for score, clean in zip(measured[mode]["scores"], measured["clean"], strict=True)]


def table(rows: Sequence[Row]) -> str:
    order = {event: place for place, event in enumerate(EVENTS)}
    lines, held = [], {mode: [0, 0] for mode in MODES}
    for row in sorted(rows, key=lambda row: order[row["case"]["event"]]):
        event, measured = row["case"]["event"], row["measured"]
        line = [event, EVENTS[event], row["case"]["task"], f"{median(measured['clean']):.3f}"]
        for mode in MODES:
            found = shares(measured, mode)
            kept = sum(share >= ENOUGH for share in found)
            line.append(f"{kept} of {len(found)}, worst {min(found):.3f}")
            if event != "no event":
                held[mode][0] += kept
                held[mode][1] += len(found)
        lines.append([*line, str(measured["recovery"]["windows"]), str(measured["recovery"]["returns"])])
    total = markdown(
        ["", *MODES], [["runs held, of all with an event", *(f"{kept} of {whole}" for kept, whole in held.values())]]
    )
    return total + "\n\n" + markdown(["event", "what it is", "task", "clean", *MODES, "windows", "returns"], lines)
