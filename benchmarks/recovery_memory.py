"""Recovery from a lack of memory: does a run that is short of it end as the run that is not?

Memory is made to run out by hooks (`tunesmith.testing.memory_faults`): at 15 limits (1 to 15 rows at once, batches of 16), in the
forward pass, the backward pass and evaluations, each all through the run; in the first update and in the last alone; and in the
optimizer's own step, after it has spoilt a weight, at 15 moments of the run. Six models, in single and in double precision, and
one with batch norm, whose statistics come from the parts: there another result is expected, and told by a finding.

Batch norm refuses parts of one row: those runs end with the reason. Its distances count the buffers too (the count of batches). The last
update of an epoch has six rows, so that limits of six and more are not met there.

`met` counts the runs in which memory did run out, `ended` those that reached their last update, `bits` those whose weights are bit
for bit the ones of the run left alone, `weights` is the largest relative distance of all weights at the end, and `score` the largest
difference of the validation loss. In single precision rounding is carried on from update to update, so `one update` shows
beside it the distance after the first one.

`halved batch`: the rule of `accelerate.find_executable_batch_size` written out (the training begins again with half the batch
until it fits), at a limit of 8 rows: the distance to the training that was asked for.
"""

import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tables import Row, markdown

ROWS, HELD, BATCH, EPOCHS = 150, 60, 16, 2
UPDATES = EPOCHS * -(-ROWS // BATCH)
LIMITS = tuple(range(1, BATCH))
PLACES = ("forward", "backward", "evaluation", "first update", "last update", "optimizer step")
MODELS = ("mlp", "mlp, dropout", "noise, residual", "convolutions", "lstm", "transformer", "batch norm")
PRECISIONS = ("fp32", "fp64")


def cases() -> list[dict[str, Any]]:
    ours = [{"row": "tunesmith", "model": model, "precision": one} for model in MODELS for one in PRECISIONS]
    return ours + [{"row": "halved batch", "model": model, "precision": "fp64"} for model in MODELS]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    whole = trained(case["model"], case["precision"])
    if case["row"] == "halved batch":
        half = trained(case["model"], case["precision"], batch=BATCH // 2)
        return {"weights": apart(half, whole), "score": abs(score(half) - score(whole)), "updates": made_updates(half)}
    alone = trained(case["model"], case["precision"], updates=1)
    measured = {place: at(place, case["model"], case["precision"], whole) for place in PLACES}
    measured["one update"] = {
        "weights": max(
            apart(run, alone)
            for place in ("forward", "backward")
            for limit in LIMITS
            if (run := short(place, limit, case["model"], case["precision"], updates=1)[0]) is not None
        )
    }
    return measured


def at(place: str, model: str, precision: str, whole: Any) -> dict[str, Any]:
    """All limits at one place."""
    import torch

    runs = [short(place, limit, model, precision) for limit in LIMITS]
    ended = [run for run, _ in runs if run is not None and made_updates(run) == UPDATES and run.status == "finished"]
    return {
        "runs": len(runs),
        "met": sum(met for _, met in runs),
        "ended": len(ended),
        "bits": sum(torch.equal(flat(run), flat(whole)) for run in ended),
        "weights": max(apart(run, whole) for run in ended),
        "score": max(abs(score(run) - score(whole)) for run in ended),
    }


def short(place: str, limit: int, model: str, precision: str, updates: int | None = None) -> tuple[Any, bool]:
    """A run short of memory (None where it was refused), and whether memory did run out."""
    from tunesmith.records import DeviceError
    from tunesmith.testing.memory_faults import memory_faults

    if place == "optimizer step":  # the limits are moments here
        settings: dict[str, Any] = {"places": ("step",), "passes": {round(limit * UPDATES / BATCH)}, "most": 1}
    elif place in ("first update", "last update"):
        first = 1 if place == "first update" else UPDATES  # the passes before it are one an update
        settings = {"rows": limit, "places": ("forward", "backward"), "passes": {first, first + 1}}
    else:
        settings = {"rows": limit, "places": (place,)}
    with memory_faults(**settings) as faults:
        try:
            run = trained(model, precision, updates=updates)
        except DeviceError:  # parts of one row have no statistics: refused, and said
            run = None
    return run, bool(faults.raised)


def trained(model: str, precision: str, batch: int = BATCH, updates: int | None = None) -> Any:
    import tunesmith as ts
    from tunesmith.reports import QuietDisplay

    make, (train, val) = made(model)
    recipe = {
        "train.batch_size": batch,
        "train.precision": precision,
        "optim.lr": 0.01,
        "eval.bootstrap": 0,
        "run.watch": False,
        **({"train.epochs": EPOCHS} if updates is None else {"train.steps": updates}),
    }
    return ts.fit(ts.Task(make, train, val=val, test=val), recipe, display=QuietDisplay())


def made(name: str) -> tuple[Any, Any]:
    """What builds the model, and its rows for training and validation, of data shipped with the package."""
    from torch import nn

    from tunesmith.testing.healthy import data

    sources = {"convolutions": pictures, "lstm": data.message_tokens, "transformer": data.message_tokens}
    x, y = data.drawn(*sources.get(name, people)(), ROWS + HELD, 0)
    parts = ((x[:ROWS].numpy(), y[:ROWS].numpy()), (x[ROWS:].numpy(), y[ROWS:].numpy()))
    columns = x.shape[1]
    nets = {
        "mlp": lambda: nn.Sequential(nn.Linear(columns, 32), nn.Tanh(), nn.Linear(32, 2)),
        "mlp, dropout": lambda: nn.Sequential(
            nn.Linear(columns, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 2)
        ),
        "noise, residual": lambda: nn.Sequential(nn.Linear(columns, 32), noisy(32), noisy(32), nn.Linear(32, 2)),
        "convolutions": lambda: nn.Sequential(
            nn.Conv2d(1, 8, 3, 2), nn.GroupNorm(2, 8), nn.ReLU(), nn.Dropout2d(0.2), nn.Conv2d(8, 8, 3, 2), nn.ReLU(),
            nn.Flatten(), nn.Linear(288, 10),
        ),
        "lstm": recurrent,
        "transformer": attentive,
        "batch norm": lambda: nn.Sequential(nn.Linear(columns, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2)),
    }  # fmt: skip
    return nets[name], parts


def pictures() -> Any:
    from tunesmith.testing.healthy import data

    x, y = data.fashion()
    return x / 255 - 0.3, y


def people() -> Any:
    from tunesmith.testing.healthy import data

    x, y = data.adult_features()
    return (x - x.mean(0)) / x.std(0).clamp(min=1e-6), y


def noisy(width: int) -> Any:
    import torch
    from torch import nn

    class Noisy(nn.Module):
        """A residual block that adds noise in training."""

        def __init__(self) -> None:
            super().__init__()
            self.norm, self.body = nn.LayerNorm(width), nn.Linear(width, width)

        def forward(self, x: Any) -> Any:
            drawn = self.body(self.norm(x)).tanh()
            return x + (drawn + 0.1 * torch.randn_like(drawn) if self.training else drawn)

    return Noisy()


def recurrent() -> Any:
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(600, 16)
            self.net = nn.LSTM(16, 16, num_layers=2, dropout=0.3, batch_first=True)
            self.head = nn.Linear(16, 2)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.net(self.table(tokens))[0].mean(1))

    return Recurrent()


def attentive() -> Any:
    from torch import nn

    class Attentive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(600, 16)
            layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.2, batch_first=True)
            self.net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(16, 2)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.net(self.table(tokens)).mean(1))

    return Attentive()


def flat(run: Any) -> Any:
    import torch

    return torch.cat([value.flatten().double() for value in run.model.state_dict().values()])


def apart(one: Any, other: Any) -> float:
    return float((flat(one) - flat(other)).norm() / flat(other).norm())


def score(run: Any) -> float:
    return float(run.evaluations[-1]["val_loss"])


def made_updates(run: Any) -> int:
    return int(run.evaluations[-1]["step"])


def table(rows: Sequence[Row]) -> str:
    ours = [row for row in rows if row["case"]["row"] == "tunesmith"]
    lines, sums = [], []
    for row in ours:
        model, precision = row["case"]["model"], row["case"]["precision"]
        found = row["measured"]
        for place in PLACES:
            one = found[place]
            counts = [f"{one[key]} of {one['runs']}" for key in ("met", "ended", "bits")]
            lines.append([model, precision, place, *counts, f"{one['weights']:.1e}", f"{one['score']:.1e}"])
        places = [found[place] for place in PLACES]
        total = sum(one["runs"] for one in places)
        sums.append(
            [
                model,
                precision,
                *(f"{sum(one[key] for one in places)} of {total}" for key in ("met", "ended", "bits")),
                f"{found['one update']['weights']:.1e}",
                f"{max(one['weights'] for one in places):.1e}",
                f"{max(one['score'] for one in places):.1e}",
            ]
        )
    halved = [
        [row["case"]["model"], str(row["measured"]["updates"]), f"{row['measured']['weights']:.1e}", f"{row['measured']['score']:.1e}"]
        for row in rows
        if row["case"]["row"] == "halved batch"
    ]  # fmt: skip
    return "\n\n".join(
        [
            "All places together:",
            markdown(["model", "precision", "met", "ended", "bits", "one update", "weights", "score"], sums),
            f"The halved batch ({UPDATES} updates were asked for):",
            markdown(["model", "updates made", "weights", "score"], halved),
            "By place:",
            markdown(["model", "precision", "place", "met", "ended", "bits", "weights", "score"], lines),
        ]
    )
