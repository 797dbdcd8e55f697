"""Records of other programs made flat, and those that only sum a run up taken out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tunesmith.runs.readers.settings import facts_of

PLAIN = frozenset(
    (
        "history",
        "metrics",
        "results",
        "logs",
        "log",
        "data",
        "stats",
        "scalars",
        "log_history",
        "curves",
        "values",
        "summary",
    )
)
SUMMARY = ("train_runtime", "total_flos")  # of the last record that Transformers writes: means over the whole run
LOOKED_AT = 20  # assumption: records in which settings may stand


def flat(record: Mapping[str, Any], prefix: str = "", depth: int = 4) -> dict[str, Any]:
    """Nested names joined by "/"; lists are left out.

    >>> flat({"epoch": 1, "train": {"loss": 0.5}, "metrics": {"acc": 0.9}})
    {'epoch': 1, 'train/loss': 0.5, 'acc': 0.9}
    """
    if not prefix and not any(isinstance(value, dict | list) for value in record.values()):
        return dict(record)
    found: dict[str, Any] = {}
    for name, value in record.items():
        name = str(name)
        if isinstance(value, dict):
            if depth:
                found |= flat(value, prefix if name.casefold() in PLAIN else f"{prefix}{name}/", depth - 1)
        elif not isinstance(value, list) or len(value) == 1:
            found[prefix + name] = value
    return found


class Records:
    """Passes records on, flat, and keeps the facts that summaries and settings among them tell."""

    def __init__(self, records: Iterable[Any]) -> None:
        self.records = records
        self.facts: dict[str, Any] = {}
        self.odd = self.number = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for record in self.records:
            if not isinstance(record, dict):
                self.odd += 1
                continue
            if any(name in record for name in SUMMARY):
                if isinstance(seconds := record.get("train_runtime"), int | float):
                    self.facts["seconds"] = float(seconds)
                record = {name: value for name, value in record.items() if name.startswith(("eval_", "test_"))}
                if not record:
                    continue
            self.number += 1
            for fact, value in (facts_of(record) if self.number <= LOOKED_AT else {}).items():
                if fact not in ("lr", "batch_size", "epochs", "steps"):
                    self.facts.setdefault(fact, value)
            yield flat(record)
