"""JSON in pieces: elements of lists one by one, so that a file larger than memory, or one that is cut short, can be read."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

MARGIN = 65536  # a value that ends this near the end of what is in memory may go on
CHUNK = 1 << 20
Event = tuple[tuple[str, ...], Any]  # names on the way, and the value


class Cut(Exception):
    """The text ends within a value."""


class Pieces:
    """`(way, element)` for each element of a list and each plain value; `cut` says at the end whether something was missing."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self.chunks = iter(chunks)
        self.text, self.at, self.over, self.cut = "", 0, False, False
        self.decode = json.JSONDecoder(strict=False).raw_decode

    def __iter__(self) -> Iterator[Event]:
        try:
            yield from self._value(())
        except Cut:
            self.cut = True

    def _value(self, way: tuple[str, ...]) -> Iterator[Event]:
        mark = self._peek()
        if mark == "[":
            self.at += 1
            yield from self._elements(way)
        elif mark == "{" and (not way or len(way) < 4):
            self.at += 1
            yield from self._members(way)
        else:
            yield way, self._whole()

    def _elements(self, way: tuple[str, ...]) -> Iterator[Event]:
        while self._peek() != "]":
            yield way, self._whole()
            if self._peek() == ",":
                self.at += 1
        self.at += 1

    def _members(self, way: tuple[str, ...]) -> Iterator[Event]:
        while self._peek() != "}":
            name = self._whole()
            if self._peek() != ":":
                raise Cut
            self.at += 1
            yield from self._value((*way, str(name)))
            if self._peek() == ",":
                self.at += 1
        self.at += 1

    def _more(self) -> bool:
        if self.over:
            return False
        new = next(self.chunks, "")
        self.over = not new
        self.text, self.at = self.text[self.at :] + new, 0
        return bool(new)

    def _peek(self) -> str:
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\r\n\ufeff":
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                raise Cut

    def _whole(self) -> Any:
        self._peek()
        while not self.over and len(self.text) - self.at < MARGIN and self._more():
            pass
        while True:
            try:
                value, end = self.decode(self.text, self.at)
            except ValueError:
                if not self._more():
                    raise Cut from None
                continue
            if end >= len(self.text) - 1 and self._more():
                continue
            self.at = end
            return value
