"""Tables within printed logs: a line of names, then lines of as many numbers (fastai, skorch, YOLO, Markdown)."""

import re

from tunesmith.runs.readers.batches import number
from tunesmith.runs.readers.naming import role_of

RULE = re.compile(r"^[\s|:+\-=─━┼]+$")
BAR_AT_END = re.compile(r":?\s+\d+%\|.*$")
DIGITS = re.compile(r"(?<![\w@.])\.?\d")  # at the start of a cell or of a word in it: no name
COUNT = re.compile(r"^(\d+)/(\d+)$")
KEPT_KINDS = ("step", "epoch")


def header_of(line: str) -> tuple[str, ...]:
    """The names of a header, () where the line is none: two names at least that are known, a loss or score among them."""
    line = BAR_AT_END.sub("", line).rstrip(": ")
    if known_names := known_header(line):
        return known_names
    line = re.sub(r"\([^()]*\)", " ", line)
    if len(line) > 400 or RULE.match(line) or "{" in line or "=" in line or ":" in line.replace("mAP@.5:", ""):
        return ()
    for cells in (piped(line), spaced(line), line.split()):
        if len(cells) < 2 or len(set(cells)) < len(cells) or any(DIGITS.search(cell) for cell in cells):
            continue
        roles = [role_of(cell) for cell in cells]
        known = sum(role.kind != "value" or role.known for role in roles)
        counts = any(role.kind in KEPT_KINDS for role in roles)
        if any(role.kind == "value" and role.known for role in roles) and (
            (counts and known >= 2) or known >= max(3, 0.75 * len(cells))
        ):
            return tuple(cells)
    return ()


def known_header(line: str) -> tuple[str, ...]:
    """Headers of YOLO (terms of the loss while it trains, scores over all classes after) and of spaCy."""
    cells = line.split()
    if len(cells) > 4 and cells[0] == "Epoch" and cells[1].casefold() == "gpu_mem":
        terms = {"box", "obj", "cls", "dfl", "seg", "pose", "kobj"}
        return tuple(f"train/{c.removesuffix('_loss')}_loss" if c.removesuffix("_loss") in terms else c for c in cells)
    if len(cells) > 4 and cells[:2] == ["E", "#"]:
        return (
            "epoch",
            "step",
            *(f"val {c} f1" if c.endswith("_F") else f"val {c}" if c == "SCORE" else c for c in spaced(line)[2:]),
        )
    if len(cells) > 5 and cells[:2] == ["Class", "Images"]:
        clean = [cell.strip("()").rpartition("(")[2] for cell in cells]
        return tuple({"P": "val/precision", "R": "val/recall"}.get(cell, f"val/{cell}") for cell in clean)
    return ()


def piped(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if "|" in line else []


def spaced(line: str) -> list[str]:
    return [cell for cell in re.split(r"\t+|\s{2,}", line.strip()) if cell]


def row_of(line: str, header: tuple[str, ...]) -> tuple[dict[str, float], dict[str, float]] | None:
    """The numbers of a row by name, and totals; None where the line is no row of this table."""
    text = BAR_AT_END.sub("", line)
    for cells in (piped(text), line.strip().split("\t"), text.split(), spaced(text)):
        if len(cells) == len(header):
            break
    else:
        return None
    found: dict[str, float] = {}
    totals: dict[str, float] = {}
    for name, cell in zip(header, cells, strict=True):
        count = COUNT.match(cell.strip())
        if count:
            found[name], totals[name] = float(count[1]), float(count[2])
        elif (value := number(cell.strip("*+ "))) is not None:
            found[name] = value
    if header[0] == "val/Class" and cells[0] != "all":
        return ({}, {}) if number(cells[-1]) is not None else None  # of a single class
    return (found, totals) if len(found) >= max(1, len(header) / 2) else None
