"""How embeddings lie: their health by update, a projection to two dimensions, and for pictures the nearest of some."""

import numpy as np

from tunesmith.reports.facts import Array, Facts
from tunesmith.reports.markup import Html, Section, figure, section, tag
from tunesmith.reports.sections.made import CHANNELS, sheet
from tunesmith.reports.svg import Line, chart

FILE = "samples/embeddings.npz"
ASKED, NEAREST = 8, 7  # pictures whose neighbours are shown, and how many: a sheet of 8 by 8
HEALTH = {  # what is drawn, and how it is called
    "embedding_rank": "effective rank",
    "embedding_spread_normalised": "spread of directions",
    "embedding_spread": "raw spread",
    "embedding_shared": "directions that two views share",
    "alignment": "alignment",
    "uniformity": "uniformity",
}


def embeddings(facts: Facts) -> Section | None:
    """None for a run that embeds nothing."""
    drawn = [one for name, said in HEALTH.items() if (one := course(facts, name, said)) is not None]
    place = facts.folder / FILE
    shown: list[Html] = []
    if place.is_file():
        with np.load(place, allow_pickle=False) as stored:
            rows, seen = stored["rows"], stored["embeddings"]
        shown = [projection(seen), *neighbours(rows, seen)]
    if not drawn and not shown:
        return None
    words = (
        "Of two views of a fixed sample of rows. A collapse makes the spread of directions fall to 0, or the effective rank, or the raw "
        "spread; what falling means is seen beside the start."
    )
    return section(
        "embeddings", "Embeddings", tag("p", words, class_="aside"), tag("div", *drawn, *shown, class_="charts")
    )


def course(facts: Facts, name: str, said: str) -> Html | None:
    """One number by update, of the looks of a watch or of evaluations."""
    if name in facts.curves:
        steps, values = facts.curves[name].steps, facts.curves[name].mean
    else:
        told = [(row["step"], row[name]) for row in facts.evaluations if row.get(name) is not None]
        if not told:
            return None
        steps, values = (np.array(column, dtype=float) for column in zip(*told, strict=True))
    return figure(chart([Line(said, steps, values)], labels=("update", said)), said.capitalize())


def projection(seen: Array) -> Html:
    """The first two principal components."""
    centred = seen - seen.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    flat = np.zeros((len(seen), 2))
    flat[:, : min(2, len(axes))] = centred @ axes[:2].T
    part = float((sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-300))
    words = f"Two principal components, {part:.0%} of the variance"
    return figure(
        chart([Line("rows", flat[:, 0], flat[:, 1], 1, "points")], labels=("first", "second"), square=True), words
    )


def neighbours(rows: Array, seen: Array) -> list[Html]:
    """For pictures: some, each at the left of its line, and those whose embeddings point most alike."""
    if rows.ndim != 4 or rows.shape[1] not in CHANNELS or len(rows) < ASKED + NEAREST:
        return []
    lengths = np.linalg.norm(seen, axis=1, keepdims=True)
    directed = seen / np.where(lengths > 0, lengths, 1)
    alike = directed[:ASKED] @ directed.T
    alike[np.arange(ASKED), np.arange(ASKED)] = np.inf  # itself comes first
    order = np.argsort(-alike, axis=1)[:, : NEAREST + 1]
    name = "first of each line: a row; beside it its nearest"
    return [figure(sheet(rows[order.ravel()], float(rows.min()), float(rows.max()), name), "Nearest neighbours")]
