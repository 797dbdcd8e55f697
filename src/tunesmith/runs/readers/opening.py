"""Logs as lines of text: packed or not, in whatever encoding, perhaps cut short."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from tunesmith.runs.notice import Notice

PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
CUT = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)
HEAD = 65536
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked."""
    found: Any = PACKED.get(path.suffix.casefold(), open)(path, "rb")
    return found  # type: ignore[no-any-return]


def head_of(path: Path, size: int = HEAD) -> bytes:
    """The first bytes, unpacked; nothing of a folder."""
    if path.is_dir():
        return b""
    found = b""
    try:
        with opened(path) as file:
            while len(found) < size and (more := file.read(size - len(found))):
                found += more
    except (*CUT, OSError):  # what came before the cut is looked at; the reader says that it is cut
        pass
    return found


def encoding_of(head: bytes) -> str:
    """By the mark at the start, else UTF-8 if it is that, else that of Chinese where bytes above 127 stand in pairs, else of Western Europe."""
    for mark, name in MARKS.items():
        if head.startswith(mark):
            return name
    try:
        head.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 4:
            return "utf-8"
    high = [i for i, byte in enumerate(head) if byte > 0xA0]
    paired = sum(b - a == 1 for a, b in pairwise(high))
    return "gb18030" if paired > 0.4 * len(high) else "cp1252"


def is_text(head: bytes) -> bool:
    return bool(head.strip()) and (encoding_of(head) == "utf-16" or b"\0" not in head)


class Lines:
    """The lines of a file in one pass. `notices` holds, at the end, whether it was cut short."""

    def __init__(self, path: Path, head: bytes, newline: str | None = None) -> None:
        self.path, self.encoding, self.newline = path, encoding_of(head), newline
        self.notices: list[Notice] = []
        self.ended = True  # the last line ended with its newline

    def __iter__(self) -> Iterator[str]:
        last = "\n"
        try:
            with opened(self.path) as packed, io.TextIOWrapper(packed, self.encoding, "replace", self.newline) as text:
                for line in text:
                    last = line
                    yield line
        except CUT:
            self.notices.append(Notice("readers.cut_file"))
        self.ended = last.endswith(("\n", "\r"))
