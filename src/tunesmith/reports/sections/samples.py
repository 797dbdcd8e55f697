"""The rows that the model got most wrong: pictures, texts or table rows."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.reports.facts import Facts
from tunesmith.reports.markup import Html, Section, section, table, tag
from tunesmith.reports.wording import count, number, percent, score

MOST = 36
LONGEST = 600  # letters of a text
MOST_VALUES = 12  # columns of a table row
LARGE = 24 * 1024  # bytes of a picture as it is: MOST of them, written as text, are 1.2 MB
SHOWN = 260  # pixels of the longer side: twice what a card is wide, for fine screens


def samples(facts: Facts) -> Section | None:
    """The test rows of largest loss."""
    if not facts.samples or not facts.samples.get("items"):
        return None
    items = facts.samples["items"][:MOST]
    kind = facts.samples["kind"]
    shown = {"pictures": pictures, "text": texts, "table": rows}[kind](items, facts.folder)
    words = "The test rows of largest loss, worst first: wrong labels and hard cases are both found here."
    return section("samples", "Most wrong", tag("p", words, class_="aside"), shown)


def pictures(items: list[Mapping[str, Any]], folder: Path) -> Html:
    """A card for each picture, which travels inside the page."""
    cards = [tag("div", image(item, folder), tag("div", *verdict(item)), class_="card") for item in items]
    return tag("div", *cards, class_="cards")


def image(item: Mapping[str, Any], folder: Path) -> Html:
    path = folder / item["picture"] if item.get("picture") else None
    if path is None or not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        return tag("div", "no picture", class_="missing")
    return tag("img", src=inside(path), alt=f"row {item['row']}", title=item.get("name"))


def inside(path: Path) -> str:
    """A picture file as text of the page: as it is, or where it is large, as a small JPEG."""
    data, kind = path.read_bytes(), "png"
    if len(data) > LARGE:
        from PIL import Image

        with Image.open(path) as opened:
            small = opened.convert("RGB")
        small.thumbnail((SHOWN, SHOWN))
        stream = io.BytesIO()
        small.save(stream, format="JPEG", quality=85)
        data, kind = stream.getvalue(), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def verdict(item: Mapping[str, Any]) -> list[Html]:
    """Truth, prediction and where the row is."""
    sure = f" ({percent(item['probability'])})" if item.get("probability") is not None else ""
    name = f" · {item['name']}" if item.get("name") else ""
    return [
        tag("div", "is ", tag("b", item["truth"])),
        tag("div", "taken for ", tag("b", f"{item['prediction']}"), sure),
        tag("small", f"row {count(item['row'])}{name} · loss {number(item['loss'], 3)}"),
    ]


def texts(items: list[Mapping[str, Any]], folder: Path) -> Html:
    """One row a text, cut to a readable length."""
    shown = []
    for item in items:
        text = item.get("text") or ""
        cut = text if len(text) <= LONGEST else text[:LONGEST] + " …"
        shown.append(
            [
                count(item["row"]),
                tag("b", item["truth"]),
                tag("b", item["prediction"]),
                percent(item.get("probability")),
                tag("div", cut, class_="text"),
            ]
        )
    return table(["row", "is", "taken for", "sure", "text"], shown, numbers=(0, 3))


def rows(items: list[Mapping[str, Any]], folder: Path) -> Html:
    """One row a row, with its first columns."""
    names = list(dict.fromkeys(name for item in items for name in item.get("values") or ()))
    kept = names[:MOST_VALUES]
    sure = any(item.get("probability") is not None for item in items)
    heads = ["row", "is", "taken for", *(["sure"] if sure else []), "loss", *kept]
    shown = [
        [
            count(item["row"]),
            tag("b", item["truth"]),
            tag("b", item["prediction"]),
            *([percent(item.get("probability"))] if sure else []),
            score(item["loss"]),
            *(number((item.get("values") or {}).get(name)) for name in kept),
        ]
        for item in items
    ]
    more = len(names) - len(kept)
    note = [tag("p", f"{more} more columns are not shown.", class_="aside")] if more else []
    return tag("div", table(heads, shown, numbers=(0, 3, 4) if sure else (0, 3), class_="dense"), *note)
