"""What a generator makes beside real rows: pictures as sheets, rows of two numbers as a cloud, others column by column."""

import base64
import io

import numpy as np

from tunesmith.reports.facts import Array, Facts
from tunesmith.reports.markup import Html, Section, figure, section, table, tag
from tunesmith.reports.svg import Line, chart
from tunesmith.reports.wording import score

FILE = "samples/made.npz"
SHEET = 64  # pictures of a sheet
ACROSS = 8
LARGE, SMALL = 96, 40  # pixels that the longer side of a picture of a sheet takes at most, and about at least
COLUMNS = 12  # of a table
CHANNELS = {1: "L", 3: "RGB"}


def made(facts: Facts) -> Section | None:
    """The samples of the latest look; None for a run that makes none."""
    place = facts.folder / FILE
    if not place.is_file():
        return None
    with np.load(place, allow_pickle=False) as stored:
        real, samples = stored["real"], stored["made"]
    words = "Of the latest look: made from noise that is the same at every look, beside rows of the data."
    return section("made", "Made samples", tag("p", words, class_="aside"), drawn(real, samples))


def drawn(real: Array, samples: Array) -> Html:
    if real.ndim == 4 and real.shape[1] in CHANNELS:
        low, high = float(real.min()), float(real.max())
        sheets = [figure(sheet(one, low, high, name), name) for name, one in (("made", samples), ("data", real))]
        return tag("div", *sheets, class_="charts")
    flat, other = (one.reshape(len(one), -1) for one in (real, samples))
    return cloud(flat, other) if flat.shape[1] == 2 else moments(flat, other)


def cloud(real: Array, samples: Array) -> Html:
    """Both as points, the range being that of the data with a margin, so that a stray sample does not shrink the rest."""
    lines = [
        Line(name, one[:, 0], one[:, 1], colour, "points")
        for name, one, colour in (("data", real, 2), ("made", samples, 1))
    ]
    low, high = real.min(axis=0), real.max(axis=0)
    margin = 0.25 * np.maximum(high - low, 1e-12)
    x, y = ((float(low[i] - margin[i]), float(high[i] + margin[i])) for i in (0, 1))
    return figure(chart(lines, labels=("first column", "second column"), x_range=x, y_range=y, square=True), "Samples")


def moments(real: Array, samples: Array) -> Html:
    """Mean and deviation of the first columns."""
    rows = [
        [str(place + 1), *(score(float(number)) for number in (there.mean(), here.mean(), there.std(), here.std()))]
        for place, (there, here) in enumerate(zip(real.T[:COLUMNS], samples.T[:COLUMNS], strict=True))
    ]
    more = real.shape[1] - len(rows)
    note = [tag("p", f"{more} more columns are not shown.", class_="aside")] if more > 0 else []
    heads = ["column", "mean of the data", "mean made", "deviation of the data", "deviation made"]
    return tag("div", table(heads, rows, numbers=range(5)), *note)


def sheet(pictures: Array, low: float, high: float, name: str) -> Html:
    """Pictures (N, C, H, W) side by side; `low` is black and `high` white, as in the data."""
    from PIL import Image

    shown = np.clip((pictures[:SHEET] - low) / max(high - low, 1e-12), 0, 1)
    rows = -(-len(shown) // ACROSS)
    filled = np.zeros((rows * ACROSS, *shown.shape[1:]))
    filled[: len(shown)] = shown
    channels, height, width = shown.shape[1:]
    grid = filled.reshape(rows, ACROSS, channels, height, width).transpose(0, 3, 1, 4, 2)
    whole = (255 * grid.reshape(rows * height, ACROSS * width, channels)).round().astype(np.uint8)
    times = max(1, SMALL // max(height, width))  # a picture of 8 × 8 pixels is shown as such, not as a dot
    whole = whole.repeat(times, axis=0).repeat(times, axis=1)
    image = Image.fromarray(whole[..., 0] if channels == 1 else whole, CHANNELS[channels])
    image.thumbnail((ACROSS * LARGE, rows * LARGE))
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return tag("img", src=f"data:image/png;base64,{text}", alt=f"{name}: {len(shown)} samples", class_="sheet")
