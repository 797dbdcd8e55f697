"""What travels inside a single exported file: classes, calibration, inputs and preprocessing, as JSON by name."""

import json

from tunesmith.runs.files import plain
from tunesmith.training.exporting.reading_it import inputs_told, outputs_told
from tunesmith.training.exporting.subject import Subject


def attached(subject: Subject) -> dict[str, str]:
    """Texts by name: `classes.json`, `preprocessing.json`, and `README.md` on inputs and outputs."""
    told = [
        f"# {subject.name}, trained by Tunesmith",
        "",
        "Inputs, in this order:",
        "",
        *(f"- {line}" for line in inputs_told(subject)),
    ]
    told += ["", "Outputs: " + outputs_told(subject.facts, own=not subject.built_in)]
    return {
        "README.md": "\n".join(told) + "\n",
        "classes.json": json.dumps(plain(subject.facts), ensure_ascii=False),
        "preprocessing.json": json.dumps(plain(subject.preprocessing), ensure_ascii=False),
    }
