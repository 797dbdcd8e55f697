"""A run folder of ours."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.runs.history import LONGEST, History, Series, series
from tunesmith.runs.readers.catalogue import Roles, reader
from tunesmith.runs.reading import Reading
from tunesmith.runs.run import Run

GAME = "gan"  # the kind of a run of two players
EMBEDDING = "embedding"  # the kind of a run that learns embeddings without labels
EPOCHWISE = {"epoch.train_loss": ("loss", "train"), "val_loss": ("loss", "val"), "score": ("score", "val")}


def takes(path: Path, head: bytes) -> bool:
    return path.is_dir() and (path / "run.json").is_file()


@reader("own", order=0, takes=takes)
def read(path: Path, roles: Roles) -> list[History]:
    return [history_of(Run(path), str(path))]


def history_of(run: Reading, title: str = "") -> History:
    """The history of a run of ours, in a folder or in memory."""
    kind = run.info.get("kind")
    apart = kind in (GAME, EMBEDDING)
    curves = [_curve(run, name, where) for name, where in run.signals.names()]
    if apart:  # these losses need not fall, or fall where nothing is learnt; what is said of others is not said of them
        word = "game" if kind == GAME else kind
        curves = [replace(one, name=f"{word}_{one.name}") if one.name in ("loss", "score") else one for one in curves]
    attempts = run.attempts
    return History(
        curves=tuple(curves),
        reader="own",
        title=title,
        facts=_facts(run),
        resumed=tuple(float(one["first_step"]) for one in attempts[1:]),
        findings=tuple(run.findings),
        evaluations=() if apart else tuple(run.evaluations),
    )


def _curve(run: Reading, name: str, where: str) -> Series:
    head, _, rest = name.partition("_")
    judged = (rest, head) if head in ("train", "val", "test") and rest else None
    quantity, part = EPOCHWISE.get(name) or judged or (name, "train" if name == "loss" else "")
    per = "update" if name not in EPOCHWISE and judged is None else "epoch" if part == "train" else "evaluation"
    about: dict[str, Any] = {"part": part, "where": where, "column": name, "per": per}
    condensed = run.signals.curve(name, where, LONGEST)
    if bool(np.array_equal(condensed.low, condensed.high, equal_nan=True)):
        steps, values = run.signals.read(name, where)
        return series(quantity, steps, values, **about)
    return Series(
        name=quantity,
        steps=condensed.steps.astype(np.float64),
        values=condensed.mean,
        low=condensed.low,
        high=condensed.high,
        counted=len(condensed.steps),
        **about,
    )


def _facts(run: Reading) -> dict[str, Any]:
    held = run.recipe
    recipe = held.model_dump() if hasattr(held, "model_dump") else {}
    info = run.info
    facts = {
        "finished": run.status == "finished",
        "running": (run.status == "running" and not info.get("facts", {}).get("over")) or None,
        "optimizer": recipe.get("optim", {}).get("name"),
        "lr": recipe.get("optim", {}).get("lr"),
        "batch_size": recipe.get("train", {}).get("batch_size"),
        "epochs": recipe.get("train", {}).get("epochs"),
        "augment": _augment(recipe.get("data", {})),
        **info.get("facts", {}),
    }
    return {name: value for name, value in facts.items() if value is not None and value != "auto"}


def _augment(data: Mapping[str, Any]) -> str | None:
    """What makes the training rows harder than the held ones, where somebody asked for it."""
    name = str(data.get("augment", "auto"))
    return None if name in ("auto", "none") or not data.get("augment_strength") else name
