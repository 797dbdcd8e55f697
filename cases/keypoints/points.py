"""The 15 points of a face, in the order of the Kaggle file; left is the left of the person, on the right of the picture."""

POINTS = (
    "left_eye_center",
    "right_eye_center",
    "left_eye_inner_corner",
    "left_eye_outer_corner",
    "right_eye_inner_corner",
    "right_eye_outer_corner",
    "left_eyebrow_inner_end",
    "left_eyebrow_outer_end",
    "right_eyebrow_inner_end",
    "right_eyebrow_outer_end",
    "nose_tip",
    "mouth_left_corner",
    "mouth_right_corner",
    "mouth_center_top_lip",
    "mouth_center_bottom_lip",
)
COLUMNS = tuple(f"{point}_{axis}" for point in POINTS for axis in "xy")
SIDE = 96  # pixels of a picture of the Kaggle file; every error is told in pixels of this size

# The specialists of the tutorial: points that are missing together are learnt together.
GROUPS = {
    "eye_centers": POINTS[0:2],
    "nose_tip": POINTS[10:11],
    "mouth_corners": POINTS[11:14],
    "mouth_bottom": POINTS[14:15],
    "eye_corners": POINTS[2:6],
    "eyebrows": POINTS[6:10],
}


def other_side(name: str) -> str:
    """The name of the same point, or column, on the other side of the face.

    >>> other_side("mouth_left_corner_x"), other_side("nose_tip_y")
    ('mouth_right_corner_x', 'nose_tip_y')
    """
    swapped = {"left": "right", "right": "left"}
    return "_".join(swapped.get(word, word) for word in name.split("_"))


def columns_of(points: tuple[str, ...]) -> list[int]:
    """Where the coordinates of some points stand among `COLUMNS`.

    >>> columns_of(("nose_tip",))
    [20, 21]
    """
    return [COLUMNS.index(f"{point}_{axis}") for point in points for axis in "xy"]


def swapped(columns: list[int]) -> list[int]:
    """For each of some columns the place, among them, of that of the other side.

    >>> swapped(columns_of(("left_eye_center", "right_eye_center")))
    [2, 3, 0, 1]
    """
    return [columns.index(COLUMNS.index(other_side(COLUMNS[column]))) for column in columns]
