"""Pieces of HTML. Text is escaped wherever it enters; only an `Html` passes as it is."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class Html(str):
    """A piece that is markup already."""

    __slots__ = ()


def text(value: Any) -> str:
    """`value` as it may stand in a page.

    >>> text("<b>"), text(Html("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    return value if isinstance(value, Html) else html.escape(str(value))


def tag(name: str, *inner: Any, **attributes: Any) -> Html:
    """One element. In attributes, a trailing underscore is dropped, others become dashes; None leaves one out.

    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    written = "".join(f' {key}="{html.escape(str(value))}"' for key, value in named.items())
    return Html(f"<{name}{written}>{''.join(text(piece) for piece in inner)}</{name}>")


def join(pieces: Iterable[Any]) -> Html:
    """Pieces one after the other."""
    return Html("".join(text(piece) for piece in pieces))


def table(
    heads: Sequence[Any], rows: Iterable[Sequence[Any]], *, numbers: Iterable[int] = (), class_: str = ""
) -> Html:
    """A table; `numbers` are the indices of columns that are set flush right."""
    right = set(numbers)

    def cells(name: str, row: Sequence[Any]) -> Html:
        return join(tag(name, cell, class_="n" if i in right else None) for i, cell in enumerate(row))

    head = tag("thead", tag("tr", cells("th", heads)))
    body = tag("tbody", *(tag("tr", cells("td", row)) for row in rows))
    return tag("div", tag("table", head, body, class_=class_ or None), class_="scroll")


def details(summary: str, *inner: Any, open_: bool = False) -> Html:
    """A part that folds."""
    body = join(inner)
    return Html(f"<details{' open' if open_ else ''}><summary>{text(summary)}</summary>{body}</details>")


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a page, which its table of contents names."""

    anchor: str
    title: str
    body: Html

    def html(self) -> Html:
        return tag("section", tag("h2", self.title), self.body, id=self.anchor)


def section(anchor: str, title: str, *inner: Any) -> Section:
    """One part of a page with its heading."""
    return Section(anchor, title, join(inner))


def figure(drawing: Html, caption: str) -> Html:
    """A drawing and what it shows."""
    return tag("figure", tag("figcaption", caption), drawing)
