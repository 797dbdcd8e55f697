import gzip
from pathlib import Path

import numpy as np
import pytest

from cases.keypoints.points import COLUMNS, columns_of
from cases.keypoints.reading import BadFaces, read, reduced
from cases.keypoints.splitting import divided, part_of
from tests.cases.faces import synthetic, write_kaggle, write_zip


@pytest.mark.parametrize("name", ["training.csv", "training.csv.gz"])
def test_a_kaggle_file_comes_back_as_it_was_written(tmp_path: Path, name: str) -> None:
    faces = synthetic(6, 2)

    found = read(write_kaggle(faces, tmp_path / name))

    np.testing.assert_array_equal(found.pictures, faces.pictures)
    np.testing.assert_array_equal(found.points, faces.points)
    assert np.isnan(found.points[1]).sum() == 22
    assert len(set(found.persons.tolist())) == 6  # it names no persons: each picture is one


def test_pictures_in_a_zip_and_in_a_folder_have_the_persons_of_their_table_and_no_masked_points(tmp_path: Path) -> None:
    import zipfile

    faces = synthetic(4, 2)
    place = write_zip(faces, tmp_path / "faces.zip", hidden="nose_tip")
    with zipfile.ZipFile(place) as archive:
        archive.extractall(tmp_path)

    zipped, table = read(place), tmp_path / "faces_keypoints15.csv.gz"
    unzipped = read(tmp_path / "faces", table)

    nose = columns_of(("nose_tip",))
    kept = [column for column in range(len(COLUMNS)) if column not in nose]
    for found in (zipped, unzipped):
        np.testing.assert_array_equal(found.pictures, faces.pictures)
        np.testing.assert_array_equal(found.points[:, kept], faces.points[:, kept])
        assert np.isnan(found.points[:, nose]).all()
        assert found.persons.tolist() == ["person 0", "person 1", "person 0", "person 1"]


def test_pictures_reduced_to_half_have_half_the_coordinates_and_the_mean_of_four_pixels() -> None:
    faces = synthetic(3, 1)

    small = reduced(faces, 48)

    assert small.size == 48
    np.testing.assert_array_equal(small.points, faces.points / 2)
    assert small.pictures[1, 5, 7] == np.rint(faces.pictures[1, 10:12, 14:16].mean())
    with pytest.raises(BadFaces, match="cannot be reduced to 50"):
        reduced(faces, 50)


def _changed(tmp_path: Path, before: str, after: str) -> Path:
    path = write_kaggle(synthetic(3, 1), tmp_path / "training.csv")
    path.write_text(path.read_text("utf-8").replace(before, after, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("nose_tip_x", "nose_x", "has no column 'nose_tip_x'; the header of the Kaggle file was expected"),
        (",Image", ",Picture", "no column 'Image'"),
        ("\n", "\nleft,", "line 2: the row has not as many cells as the header"),
        (" ", "x ", "line 2: Image holds 9216 values, 9,216 numbers of 0 to 255"),
        (" ", " 300 ", "line 2: Image holds 9217 values"),
    ],
)
def test_a_bad_kaggle_file_is_refused_in_one_sentence(tmp_path: Path, before: str, after: str, said: str) -> None:
    path = _changed(tmp_path, before, after)

    with pytest.raises(BadFaces, match=said) as raised:
        read(path)

    assert "\n" not in str(raised.value)


def test_a_coordinate_that_is_no_number_is_named_with_its_line(tmp_path: Path) -> None:
    faces = synthetic(3, 1)
    path = write_kaggle(faces, tmp_path / "training.csv")
    lines = path.read_text("utf-8").splitlines()
    lines[2] = "far" + lines[2][lines[2].index(",") :]
    path.write_text("\n".join(lines), encoding="utf-8")

    with pytest.raises(BadFaces, match=r"training\.csv, line 3: left_eye_center_x is 'far'; a number of pixels"):
        read(path)


def test_what_is_not_there_or_no_table_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.csv.gz").write_bytes(b"no gzip")
    (tmp_path / "header.csv.gz").write_bytes(gzip.compress(",".join([*COLUMNS, "Image"]).encode()))
    place = write_zip(synthetic(2, 1), tmp_path / "faces.zip")
    (tmp_path / "table.csv").write_text(f"row,person_id,{','.join(COLUMNS)}\n7,a{',' * 30}\n", encoding="utf-8")

    for data, points, said in (
        (tmp_path / "nowhere.csv", None, "there is no"),
        (tmp_path / "broken.csv.gz", None, "cannot be read as a table"),
        (tmp_path / "header.csv.gz", None, "no rows below its header"),
        (tmp_path / "empty", None, "no table of points lies beside empty"),
        (tmp_path / "empty", tmp_path / "table.csv", "holds no pictures"),
        (place, tmp_path / "table.csv", "line 2: there is no picture '7' in faces.zip"),
    ):
        with pytest.raises(BadFaces, match=said):
            read(data, points)


def test_the_shared_sample_of_the_kaggle_file_is_read(shared: Path) -> None:
    faces = read(shared / "data" / "keypoints" / "training_kaggle_format_200.csv.gz")

    assert faces.pictures.shape == (200, 96, 96)
    assert (~np.isnan(faces.points)).all(axis=1).sum() == 55
    present = faces.points[~np.isnan(faces.points)]
    assert present.min() > -10
    assert present.max() < 106


def test_no_person_is_in_two_parts_and_the_rule_knows_no_order() -> None:
    faces = synthetic(60, 20)
    turned = faces.take(np.arange(60)[::-1])

    parts, other = divided(faces), divided(turned)

    held = [set(part.persons.tolist()) for part in (parts.train, parts.val, parts.test)]
    assert sum(map(len, held)) == len(set.union(*held)) == 20
    assert held == [set(part.persons.tolist()) for part in (other.train, other.val, other.test)]
    named = [part_of(str(number)) for number in range(4000)]
    assert abs(named.count("test") / 4000 - 0.15) < 0.02
    assert abs(named.count("val") / 4000 - 0.15) < 0.02


def test_faces_of_one_person_cannot_be_divided() -> None:
    with pytest.raises(BadFaces, match="of 1 persons none falls into the part"):
        divided(synthetic(5, 1))
