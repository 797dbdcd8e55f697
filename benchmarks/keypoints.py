"""The ladder of `cases/keypoints`: what each step of the classic tutorial on facial keypoints gains on persons not seen.

3,499 faces of 287 persons at 48x48, 15 points, two thirds of the rows without most of them, as in the Kaggle file. The parts are divided by person.
RMSE in pixels of the 96x96 picture over the coordinates that are there, pooled over the seeds; in brackets the 95 % interval over persons (2,000
resamples). The gain is against the rung above, on the same test persons, paired; test persons are looked at once, with weights that the
validation persons chose. Every rung and seed has the same minutes, but `wide` twice as many and `specialists` those of `wide` before
it; the epochs that fit are found by a rehearsal in seconds of the processor, so they differ from machine to
machine. `convolutional`, `flips`, `ramps` and `dropout` have as
many epochs as each other, and all seeds of a rung too; the seconds are what they took, more than the budget where the machine had other work.

The full measurement is 20 minutes a rung and 3 seeds; a ladder of 2 minutes and one seed shows what can be seen in 20 minutes in all, and leaves
most nets far from their end. `python benchmarks/run keypoints --only '"minutes": 2,'` measures that one alone. It reads the faces from the
folder that TUNESMITH_SHARED names, and trains in `runs/`, where a stopped rung goes on. `python benchmarks/keypoints.py` writes the table
into `cases/keypoints/README.md`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tables import Row, read_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the cases lie beside the benchmarks

LADDERS = ((2, 1), (20, 3))  # minutes a rung, seeds
SIZE = 48
README = ROOT / "cases" / "keypoints" / "README.md"
BEGIN, END = "<!-- table: python benchmarks/keypoints.py -->", "<!-- end of table -->"


def cases() -> list[dict[str, Any]]:
    from cases.keypoints.rungs import BESIDE, RUNGS

    found = [
        {"minutes": minutes, "size": SIZE, "rung": name, "seed": seed}
        for minutes, seeds in LADDERS
        for seed in range(seeds)
        for name in (*(rung.name for rung in RUNGS if rung.net is not None or not seed), *BESIDE)
    ]
    return sorted(found, key=lambda case: case["rung"] == "ensemble")  # at the end: it averages what is there


def measure(case: dict[str, Any]) -> dict[str, Any]:
    import torch

    from cases.keypoints.command import opened
    from cases.keypoints.ladder import Budget
    from cases.keypoints.reading import BadFaces

    torch.set_num_threads(1)
    place = ROOT / "runs" / f"keypoints-{case['size']}-{case['minutes']}min"
    try:
        ladder = opened(None, None, case["size"], str(place), Budget(case["minutes"]))
    except BadFaces as error:
        raise SystemExit(f"{error}; set TUNESMITH_SHARED to the folder that holds data/keypoints") from error
    ladder.settle()
    return {name: value for name, value in ladder.row(case["rung"], case["seed"]).items() if name not in case}


def table(rows: Sequence[Row]) -> str:
    """A table for each budget."""
    from cases.keypoints.table import chosen_members
    from cases.keypoints.table import table as ladder_table

    told = []
    for minutes in sorted({row["case"]["minutes"] for row in rows}):
        found = [{**row["case"], **row["measured"]} for row in rows if row["case"]["minutes"] == minutes]
        seeds = len({row["seed"] for row in found})
        told += [f"{minutes} minutes a rung, {seeds} seed{'s' if seeds > 1 else ''}:", ladder_table(found)]
        told += filter(None, [chosen_members(found)])
    return "\n\n".join(told)


def written(text: str, rows: Sequence[Row]) -> str:
    """A page with the table of these rows between its marks."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{table([row for row in rows if 'measured' in row])}\n\n{END}{tail}"


if __name__ == "__main__":
    kept = read_rows(ROOT / "benchmarks" / "results" / "keypoints.jsonl")
    README.write_text(written(README.read_text("utf-8"), kept), encoding="utf-8")
