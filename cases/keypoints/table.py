"""The ladder as a table in Markdown, from rows alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from cases.keypoints.judging import error, error_interval, gain, gain_interval
from cases.keypoints.rungs import BESIDE, NAMES, rung

Row = Mapping[str, Any]
HEADER = (
    "rung",
    "validation RMSE",
    "test RMSE",
    "gain on test",
    "parameters",
    "epochs",
    "seconds",
    "seeds",
)


def table(rows: Sequence[Row]) -> str:
    """A line a rung, in the order of the ladder; a gain is against the rung above that has rows. Below it what stands beside."""
    lines: list[list[str]] = []
    before: list[Row] = []
    for number, name in enumerate(NAMES):
        found = [row for row in rows if row["rung"] == name]
        if found:
            lines.append(line(f"{number} {rung(name).title}", found, before))
            before = found
    best = min(
        ([row for row in rows if row["rung"] == name] for name in NAMES if any(row["rung"] == name for row in rows)),
        key=lambda found: error([row["val"] for row in found]),
        default=[],
    )
    for name in BESIDE:
        found = [row for row in rows if row["rung"] == name]
        if found:
            lines.append(line(f"`tunesmith {name}`, against the best rung", found, best))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (HEADER, ["---"] * len(HEADER), *lines))


def line(title: str, rows: Sequence[Row], before: Sequence[Row]) -> list[str]:
    """Of one rung: errors and gain in pixels of 96 with their intervals, and what it took on average."""
    val, test = ([row[part] for row in rows] for part in ("val", "test"))
    gained = ""
    if before:
        old = [row["test"] for row in before]
        low, high = gain_interval(old, test)
        gained = f"{gain(old, test):+.3f} ({low:+.3f} to {high:+.3f})"
    alone = [error([one]) for one in test]
    seeds = f"{len(rows)}" + (f", test {min(alone):.3f} to {max(alone):.3f}" if len(rows) > 1 else "")
    took = [sum(row[name] for row in rows) / len(rows) for name in ("parameters", "epochs", "seconds")]
    return [
        title,
        within(error(val), error_interval(val)),
        within(error(test), error_interval(test)),
        gained,
        *(f"{value:,.0f}" if value else "" for value in took),
        seeds,
    ]


def within(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def chosen_members(rows: Sequence[Row]) -> str:
    """A sentence on what the ensemble is made of; nothing where there is none."""
    held = [row["members"] for row in rows if row["rung"] == "ensemble"]
    if not held:
        return ""
    told = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in held[-1].items())
    return f"The ensemble averages {told}."
