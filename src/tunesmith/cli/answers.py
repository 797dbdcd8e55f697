"""What a command answers: plain data for programs, text for people."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is printed under `--json`, `text` else; `then` goes on after that, as a server does."""

    data: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    code: int = 0
    then: Callable[[], None] | None = None


@contextmanager
def own_output(json: bool) -> Iterator[TextIO]:
    """Standard output. Under `--json` it is ours alone: whatever else a library prints there goes to standard error."""
    if not json:
        yield sys.stdout
        return
    mine = sys.stdout
    sys.stdout = sys.stderr
    try:
        with own_descriptor(mine) as output:
            yield output
    finally:
        sys.stdout = mine


@contextmanager
def own_descriptor(mine: TextIO) -> Iterator[TextIO]:
    """The same for code that is not Python, where standard output is a real file."""
    if mine is not sys.__stdout__ or mine.fileno() != 1:
        yield mine
        return
    mine.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as output:
            yield output
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def say(answer: Answer, output: TextIO, *, json: bool) -> None:
    """Prints an answer."""
    if json:
        output.write(as_json(answer.data) + "\n")
    elif answer.text:
        output.write(answer.text + ("" if answer.text.endswith("\n") else "\n"))
    output.flush()


def as_json(data: Mapping[str, Any]) -> str:
    """One JSON object in one line; numbers that are not finite become null."""
    from json import dumps

    from tunesmith.runs.files import plain

    return dumps(plain(data), ensure_ascii=False, allow_nan=False)
