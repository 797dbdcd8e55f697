"""Where a classifier errs: confusion matrix, precision and recall of each class."""

import numpy as np

from tunesmith.reports.facts import Array, Facts
from tunesmith.reports.markup import Html, Section, details, join, section, table, tag
from tunesmith.reports.sections.headline import PARTS
from tunesmith.reports.svg import svg
from tunesmith.reports.wording import count, percent, score

MOST_NAMED = 20  # classes of a matrix with numbers in its cells
MOST_DRAWN = 400  # classes of a matrix that is a picture
MOST_PAIRS = 15


def confusion(facts: Facts) -> Section | None:
    """Truth by rows, prediction by columns, coloured by the share of the row."""
    cells = facts.part().get("confusion")
    if not cells:
        return None
    matrix = np.array(cells)
    labels = facts.classes or tuple(map(str, range(len(matrix))))  # of a stream they are not known: their indices
    shown = named(matrix, labels) if len(matrix) <= MOST_NAMED else drawn(matrix)
    words = f"Rows are the truth, columns the prediction ({PARTS[facts.judged]}); the colour is the share of the row."
    return section("confusion", "Confusion matrix", tag("p", words, class_="aside"), shown, pairs(matrix, labels))


def named(matrix: Array, classes: tuple[str, ...]) -> Html:
    """A table with counts and shares of the row."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    head = tag("tr", tag("th", "truth"), *(tag("th", label) for label in classes), tag("th", "rows"))
    rows = []
    for i, label in enumerate(classes):
        cells = [
            cell(int(matrix[i, j]), float(shares[i, j]), i == j, f"{label} → {classes[j]}") for j in range(len(classes))
        ]
        rows.append(tag("tr", tag("th", label), *cells, tag("td", count(int(matrix[i].sum())), class_="n")))
    return tag("div", tag("table", tag("thead", head), tag("tbody", *rows), class_="confusion"), class_="scroll")


def cell(many: int, share: float, right: bool, title: str) -> Html:
    style = f"--share:{100 * share:.1f}%"
    inner = join([tag("span", count(many)), tag("small", f"{100 * share:.1f} %")]) if many else Html("·")
    strong = " strong" if share > 0.55 else ""
    return tag("td", inner, class_=("hit" if right else "miss") + strong, style=style, title=title)


def drawn(matrix: Array) -> Html:
    """A picture of many classes: the cells that are not empty."""
    classes = len(matrix)
    if classes > MOST_DRAWN:
        return tag(
            "p", f"{classes} classes are too many to draw; the pairs most often confused follow.", class_="aside"
        )
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    size = 600 / classes
    squares = [
        f'<rect class="{"hit" if i == j else "miss"}" x="{j * size:.2f}" y="{i * size:.2f}" width="{size:.2f}" '
        f'height="{size:.2f}" fill-opacity="{0.15 + 0.85 * shares[i, j] ** 0.5:.2f}"/>'
        for i, j in zip(*np.nonzero(matrix), strict=True)
    ]
    frame = '<rect class="frame" x="0" y="0" width="600" height="600"/>'
    return tag("div", svg(600, 600, Html(frame + "".join(squares)), class_="matrix"), class_="narrow")


def pairs(matrix: Array, classes: tuple[str, ...]) -> Html:
    """The confusions that cost most."""
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    order = [i for i in np.argsort(-off, axis=None, kind="stable")[:MOST_PAIRS] if off.flat[i]]
    if not order:
        return tag("p", "No row was taken for another class.", class_="aside")
    totals = matrix.sum(1)
    rows = []
    for place in order:
        i, j = divmod(int(place), len(matrix))
        rows.append([classes[i], classes[j], count(int(off[i, j])), percent(off[i, j] / totals[i])])
    listed = table(["truth", "taken for", "rows", "share of the class"], rows, numbers=(2, 3))
    return details("Most frequent confusions", listed, open_=len(matrix) > MOST_NAMED)


def per_class(facts: Facts) -> Section | None:
    """Precision, recall and F1 of each class."""
    rows = facts.part().get("per_class")
    if not rows:
        return None
    heads = ["class", "precision", "recall", "F1", "rows"]
    ordered = sorted(rows, key=lambda row: row["f1"]) if len(rows) > MOST_NAMED else rows
    cells = [
        [str(row["label"]), meter(row["precision"]), meter(row["recall"]), meter(row["f1"]), count(int(row["support"]))]
        for row in ordered
    ]
    listed = table(heads, cells, numbers=(1, 2, 3, 4))
    if len(rows) > 2 * MOST_NAMED:
        listed = join(
            [table(heads, cells[:MOST_NAMED], numbers=(1, 2, 3, 4)), details(f"all {len(rows)} classes", listed)]
        )
    order = " Worst first." if len(rows) > MOST_NAMED else ""
    words = (
        f"Precision: share of the rows given this class that have it. Recall: share of its rows that were found.{order}"
    )
    return section("classes", "Classes", tag("p", words, class_="aside"), listed)


def meter(value: float | None) -> Html:
    """A number with a bar behind it; a dash for one that is undefined."""
    if value is None:
        return tag("span", "–", class_="meter", style="--share:0%")
    return tag("span", score(value), class_="meter", style=f"--share:{100 * value:.1f}%")
