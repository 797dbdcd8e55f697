"""Facts of a run from the settings that stand beside its curves."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.runs.readers import words
from tunesmith.runs.readers.batches import cell_number
from tunesmith.runs.readers.naming import split

WHOLE = frozenset(("batch_size", "epochs", "steps", "classes", "steps_per_epoch", "rows", "parameters"))
UNSET = 2**53  # larger numbers of epochs or steps mean that none was planned


BESIDE = ("args.yaml", "hparams.yaml", "config.yaml", "args.json", "hparams.json")
LINE = re.compile(r"^\s*([\w.\-]+)\s*:\s*([^#\n]+?)\s*(?:#.*)?$", re.MULTILINE)


def facts_beside(log: Path) -> dict[str, Any]:
    """Settings in a file that trainers write beside their log: plain `name: value` lines, or JSON."""
    for name in BESIDE:
        file = log.parent / name
        if not file.is_file() or file.stat().st_size > 1 << 20:
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if name.endswith("json"):
            try:
                settings = json.loads(text)
            except ValueError:
                continue
            return facts_of(settings) if isinstance(settings, dict) else {}
        return facts_of({found[1]: found[2].strip("'\"") for found in LINE.finditer(text)})
    return {}


def facts_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Known settings among nested ones, the first of each.

    >>> facts_of({"args": {"lr": 0.1, "num_epochs": 5}, "classes": ["a", "b"], "note": "x"})
    {'lr': 0.1, 'epochs': 5, 'classes': 2}
    """
    found: dict[str, Any] = {}
    for name, value in _leaves(settings):
        said = split(name.rpartition("/")[2])
        fact = "lr" if said == ["lr"] else words.SETTINGS.get(" ".join(said), "")
        if (
            said in (["classes"], ["class", "names"], ["labels"], ["label", "names"])
            and isinstance(value, list)
            and distinct(value)
        ):
            fact, value = "classes", len(value)
        fact = fact or {"epochs": "epochs", "steps": "steps", "batch": "batch_size"}.get(name.casefold(), "")
        if not fact or fact in found:
            continue
        if fact == "optimizer":
            if isinstance(value, str) and value:
                found[fact] = value
            continue
        number = cell_number(value)
        if number is None or not 0 < number < UNSET or (fact in WHOLE and number != int(number)):
            continue
        found[fact] = int(number) if fact in WHOLE else number
    return found


def distinct(values: list[Any]) -> bool:
    """Two names or numbers at least, each once: a list of classes, not of labels of rows."""
    plain = all(isinstance(value, str | int) for value in values)
    return plain and len(values) > 1 and len(set(values)) == len(values)


def _leaves(settings: Mapping[str, Any], depth: int = 3) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict) and depth:
            yield from _leaves(value, depth - 1)
        elif not isinstance(value, dict):
            yield str(name), value
