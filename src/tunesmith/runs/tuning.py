"""The folder of a tuning, for reading: what was asked, the steps, what was decided, and the last judgement.

tune.json        what was asked: budget, seed, command, kind
steps.jsonl      a line when a step begins, and one with what it found
decisions.json   what was decided on them
handed.json      what is handed over: members, weights, temperature, threshold
scores.json      the last judgement: of what is handed over and its rivals
seen.json        what the rules of the diagnosis see in the curves of the best net
recipe.toml      of the best net; its run lies below `steps`
predictions/     of the judged part; samples/ the rows that are most wrong; slices/ groups of its rows
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE, STEPS, DECISIONS, HANDED, SCORES = "tune.json", "steps.jsonl", "decisions.json", "handed.json", "scores.json"
SEEN = "seen.json"


@dataclass(frozen=True)
class Tuning:
    """What a tuning's folder holds, as plain data; empty where it has not come so far."""

    folder: Path
    asked: Mapping[str, Any]
    steps: tuple[Mapping[str, Any], ...]  # those that are done: step, seconds, epochs, found
    decisions: tuple[Mapping[str, Any], ...]
    handed: Mapping[str, Any]
    judged: Mapping[str, Any]


def is_tuning(folder: str | Path) -> bool:
    """Whether a folder is that of a tuning."""
    return (Path(folder) / FILE).is_file()


def read_tuning(folder: str | Path) -> Tuning:
    """Reads a folder. Raises `RunError` for a damaged file."""
    from tunesmith.runs.reading import read_json

    place = Path(folder)

    def held(name: str) -> dict[str, Any]:
        return read_json(place / name) if (place / name).is_file() else {}

    return Tuning(
        folder=place,
        asked=held(FILE),
        steps=tuple(entry for entry in read_steps(place) if "step" in entry),
        decisions=tuple(held(DECISIONS).get("decisions", ())),
        handed=held(HANDED),
        judged=held(SCORES),
    )


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of steps.jsonl, up to the first that is torn."""
    path = folder / STEPS
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break  # another process writes it just now, or was killed while it did
    return found
