"""Where an export goes: it is written and checked beside its place, and moved there only when it is right."""

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.records import RunError
from tunesmith.runs.files import storing
from tunesmith.training.exporting.formats import FORMATS, Format
from tunesmith.training.exporting.subject import subject_of
from tunesmith.training.predicting import Predictor


@dataclass(frozen=True, slots=True)
class Exported:
    """A file or folder written, and what was checked of it, as a sentence."""

    path: Path
    format: str
    checked: str


def export(predictor: Predictor, format: str, path: Path, *, example: Any = None) -> Exported:
    """Writes the model to `path`, or into it where it is a folder and the format is a file.

    What lay there is replaced, if it is a file or an earlier export. Raises `ModelError` for a model that the format cannot
    hold or that comes out different, `MissingExtra` for an absent package; nothing is left behind then.
    """
    chosen = FORMATS[format]
    chosen.check()
    place = _place(chosen, path)
    subject = subject_of(predictor, example)
    with storing(place, "no export was left behind"):
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.parent / f".export-{uuid.uuid4().hex[:8]}"
        draft.mkdir()
        try:
            written = draft / chosen.file  # torch reads a .pt2 by its name
            checked = chosen.write(subject, written)
            if place.is_dir():
                os.rename(place, draft / "former")
            os.replace(written, place)
        finally:
            shutil.rmtree(draft)
    return Exported(place, format, checked)


def _place(chosen: Format, path: Path) -> Path:
    """Raises `RunError` for a place that holds something else."""
    if "." in chosen.file:
        return path / chosen.file if path.is_dir() else path
    if path.is_file():
        raise RunError(f"{path} is a file and this format makes a folder; name a folder that is not there yet")
    if path.is_dir() and any(path.iterdir()) and not (path / "export.json").is_file():
        raise RunError(f"{path} is not empty and holds no earlier export; name a new or an empty folder")
    return path
