"""Trials as a table for other programs."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from tunesmith.records import DataError
from tunesmith.runs.files import plain, write_text
from tunesmith.search.study import Study


def exported(study: Study, format: str) -> str:
    """The trials as text: `csv`, a row a trial; `json`, with every record of every trial. Raises `DataError` for other formats."""
    if format == "csv":
        return _csv(study.rows())
    if format == "json":
        trials = [
            row | {"records": [dict(record) for record in trial.records]}
            for row, trial in zip(study.rows(), study.trials, strict=True)
        ]
        told = {
            "settings": study.settings,
            "status": study.status(),
            "confirmation": study.confirmation,
            "trials": trials,
        }
        return json.dumps(plain(told), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    raise DataError(f"no export of trials as {format!r}; expected csv or json")


def export(study: Study, file: str | Path) -> Path:
    """Writes the trials to a file, in the format of its ending."""
    path = Path(file)
    write_text(path, exported(study, path.suffix.removeprefix(".")))
    return path


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = list(rows[0]) if rows else ["trial", "state", "reason", "units", "score", "unit", "parent"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
