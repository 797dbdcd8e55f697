"""Validation faces with the true points in green and the predicted ones in red. Written into the run folder and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np

from cases.keypoints.points import SIDE
from cases.keypoints.reading import Faces

Array = np.ndarray[Any, Any]
SHOWN, COLUMNS, SCALE = 16, 4, 3
TRUE, SAID = (0, 220, 60), (255, 40, 40)


def draw(faces: Faces, predicted: Array, file: Path) -> None:
    """A sheet of 16 faces, spread evenly over the rows; `predicted` (N, 30) in pixels of 96."""
    from PIL import Image, ImageDraw

    rows = np.unique(np.linspace(0, len(faces) - 1, min(SHOWN, len(faces))).astype(int))
    side = SIDE * SCALE
    sheet = Image.new("RGB", (COLUMNS * side, -(-len(rows) // COLUMNS) * side))
    pen = ImageDraw.Draw(sheet)
    for place, row in enumerate(rows):
        corner = (place % COLUMNS * side, place // COLUMNS * side)
        sheet.paste(Image.fromarray(faces.pictures[row]).resize((side, side)), corner)
        for points, colour in ((faces.points[row] * (SIDE / faces.size), TRUE), (predicted[row], SAID)):
            for x, y in points.reshape(-1, 2):
                if np.isfinite(x) and np.isfinite(y):
                    at = corner[0] + x * SCALE, corner[1] + y * SCALE
                    pen.ellipse((at[0] - 3, at[1] - 3, at[0] + 3, at[1] + 3), outline=colour, width=2)
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file)
