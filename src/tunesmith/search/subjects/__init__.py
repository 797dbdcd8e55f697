"""Subjects: the kinds of things that can be searched. `subject_of` makes one of what a user brings."""

from typing import Any

from tunesmith.records import DataError
from tunesmith.search.subject import Subject
from tunesmith.search.subjects.command import Command
from tunesmith.search.subjects.function import Function

__all__ = ["Command", "Function", "subject_of"]


def subject_of(given: Any) -> Subject:
    """A subject as it is, or of a function. Raises `DataError` for anything else."""
    if hasattr(given, "train") and hasattr(given, "copies"):
        subject: Subject = given
        return subject
    if callable(given):
        return Function(given)
    raise DataError(
        f"a {type(given).__name__} was to be searched; expected a function of a configuration, a Task, data, or a Command"
    )
