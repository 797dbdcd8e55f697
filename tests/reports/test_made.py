"""Samples of a generator on the page: a cloud, sheets of pictures, columns; nothing where there are none."""

import base64
import io
import re

import numpy as np
from PIL import Image

from tunesmith.reports.sections.made import cloud, drawn, moments, sheet


def test_a_cloud_has_a_dot_for_each_sample_inside_and_the_range_of_the_data() -> None:
    real = np.array([[0.0, 0.0], [1.0, 1.0]])
    stray = np.array([[0.5, 0.5], [1e6, 0.5]])

    drawing = str(cloud(real, stray))

    places = [float(one) for one in re.findall(r'cx="(-?[\d.]+)"', drawing)]
    assert len(places) == 4
    assert len({round(place) for place in places[:3]}) == 3  # the stray one does not press the others together


def test_a_sheet_holds_the_pictures_in_reading_order() -> None:
    pictures = np.zeros((10, 1, 20, 30))
    pictures[9] = 1.0

    found = re.search(r"base64,([^\"]+)", str(sheet(pictures, 0.0, 1.0, "made")))

    assert found is not None
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.group(1)))))
    assert image.shape == (2 * 20, 8 * 30)
    assert (image[20:, 30:60] == 255).all()  # the tenth: second row, second place
    assert image.sum() == 255 * 600


def test_small_pictures_are_shown_large_enough_to_be_seen() -> None:
    found = re.search(r"base64,([^\"]+)", str(sheet(np.eye(8).reshape(1, 1, 8, 8), 0.0, 1.0, "made")))

    assert found is not None
    assert Image.open(io.BytesIO(base64.b64decode(found.group(1)))).size == (8 * 40, 40)


def test_colours_stay_colours() -> None:
    pictures = np.zeros((1, 3, 2, 2))
    pictures[0, 2] = 1.0

    assert str(drawn(pictures, pictures)).count("image/png") == 2


def test_wide_rows_become_a_table_that_tells_what_is_left_out() -> None:
    rows = np.arange(40.0).reshape(2, 20)

    shown = str(moments(rows, rows))

    assert "8 more columns" in shown
    assert str(drawn(rows, rows)) == shown
