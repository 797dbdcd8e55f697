"""A batch of a language model as text: every token that trains stands between marks, line by line."""

from collections.abc import Iterator, Sequence
from unicodedata import east_asian_width

from tunesmith.data.language.preview import PreviewedRow
from tunesmith.reports.wording import visible

WIDTH = 80
OPENS, SHUTS = "⟦", "⟧"
INDENT = "  "
BREAK = "↵"
LINES = 14  # of a row in a terminal; the file holds all


def preview_lines(rows: Sequence[PreviewedRow], total: int, *, width: int = WIDTH, most: int = LINES) -> list[str]:
    """The rows in at most `most` lines each, for a terminal."""
    told = [f"batch preview: {len(rows)} of {total} rows; what stands in {OPENS} {SHUTS} trains"]
    for row in rows:
        told.append(heading(row))
        lines = list(text_lines(row, width))
        told += lines[:most]
        if len(lines) > most:
            told.append(f"{INDENT}… {len(lines) - most} more lines in data/preview.txt")
    return told


def preview_file(rows: Sequence[PreviewedRow], *, width: int = WIDTH) -> str:
    """All rows as text, and below each its tokens one by one."""
    told = [
        f"The first training batch: {len(rows)} rows. What stands in {OPENS} {SHUTS} trains; {BREAK} is a line break.",
        "",
    ]
    for row in rows:
        told += [heading(row), *text_lines(row, width), ""]
        told += [
            f"{INDENT}{'trains' if trains else '      '} {token:>7} {piece!r}" for token, piece, trains in row.tokens
        ]
        told.append("")
    return "\n".join(told)


def spelt(line: str, encoding: str | None) -> str:
    """A line for a terminal that may have no such marks: brackets and a bar stand in.

    >>> spelt("⟦hi⟧↵", "ascii")
    '[[hi]]|'
    """
    try:
        line.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return line.replace(OPENS, "[[").replace(SHUTS, "]]").replace(BREAK, "|")
    return line


def heading(row: PreviewedRow) -> str:
    """What one row holds, in numbers."""
    ending = f"{row.ends} end tokens train" if row.ends else "NO end token trains"
    share = row.trained / max(1, row.length)
    return f"row {row.number}: {row.length} tokens, {row.trained} of them train ({share:.0%}), {ending}"


def text_lines(row: PreviewedRow, width: int = WIDTH) -> Iterator[str]:
    """The text of a row in lines of at most `width` columns; marks are closed at the end of a line and opened in the next.

    >>> list(text_lines(PreviewedRow(1, (("hello ", False), ("wonderful world", True)), (), 1, 0), width=20))
    ['  hello ⟦wonderful ⟧', '  ⟦world⟧']
    """
    line, used, opened = "", 0, False
    room = width - len(INDENT) - 1  # for the mark that closes
    for letter, trains in _letters(row):
        wide = 2 if east_asian_width(letter) in "WF" else 1
        needs = wide + (trains and not opened) + (opened and not trains)
        if used + needs > room:
            yield INDENT + line + (SHUTS if opened else "")
            line, used, opened = "", 0, False
        if trains != opened:
            line += OPENS if trains else SHUTS
            used += 1
            opened = trains
        line += BREAK if letter == "\n" else letter
        used += wide
        if letter == "\n":
            yield INDENT + line + (SHUTS if opened else "")
            line, used, opened = "", 0, False
    if line:
        yield INDENT + line + (SHUTS if opened else "")


def _letters(row: PreviewedRow) -> Iterator[tuple[str, bool]]:
    for text, trains in row.runs:
        for letter in text:
            yield (letter if letter == "\n" else visible(letter).replace("\t", " ")), trains
