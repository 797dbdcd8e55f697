"""The idx format of MNIST and its kin: a header of type and sizes, then the numbers, all big-endian; often gzipped.

Format: LeCun, Cortes & Burges, The MNIST database, "file formats": two zero bytes, type, number of dimensions, sizes.
"""

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.records import DataError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
TESTS = ("t10k", "test")  # what stands in the name of a test set where the training set has "train"


def read_idx(path: Path) -> Array:
    """The array of an idx file, gzipped or not (told by its first bytes, not by its ending)."""
    data = _unpacked(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or not data[3]:
        raise DataError(
            f"{path} is no idx file: it begins with {data[:4].hex(' ') or 'nothing'}, expected 00 00, a type "
            f"({', '.join(f'{code:02x}' for code in TYPES)}) and the number of dimensions; fetch it again"
        )
    dtype, dimensions = np.dtype(TYPES[data[2]]), data[3]
    start = 4 + 4 * dimensions
    shape = tuple(np.frombuffer(data, ">u4", min(dimensions, (len(data) - 4) // 4), 4).tolist())
    wanted = start + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(shape) < dimensions or len(data) != wanted:
        raise DataError(
            f"{path} is {'cut short' if len(data) < wanted else 'too long'}: its header promises "
            f"{'×'.join(map(str, shape))} numbers ({wanted:,} bytes), it holds {len(data):,} bytes; fetch it again"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def is_idx(path: Path) -> bool:
    """By its first bytes."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            head = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in TYPES


def labels_beside(pictures: Path) -> Path:
    """The file of labels that belongs to a file of pictures, found by its name."""
    names = _with_and_without_gz(_labels_name(pictures.name))
    for name in names:
        if name != pictures.name and (pictures.parent / name).is_file():
            return pictures.parent / name
    raise DataError(
        f"no labels for {pictures}: looked for {' and '.join(names)} beside it; name the file of labels with --labels"
    )


def held_out_beside(pictures: Path) -> Path | None:
    """The pictures of the test set that belong to a file of training pictures, where they lie beside it."""
    if "train" not in pictures.name:
        return None
    names = [name for test in TESTS for name in _with_and_without_gz(pictures.name.replace("train", test))]
    return next((pictures.parent / name for name in names if (pictures.parent / name).is_file()), None)


def _labels_name(pictures: str) -> str:
    """
    >>> _labels_name("train-images-idx3-ubyte.gz"), _labels_name("emnist-test-images.idx3")
    ('train-labels-idx1-ubyte.gz', 'emnist-test-labels.idx1')
    """
    return re.sub(r"idx\d", "idx1", re.sub(r"images?", "labels", pictures))


def _with_and_without_gz(name: str) -> tuple[str, str]:
    return (name, name.removesuffix(".gz")) if name.endswith(".gz") else (name, name + ".gz")


def _unpacked(path: Path) -> bytes:
    if not path.is_file():
        raise DataError(f"no file {path}; check the path")
    data = path.read_bytes()
    if data[:2] != GZIP:
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a gzip file that is cut short or damaged ({error}); fetch it again") from None
