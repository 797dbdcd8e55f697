"""What `scale` says of sizes that were not trained, and whether the best rate carries from width 64 to 512.

`law`: a small decoder on letters of Shakespeare at six widths, one pass over the same text, at the rate of the recipe carried by µP; a law is
fitted to the five smaller ones and the loss of the sixth predicted. `inside` says whether it lies in the interval (95 %, of one training).

`rates`: the best factor on the learning rate at each width, in the usual parametrisation and with `model.base_width = 64`, where both are
the same net; a parabola through the smallest loss and its neighbours, seeds by themselves. `digits`: an MLP with three hidden layers on
handwritten digits; `letters`: the decoder of two blocks. `moved` is the best factor at the largest width over that at the smallest, in brackets the
seeds; wanted: within a factor of 2 where the rate is carried.

`coordinates`: the slope of each layer's change with the width after four updates, the steepest; 0 is flat.
"""

import gzip
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from tables import markdown

import tunesmith as ts
from tunesmith.scaling.carrying import smallest
from tunesmith.scaling.laws import fit_law

ANYWHERE = True
SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
SEEDS = 3
BASE = 64
LADDER = (16, 24, 32, 48, 64, 96)  # the last is predicted
WIDTHS = {"digits": (64, 128, 256, 512), "letters": (64, 128, 256)}
FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
RATES = {"digits": 4e-3, "letters": 4e-3}
LETTERS = {"law": 400_000, "rates": 120_000}  # of the text


def cases() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for seed in range(SEEDS):
        found += [
            {"part": "coordinates", "data": data, "way": way, "seed": seed}
            for data in WIDTHS
            for way in ("usual", "carried")
        ]
        found += [{"part": "law", "width": width, "seed": seed} for width in LADDER]
        for data, widths in WIDTHS.items():
            found += [
                {"part": "rates", "data": data, "way": way, "width": width, "factor": factor, "seed": seed}
                for width in widths
                for way in ("usual", "carried")
                if way == "usual" or width != BASE  # there both are one
                for factor in FACTORS
            ]
    return found


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """The smallest validation loss of one training, or the slopes of one check."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = case.get("data", "letters")
        task, settings = TASKS[data](Path(folder), LETTERS["law" if case["part"] == "law" else "rates"])
        settings |= {"train.seed": case["seed"], "run.watch": False}
        if case["part"] == "coordinates":
            return checked(task, settings, data, case["way"], case["seed"])
        settings |= {"optim.lr": RATES[data] * case.get("factor", 1.0), **sized(data, case["width"])}
        if case.get("way", "carried") == "carried":
            settings["model.base_width"] = BASE
        try:
            run = ts.fit(task, settings, folder=Path(folder) / "run", display=quiet())
        except ts.TunesmithError as error:
            return {"loss": None, "said": str(error).splitlines()[0]}
        losses = [row["val_loss"] for row in run.evaluations if math.isfinite(row["val_loss"])]
        return {"loss": min(losses, default=None), "parameters": sum(one.numel() for one in run.model.parameters())}


def checked(task: Any, settings: dict[str, Any], data: str, way: str, seed: int) -> dict[str, Any]:
    """The slopes of the coordinate check."""
    from tunesmith.scaling.coordinates import coordinate_check
    from tunesmith.verbs.fit import as_recipe
    from tunesmith.verbs.scale import Ground

    ground = Ground(
        task, as_recipe(settings | {"optim.lr": RATES[data], **sized(data, BASE)}), BASE if way == "carried" else None
    )
    found = coordinate_check(ground.stepper, WIDTHS[data], seeds=range(3 * seed, 3 * seed + 3))
    return {"slopes": {name: one.as_list() for name, one in found.slopes.items()}, "steepest": found.steepest}


def sized(data: str, width: int) -> dict[str, Any]:
    return {"model.width": width} | ({"model.heads": width // 8} if data == "letters" else {})


def quiet() -> Any:
    from tunesmith.reports import QuietDisplay

    return QuietDisplay()


def digits(folder: Path, letters: int) -> tuple[Any, dict[str, Any]]:
    with np.load(SHARED / "images" / "mnist_5k.npz") as file:
        x, y = file["x"].reshape(-1, 784).astype(np.float32) / 255, file["y"].astype(np.int64)
    order = np.random.default_rng(0).permutation(len(y))
    train, val = order[:3000], order[3000:]
    task = ts.Task("mlp", (x[train], y[train]), val=(x[val], y[val]), kind="multiclass")
    return task, {
        "model.depth": 3, "model.residual": False, "model.norm": "none", "model.dropout": 0.0, "model.activation": "relu",
        "train.epochs": 3, "train.batch_size": 64, "schedule.name": "linear", "optim.weight_decay": 0.0,
        "optim.name": "adam", "data.test": 0.0,
    }  # fmt: skip


def letters_of(folder: Path, letters: int) -> tuple[Any, dict[str, Any]]:
    with gzip.open(SHARED / "text" / "tinyshakespeare.txt.gz", "rt", encoding="utf-8") as file:
        text = file.read()[:letters]
    place = folder / "text.txt"
    place.write_text(text, encoding="utf-8")
    return ts.Task("decoder", place, kind="language"), {
        "data.tokenizer": "char", "data.max_seq_len": 64, "data.test": 0.0, "data.val": 0.1, "model.depth": 2, "model.tied": False,
        "train.epochs": 1, "train.batch_size": 32, "optim.weight_decay": 0.0,
    }  # fmt: skip


TASKS = {"digits": digits, "letters": letters_of}


def table(rows: list[dict[str, Any]]) -> str:
    """The law, the rates and the check."""
    good = [row for row in rows if "error" not in row]
    parts: dict[str, list[dict[str, Any]]] = {}
    for row in good:
        parts.setdefault(row["case"]["part"], []).append(row)
    found = [*laws(parts.get("law", [])), *rates(parts.get("rates", [])), *slopes(parts.get("coordinates", []))]
    return "\n".join(found)


def laws(rows: Sequence[dict[str, Any]]) -> list[str]:
    """For each seed, and for all together, what five sizes say of the sixth."""
    lines = []
    for seeds in [*({row["case"]["seed"]} for row in rows), {row["case"]["seed"] for row in rows}]:
        here = [row for row in rows if row["case"]["seed"] in seeds]
        small = [row for row in here if row["case"]["width"] != LADDER[-1]]
        large = [row for row in here if row["case"]["width"] == LADDER[-1]]
        if len({row["case"]["width"] for row in small}) < len(LADDER) - 1 or not large:
            continue
        law = fit_law([row["measured"]["parameters"] for row in small], [row["measured"]["loss"] for row in small])
        said = law.predict(large[0]["measured"]["parameters"])
        reached = [row["measured"]["loss"] for row in large]
        inside = sum(said.low < loss < said.high for loss in reached)
        line = [
            ", ".join(map(str, sorted(seeds))), f"{said.value:.4f} [{said.low:.4f}, {said.high:.4f}]",
            ", ".join(f"{loss:.4f}" for loss in reached), f"{inside} of {len(reached)}",
        ]  # fmt: skip
        lines += [line] if line not in lines else []
    heads = ["seeds", f"predicted at width {LADDER[-1]}", "reached", "inside"]
    return ["Law, five sizes:", "", markdown(heads, lines), ""] if lines else []


def rates(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The best factor by width, both ways."""
    lines = []
    for data, widths in WIDTHS.items():
        for way in ("usual", "carried"):
            best = {width: bests(rows, data, way, width) for width in widths}
            if not all(best.values()):
                continue
            seeds = sorted(set.intersection(*(set(one) for one in best.values())))
            moved = [best[widths[-1]][seed][0] / best[widths[0]][seed][0] for seed in seeds]
            middle = 2 ** mean(math.log2(one) for one in moved)
            cells = [
                mean_of([best[width][seed] for seed in seeds])
                for width in max(WIDTHS.values(), key=len)
                if width in widths
            ]
            cells += [""] * (max(map(len, WIDTHS.values())) - len(cells))
            held = "held" if 0.5 <= middle <= 2 else "missed"
            lines.append(
                [
                    data,
                    way,
                    *cells,
                    f"{middle:.2f} ({', '.join(f'{one:.2f}' for one in moved)})",
                    held if way == "carried" else "",
                ]
            )
    heads = ["", "", *map(str, max(WIDTHS.values(), key=len)), "moved", "within 2"]
    return ["Best factor on the rate, by width:", "", markdown(heads, lines), ""] if lines else []


def bests(rows: Sequence[dict[str, Any]], data: str, way: str, width: int) -> dict[int, tuple[float, str]]:
    """The best factor of each seed whose factors are all there."""
    ways = ("usual", "carried") if width == BASE else (way,)
    found = {}
    for seed in range(SEEDS):
        losses = {
            row["case"]["factor"]: math.inf if row["measured"]["loss"] is None else row["measured"]["loss"]
            for row in rows
            if (row["case"]["data"], row["case"]["width"], row["case"]["seed"]) == (data, width, seed)
            and row["case"]["way"] in ways
        }
        if len(losses) == len(FACTORS):
            found[seed] = smallest(FACTORS, [losses[factor] for factor in FACTORS])
    return found


def mean_of(found: Sequence[tuple[float, str]]) -> str:
    edges = {edge for _, edge in found if edge}
    return f"{2 ** mean(math.log2(one) for one, _ in found):.2f}" + (" (at an edge)" if edges else "")


def slopes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The steepest slope of each check."""
    lines = []
    for data in WIDTHS:
        for way in ("usual", "carried"):
            here = [row["measured"] for row in rows if (row["case"]["data"], row["case"]["way"]) == (data, way)]
            if here:
                steep = [one["slopes"][one["steepest"]] for one in here]
                lines.append(
                    [
                        data,
                        way,
                        here[0]["steepest"],
                        "; ".join(f"{value:+.2f} [{low:+.2f}, {high:+.2f}]" for value, low, high in steep),
                    ]
                )
    return (
        ["Coordinate check, the steepest layer:", "", markdown(["", "", "layer", "slope, a check a seed"], lines), ""]
        if lines
        else []
    )
