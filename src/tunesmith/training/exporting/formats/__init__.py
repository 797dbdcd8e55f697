"""Formats of an exported model, one a file."""

from pathlib import Path
from typing import Protocol

from tunesmith.records import Catalog
from tunesmith.training.exporting.subject import Subject

__all__ = ["FORMATS", "Format"]


class Format(Protocol):
    """Writes a model under its usual file name, checks what was written, and says what was checked."""

    file: str

    def check(self) -> None:
        """Raises `MissingExtra` where a package that it needs is absent."""

    def write(self, subject: Subject, place: Path) -> str:
        """Writes to `place`, which is not there yet. Raises `ModelError` where the model cannot be written or comes out different."""


FORMATS: Catalog[Format] = Catalog("export format")
FORMATS.load(__path__, __name__)
