"""The words of a member: its docstring and that of its file, taken apart."""

import inspect
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

LABELS = ("Shape", "At start", "Raises", "Use", "Source")  # rows of a page, in this order
LABEL = re.compile(rf"({'|'.join(LABELS)}): (.*)")
BULLET = re.compile(r"[*-] ")
DRAWN = re.compile(r"^ {2,}(?=\S)|\S {2,}\S")
CITES = re.compile(
    r"arXiv|et al|\b(?:19|20)\d\d\b|torch|TensorFlow|transformers|detectron|timm|scikit|object_detection|&|eq\. "
)
INDENT = 10


@dataclass(slots=True)
class Words:
    """What there is to say about a member."""

    title: str = ""
    formula: str = ""
    body: list[str] = field(default_factory=list)  # paragraphs
    rows: dict[str, str] = field(default_factory=dict)  # by label
    example: list[str] = field(default_factory=list)

    @property
    def first(self) -> str:
        """One line for a list."""
        return self.formula or self.title


def words_of(own: str, file: str, *, shared: bool) -> Words:
    """`own` is the docstring of a member, `file` that of its file, which it may share with others.

    >>> words_of("y = x². Even.\\n\\nUse: rarely.", "A parabola. Apollonius & Pappus.", shared=False)
    Words(title='A parabola', formula='y = x². Even.', body=[], rows={'Use': 'rarely.', 'Source': 'Apollonius & Pappus.'}, example=[])
    """
    found, rest = Words(), Words()
    taken_apart(own, found)
    taken_apart(file, rest)
    if not shared:
        found.title, further = headline(rest.formula)
        if "Source" not in found.rows and CITES.search(further):
            found.rows["Source"] = further
        elif further and not CITES.search(further):
            found.body.insert(0, further)
        if "Source" not in found.rows | rest.rows and CITES.search(found.title):
            found.rows["Source"] = found.title
    found.body += rest.body
    found.rows = rest.rows | found.rows
    if not found.formula:
        found.formula, found.title = found.title, ""
    return found


def headline(paragraph: str) -> tuple[str, str]:
    """The first sentence, and what follows it.

    >>> headline("A straight line; the curve of torch's `LinearLR`."), headline("A straight line.")
    (('A straight line', "the curve of torch's `LinearLR`."), ('A straight line', ''))
    """
    found = re.match(r"(.+?)(?:[.;]|(?<=[?]))(?:\s+|$)(.*)", paragraph)
    if found is None:
        return paragraph, ""
    title, further = found.groups()
    named, colon, source = title.partition(": ")
    if colon and not further and CITES.search(source):  # whose curve it is, behind a colon
        return named, source if source.endswith(".") else f"{source}."
    return title, further


def taken_apart(text: str, into: Words) -> None:
    """Sorts the paragraphs of a docstring: the first, labelled ones, an example, the others."""
    lines = inspect.cleandoc(text).splitlines()
    paragraph: list[str] = []
    label = ""

    def close() -> None:
        nonlocal label
        drawn = any(DRAWN.search(one) for one in paragraph)  # a table or an aligned formula stays as it is
        joined = "\n".join(paragraph) if drawn and not label else " ".join(" ".join(paragraph).split())
        paragraph.clear()
        if label and joined:
            into.rows[label] = f"{into.rows[label]} {joined}" if label in into.rows else joined
        elif joined and not into.formula:
            into.formula = joined
        elif joined:
            into.body.append(joined)
        label = ""

    in_example = False
    for line in lines:
        in_example = line.startswith(">>>") or (in_example and bool(line.strip()))
        if in_example:
            close()
            into.example.append(line)
            continue
        named = LABEL.match(line)
        if named or not line.strip() or BULLET.match(line):
            close()
        if named:
            label = named.group(1)
            paragraph.append(named.group(2))
        elif line.strip():
            paragraph.append(line)
    close()


def row(label: str, text: str, width: int) -> str:
    """A label, and a text that hangs beside it."""
    gap = " " * INDENT
    return textwrap.fill(
        f"{label:<{INDENT - 1}} {text}", width, subsequent_indent=gap, break_on_hyphens=False, break_long_words=False
    )


def wrapped(paragraph: str, width: int) -> str:
    """A paragraph; the lines of a bullet hang, those of a table stay apart."""
    if "\n" in paragraph and not BULLET.match(paragraph):
        return "\n".join(beside(entry, width) for entry in entries(paragraph))
    paragraph = " ".join(paragraph.split())
    hang = "  " if BULLET.match(paragraph) else ""
    return textwrap.fill(paragraph, width, subsequent_indent=hang, break_on_hyphens=False, break_long_words=False)


def entries(table: str) -> list[str]:
    """The entries of a table, a deeper line joined to the one above."""
    found: list[str] = []
    for line in textwrap.dedent(table).splitlines():
        if line.startswith(" ") and found:
            found[-1] += " " + line.strip()
        else:
            found.append(line)
    return found


def beside(line: str, width: int) -> str:
    """A label, two blanks or more, and a text, in lines that fit."""
    gap = re.search(r"(?<=\S) {2,}(?=\S)", line)
    gap = gap if gap and gap.end() < width / 2 else None
    hang = " " * (gap.end() if gap else len(line) - len(line.lstrip()))
    return textwrap.fill(line, width, subsequent_indent=hang, break_on_hyphens=False, break_long_words=False)


def arguments(member: Any, without: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Name, default and kind of each argument that a user sets; none for a member built in C."""
    try:
        parameters = inspect.signature(member).parameters.values()
    except (TypeError, ValueError):
        return []
    fixed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        (one.name, "" if one.default is one.empty else shown(one.default), kind_of(one.annotation))
        for one in parameters
        if one.name not in without and one.kind not in fixed and not one.name.startswith("_")
    ]


def shown(default: Any) -> str:
    """A default; a share such as 1/3 as what it is.

    >>> shown(1 / 3), shown("1-sqrt"), shown(1e-5), shown((0.9, 0.999))
    ('1/3', '"1-sqrt"', '1e-05', '(0.9, 0.999)')
    """
    if isinstance(default, str):
        return f'"{default}"'
    if isinstance(default, float) and len(repr(default)) > 12:
        near = next((n for n in range(2, 100) if abs(default * n - round(default * n)) < 1e-12), 0)
        return f"{round(default * near)}/{near}" if near else f"{default:.6g}"
    return repr(default)


def kind_of(annotation: Any) -> str:
    """A type as words: the choices of a `Literal`, else the names without their modules."""
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"\b(?:[A-Za-z_]+\.)+(?=[A-Za-z])", "", text)
    text = re.sub(
        r"Union\[(.*)\]$",
        lambda found: found.group(1).replace(", ", " | ") if "[" not in found.group(1) else found.group(0),
        text,
    )
    text = re.sub(r"Literal\[([^\]]*)\]", lambda found: found.group(1).replace("'", "").replace(", ", " | "), text)
    text = re.sub(r"Annotated\[([^,\]]*)[^\]]*\]", r"\1", text)
    return re.sub(r"Union\[(.*)\]$", lambda found: found.group(1).replace(", ", " | "), text)


def argument_lines(found: list[tuple[str, str, str]], width: int, path: str = "") -> list[str]:
    """Arguments below each other; `path` is where a recipe gives them."""
    if not found:
        return []
    longest = max(len(f"{name} = {default}" if default else name) for name, default, _ in found)
    lines = ["Arguments" + (f", each by --set {path}.<name>=<value>" if path else "")]
    for name, default, kind in found:
        left = f"{name} = {default}" if default else name
        lines.append(f"  {left:<{min(longest, 40)}}  {kind}".rstrip())
    return [line if len(line) <= width else line[: width - 2].rsplit(" ", 1)[0] + " …" for line in lines]
