import gzip
import struct

import numpy as np
import pytest

from tunesmith.data.idx import held_out_beside, is_idx, labels_beside, read_idx
from tunesmith.records import DataError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(array, code=0x08):
    big = array.astype(array.dtype.newbyteorder(">"))
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + big.tobytes()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["a-idx3-ubyte", "a-idx3-ubyte.gz", "anything.bin"])
def test_the_array_comes_back_whatever_the_ending_says(tmp_path, packed, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(idx(ARRAY)) if packed else idx(ARRAY))

    array = read_idx(path)

    assert is_idx(path)
    assert array.dtype == np.uint8
    assert (array == ARRAY).all()


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x09, np.int8), (0x0B, np.int16), (0x0C, np.int32), (0x0D, np.float32), (0x0E, np.float64)]
)
def test_every_type_of_the_format_is_read(tmp_path, code, dtype):
    array = np.array([-3, 0, 100], dtype)
    (tmp_path / "x").write_bytes(idx(array, code))

    found = read_idx(tmp_path / "x")

    assert found.dtype == dtype
    assert (found == array).all()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is no idx file: it begins with nothing"),
        (b"PK\x03\x04abcd", r"is no idx file: it begins with 50 4b 03 04, expected 00 00"),
        (b"\0\0\x07\x01\0\0\0\0", "is no idx file"),
        (idx(ARRAY)[:-1], r"cut short: its header promises 2×3×4 numbers \(40 bytes\), it holds 39 bytes"),
        (idx(ARRAY)[:10], "cut short"),
        (idx(ARRAY) + b"x", "too long: its header promises 2×3×4 numbers"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "cut short"),
        (gzip.compress(idx(ARRAY), mtime=0)[:-12], "gzip file that is cut short or damaged"),
        (b"\x1f\x8b" + b"rubbish" * 5, "gzip file that is cut short or damaged"),
    ],
)
def test_a_bad_file_gets_its_sentence(tmp_path, data, sentence):
    (tmp_path / "x").write_bytes(data)

    with pytest.raises(DataError, match=sentence):
        read_idx(tmp_path / "x")


def test_a_missing_file_gets_its_sentence(tmp_path):
    with pytest.raises(DataError, match=r"no file .*absent"):
        read_idx(tmp_path / "absent")


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("emnist-letters-test-images-idx3-ubyte.gz", "emnist-letters-test-labels-idx1-ubyte.gz"),
        ("image-idx3", "labels-idx1"),
    ],
)
def test_labels_are_found_by_name(tmp_path, pictures, labels):
    for name in (pictures, labels, "other-labels-idx1-ubyte"):
        (tmp_path / name).touch()

    assert labels_beside(tmp_path / pictures) == tmp_path / labels


def test_absent_labels_are_named(tmp_path):
    with pytest.raises(DataError, match=r"looked for train-labels-idx1-ubyte.gz and train-labels-idx1-ubyte beside it"):
        labels_beside(tmp_path / "train-images-idx3-ubyte.gz")


def test_a_file_is_never_its_own_labels(tmp_path):
    (tmp_path / "digits-idx1").touch()

    with pytest.raises(DataError, match="no labels for"):
        labels_beside(tmp_path / "digits-idx1")


@pytest.mark.parametrize("test", ["t10k-images-idx3-ubyte", "test-images-idx3-ubyte.gz"])
def test_a_test_set_beside_training_pictures_is_found(tmp_path, test):
    (tmp_path / test).touch()

    assert held_out_beside(tmp_path / "train-images-idx3-ubyte.gz") == tmp_path / test
    assert held_out_beside(tmp_path / test) is None
