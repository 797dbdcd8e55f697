"""What a reader has to say of a log: an English sentence that can also be had in another language."""

from collections.abc import Mapping
from typing import Any

from tunesmith.records.messages import render


class Notice(str):
    """A sentence, in English as a string; `text(language)` renders the template it was made from.

    >>> Notice("readers.rows_counted")
    'no column of steps or epochs: rows are counted'
    """

    message: str
    values: Mapping[str, Any]

    def __new__(cls, message: str, **values: Any) -> "Notice":
        made = super().__new__(cls, render(message, values))
        made.message, made.values = message, values
        return made

    def text(self, language: str = "en") -> str:
        """The sentence in `language` (`en`, `zh`)."""
        return render(self.message, self.values, language)


def said_in(notice: str, language: str) -> str:
    """A notice in `language`; one that is plain text as it is."""
    return notice.text(language) if isinstance(notice, Notice) else notice
