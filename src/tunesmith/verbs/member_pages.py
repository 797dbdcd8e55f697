"""The manual pages of a member of a catalogue, and of a whole catalogue."""

import numpy as np

from tunesmith.reports.plot import Look, sparkline
from tunesmith.verbs.catalogues import catalogue, extra_of, listed_arguments, plain_facts, recipe_words, words
from tunesmith.verbs.drawings import Drawing, drawing
from tunesmith.verbs.words import LABELS, argument_lines, row, wrapped

WIDEST_PICTURE = 80
SHORT = 20  # letters of a curve in a list
WITH_CURVES = ("activation", "schedule", "warmup")


def member_page(family: str, name: str, width: int, look: Look) -> str:
    """Formula, picture, words, when to use it, source, arguments, and how a recipe names it."""
    member, said = catalogue(family)[name], words(family, name)
    head = f"{family}.{name}" + (f" · {said.title}" if said.title else "")
    blocks = [wrapped(head, width), wrapped(said.formula, width)]
    blocks += picture(family, name, Look(min(width, WIDEST_PICTURE), look.plain, look.colours))
    blocks += bullets_together([wrapped(one, width) for one in said.body])
    rows = [(label, said.rows[label]) for label in LABELS if label in said.rows] + list(plain_facts(member).items())
    blocks.append("\n".join(row(label, text, width) for label, text in rows))
    blocks.append("\n".join(argument_lines(listed_arguments(family, name), width, extra_of(family, name))))
    if said.example and max(map(len, said.example)) <= width:
        blocks.append("\n".join(said.example))
    recipe = recipe_words(family, name)
    blocks.append(row("Recipe", recipe, width) if recipe else "")
    return "\n\n".join(block for block in blocks if block)


def picture(family: str, name: str, look: Look) -> list[str]:
    """What a member looks like, and what was drawn."""
    drawn = drawing(family, name)
    if drawn is None:
        return []
    lines = [*drawn.text(look), *(wrapped(note, look.width) for note in drawn.notes)]
    return ["\n".join(lines)]


def bullets_together(paragraphs: list[str]) -> list[str]:
    """The points of a list in one block."""
    found: list[str] = []
    for one in paragraphs:
        if found and one.startswith(("* ", "- ")) and found[-1].startswith(("* ", "- ")):
            found[-1] += f"\n{one}"
        else:
            found.append(one)
    return found


def family_page(family: str, width: int, look: Look) -> str:
    """The members of a catalogue, each with its curve, where it has one, and the first line of its page."""
    members = catalogue(family)
    longest = max(map(len, members), default=0)
    lines = []
    for name in members:
        said = words(family, name)
        line = f"{name:<{longest}}  {small(family, name, look)}{said.title or said.formula}"
        lines.append(
            line if len(line) <= width else line[: width - 2].rsplit(" ", 1)[0] + (" .." if look.plain else " …")
        )
    return "\n".join([f"{family}: {len(members)} members, each with `tunesmith explain {family}.<name>`", "", *lines])


def small(family: str, name: str, look: Look) -> str:
    """A curve of a few letters."""
    if family not in WITH_CURVES:
        return ""
    drawn = drawing(family, name)
    y = drawn.y if isinstance(drawn, Drawing) else np.zeros(0)
    return (sparkline(y, SHORT, plain=look.plain) if len(y) else " " * SHORT) + "  "
