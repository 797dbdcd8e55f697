"""Curves as text."""

import io

import numpy as np
import pytest

from tunesmith.reports.plot import BRAILLE, DOTS, Look, curve, look_of, sparkline, upright, words

X = np.arange(101)


def points(drawing: str, height: int) -> dict[int, list[int]]:
    """Of each column of braille points the rows that are set, counted from below."""
    found: dict[int, list[int]] = {}
    rows = [line for line in drawing.splitlines() if "┤" in line or "│" in line]
    assert len(rows) == height
    for n, line in enumerate(rows):
        letters = line[line.index("┤" if "┤" in line else "│") + 1 :]
        for column, letter in enumerate(letters):
            bits = ord(letter) - BRAILLE if BRAILLE <= ord(letter) < BRAILLE + 256 else 0
            for side in range(2):
                for up in range(4):
                    if bits & DOTS[side, up]:
                        found.setdefault(2 * column + side, []).append(4 * (height - 1 - n) + up)
    return found


def test_the_dots_are_those_of_unicode() -> None:
    assert chr(BRAILLE + DOTS.sum()) == "⣿"
    assert chr(BRAILLE + DOTS[0].sum()) == "⡇"
    assert chr(BRAILLE + DOTS[:, 3].sum()) == "⠉"  # the highest row


def test_a_straight_line_rises_by_the_same_everywhere() -> None:
    drawing = curve(X, X / 100.0, labels=("x", "y"), look=Look(60), height=10)

    found = points(drawing, 10)

    middle = [np.mean(found[column]) for column in sorted(found)]
    assert len(middle) == len(set(found)) == 2 * (60 - len("0.5") - 3)
    np.testing.assert_allclose(middle, np.linspace(0, 39, len(middle)), atol=1.0)


def test_a_leap_is_a_wall_and_a_gap_stays_empty() -> None:
    many = np.arange(1001)

    leap = points(curve(many, (many >= 500) * 1.0, labels=("x", "y"), look=Look(60), height=10), 10)
    gap = points(
        curve(
            many, np.where((many > 400) & (many < 600), np.nan, 1.0 * many), labels=("x", "y"), look=Look(60), height=10
        ),
        10,
    )

    assert max(len(rows) for rows in leap.values()) == 40
    assert 15 < 2 * (60 - len("1000") - 3) - len(gap) < 30


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
def test_a_drawing_fits_its_width(width: int, plain: bool, scale: float) -> None:
    drawing = curve(
        X,
        np.cos(X / 9) * scale,
        labels=("updates made", "rate"),
        look=Look(width, plain),
        marks=[(50, "here"), (52, "there")],
    )

    assert max(map(len, drawing.splitlines())) <= max(width, 30)
    assert drawing.isascii() == plain


def test_marks_have_their_word_where_there_is_room() -> None:
    assert words([(0, "one"), (4, "two"), (5, "three"), (17, "four")], 20) == "one two       four  "

    drawing = curve(X, X * 0.0 + 1, labels=("x", "y"), look=Look(40), marks=[(50, "middle")], y_range=(0, 1))
    assert "middle" in drawing.splitlines()[1]
    assert drawing.count("┊") == 11  # all rows but the one of the curve


def test_the_axes_name_round_numbers_and_what_they_count() -> None:
    drawing = curve(
        np.arange(1000),
        np.ones(1000),
        labels=("updates made", "rate"),
        look=Look(80),
        x_range=(0, 1000),
        y_range=(0, 0.1),
        whole=True,
    )

    lines = drawing.splitlines()
    assert lines[0] == "rate"
    assert [line.split()[0] for line in lines if "┤" in line] == ["0.1", "0.08", "0.06", "0.04", "0.02", "0"]
    assert lines[-2].split() == ["0", "200", "400", "600", "800", "1,000"]
    assert lines[-1].strip() == "updates made"


def test_a_constant_one_point_and_nothing_finite_are_drawn() -> None:
    for y in (np.zeros(5), np.full(5, 3.0), np.full(5, np.nan)):
        assert curve(np.arange(5), y, labels=("x", "y"), look=Look(40))
    assert curve(np.zeros(1), np.ones(1), labels=("x", "y"), look=Look(40))


class Stream(io.StringIO):
    def __init__(self, encoding: str, tty: bool) -> None:
        super().__init__()
        self._encoding, self._tty = encoding, tty

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(
    ("encoding", "tty", "environment", "plain", "colours"),
    [
        ("utf-8", True, {}, False, True),
        ("utf-8", True, {"NO_COLOR": "1"}, False, False),
        ("utf-8", True, {"NO_COLOR": ""}, False, True),  # as no-color.org says: empty does not count
        ("utf-8", True, {"TERM": "dumb"}, False, False),
        ("utf-8", True, {"TERM": "linux"}, True, True),
        ("utf-8", False, {}, False, False),
        ("ascii", False, {}, True, False),
        ("latin-1", True, {}, True, True),
        ("", False, {}, True, False),
    ],
)
def test_what_a_place_can_show(encoding, tty, environment, plain, colours) -> None:
    assert look_of(Stream(encoding, tty), 80, environment) == Look(80, plain, colours)


def test_colours_are_escape_codes_that_end() -> None:
    drawing = curve(X, X / 1.0, labels=("x", "y"), look=Look(40, colours=True))

    assert drawing.count("\x1b[36m") == drawing.count("\x1b[0m") > 10
    assert "\x1b" not in curve(X, X / 1.0, labels=("x", "y"), look=Look(40))


def test_short_forms() -> None:
    assert sparkline(np.array([0.0, 1.0, 0.5]), 3) == "▁█▅"
    assert sparkline(np.zeros(4), 4) == "▁▁▁▁"
    assert upright(np.array([0.0, 1.0, 2.0]), look=Look(), height=2) == ["  █", " ██"]
