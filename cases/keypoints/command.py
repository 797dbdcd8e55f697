"""The command of the case: trains what is missing of the ladder, writes the table and draws predictions.

    python -m cases.keypoints                                  the whole ladder: 20 minutes a rung, 3 seeds, 48x48
    python -m cases.keypoints --size 96 --folder runs/faces96
    python -m cases.keypoints --data training.csv --minutes 2 --seeds 1
    python -m cases.keypoints --rungs hidden convolutional     some rungs
    python -m cases.keypoints --rungs tune                     `tunesmith tune` on the same parts, in the minutes of a rung
    python -m cases.keypoints --rungs                          none: the table and the pictures anew

The data: a Kaggle `training.csv` (also .gz), or a folder or .zip of pictures with its table. Without --data, the faces below the folder that
TUNESMITH_SHARED names.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import tunesmith as ts
from cases.keypoints.drawing import draw
from cases.keypoints.ladder import Budget, Ladder, carry_out
from cases.keypoints.reading import BadFaces, read, reduced
from cases.keypoints.rungs import BESIDE, NAMES
from cases.keypoints.splitting import divided
from cases.keypoints.table import chosen_members, table

SHARED = "data/keypoints/faces_kp_a.zip"


def main(arguments: Sequence[str]) -> int:
    """Exit code 0, 2 for wrong use and bad data, 3 for a training that failed, 130 where it was stopped."""
    chosen = _parser().parse_args(arguments)
    try:
        ladder = opened(chosen.data, chosen.points, chosen.size, chosen.folder, Budget(chosen.minutes, chosen.epochs))
        rows = carry_out(ladder, chosen.rungs, chosen.seeds)
        told = "\n\n".join(filter(None, (table(rows), chosen_members(rows))))
        (ladder.folder / "table.md").write_text(told + "\n", encoding="utf-8")
        print(told)
        for file in drawn(ladder):
            print(f"drawn: {file}")
    except ts.TunesmithError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def opened(
    data: str | None, points: str | None, size: int, folder: str | None, budget: Budget, *, announce: bool = True
) -> Ladder:
    """The ladder meant: data read, reduced and divided, and its folder."""
    faces = read(data or shared_faces(), points)
    small = reduced(faces, size)
    parts = divided(small)
    spent = f"{budget.epochs}epochs" if budget.epochs else f"{budget.minutes:g}min"
    place = Path(folder) if folder else Path("runs") / f"keypoints-{size}-{spent}"
    place.mkdir(parents=True, exist_ok=True)
    if announce:
        people = {name: len(set(part.persons.tolist())) for name, part in vars(parts).items()}
        rows = {name: len(part) for name, part in vars(parts).items()}
        print(", ".join(f"{name}: {rows[name]:,} faces of {people[name]} persons" for name in rows))
        if small is not faces:
            print(f"pictures and coordinates reduced to {size}x{size}; errors are told in pixels of 96x96")
    return Ladder(place, parts, budget)


def shared_faces() -> str:
    """Where the faces lie that are too large for the repository."""
    shared = os.environ.get("TUNESMITH_SHARED", "")
    place = Path(shared) / SHARED
    if not shared or not place.exists():
        raise BadFaces("no data are named: give --data, a Kaggle training.csv or a folder or .zip of pictures")
    return str(place)


def drawn(ladder: Ladder) -> list[Path]:
    """A sheet for the first seed of each finished rung."""
    files = []
    for name in NAMES:
        held = ladder.place(name, 0) / "predictions.npz"
        if held.exists():
            files.append(ladder.folder / "pictures" / f"{name}.png")
            draw(ladder.parts.val, np.load(held)["val"], files[-1])
    return files


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cases.keypoints", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="training.csv, training.csv.gz, or a folder or .zip of pictures")
    parser.add_argument("--points", help="the table beside a folder or .zip, where it is not NAME_keypoints15.csv.gz")
    parser.add_argument("--folder", help="where everything is written; runs/keypoints-SIZE-BUDGET without it")
    parser.add_argument("--size", type=int, choices=(48, 96), default=48, help="pixels of a side that are trained on")
    parser.add_argument("--minutes", type=_minutes, default=20.0, help="of each rung and seed")
    parser.add_argument("--epochs", type=_count, help="of each rung and seed, in place of minutes")
    parser.add_argument("--seeds", type=_count, default=3, help="0, 1, 2 … of weights, order and flips")
    parser.add_argument(
        "--rungs",
        nargs="*",
        choices=(*NAMES, *BESIDE),
        default=NAMES,
        metavar="RUNG",
        help=", ".join((*NAMES, *BESIDE)),
    )
    return parser


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} came, minutes above 0 were expected")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} came, 1 or more was expected")
    return value
