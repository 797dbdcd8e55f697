"""Pictures: from idx files, folders and zip files by class, and arrays, to uint8 (N, C, H, W).

Legend: N pictures, C channels (1 grey, 3 colour), H height, W width.
"""

import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.idx import held_out_beside, is_idx, labels_beside, read_idx
from tunesmith.data.picture_files import ENDINGS, Folder, ImageSize, Single, Told, chosen_size, from_files, opened_zip
from tunesmith.data.spec import Array, Pictures, PictureSet, Table
from tunesmith.records import DataError, Finding
from tunesmith.records.sections import DataSection

SMALLEST_SIDE = 8  # assumption: a smaller array is no picture; scikit-learn's digits have 8
CHANNELS = frozenset({1, 3, 4})
LUMA = np.array([299, 587, 114], np.uint32)  # ITU-R BT.601, thousandths of red, green and blue


def read_pictures(
    path: str | Path,
    *,
    labels: str | Path | None = None,
    image_size: ImageSize = "auto",
    with_labels: bool = True,
    language: str = "en",
) -> PictureSet:
    """Pictures of an idx file, of a folder or .zip by class, or of one picture file, with labels where there are any.

    `image_size` is a side in pixels, (height, width), or "auto": the size that at least half the pictures have, else
    the median height and width; a longer side than 64 pixels becomes 64, the other in proportion, and that is said.
    A folder or zip may lie in one top folder and may hold train, val (valid, validation, dev) and test folders, which
    give the parts; hidden files are left out. Unreadable files up to 5 % are left out and named in a finding.
    Without `with_labels` (to predict) no labels are looked for and every picture counts, wherever it lies.
    """
    path, told = Path(path), Told(language)
    if not path.exists():
        raise DataError(f"no file or folder {path}; check the path")
    if path.is_dir():
        return from_files(Folder(path), path, image_size, told, with_labels=with_labels)
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        with opened_zip(path) as archive:
            return from_files(archive, path, image_size, told, with_labels=with_labels)
    if path.suffix.lower() in ENDINGS:
        return from_files(Single(path), path, image_size, told, with_labels=False)
    if is_idx(path) or "idx" in path.name:
        return _from_idx(path, labels, image_size, told, with_labels=with_labels)
    raise DataError(
        f"{path} holds no pictures that can be read; expected an idx file, a folder or .zip of pictures by class, or "
        f"one of {', '.join(sorted(ENDINGS))}"
    )


def as_pictures(array: Array) -> Array | None:
    """The array as uint8 (N, C, H, W) where it is pictures, else None.

    Pictures are uint8 with three axes (N, H, W), or with four of which the last (N, H, W, C) or the second (N, C, H, W)
    has 1, 3 or 4 entries; height and width are 8 or more. A copy is made only where channels come last.

    >>> as_pictures(np.zeros((5, 32, 24, 3), np.uint8)).shape
    (5, 3, 32, 24)
    >>> as_pictures(np.zeros((5, 30), np.uint8)) is None
    True
    """
    if array.dtype != np.uint8:
        return None
    if array.ndim == 3 and min(array.shape[1:]) >= SMALLEST_SIDE:
        return array[:, None]
    if array.ndim != 4:
        return None
    if array.shape[3] in CHANNELS and min(array.shape[1:3]) >= SMALLEST_SIDE:
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    if array.shape[1] in CHANNELS and min(array.shape[2:]) >= SMALLEST_SIDE:
        return array
    return None


class PicturesBlock:
    """One column of pictures: channels, size, mean and deviation of the training part.

    Pictures of another size or number of channels are brought to those of the training part, and `remarks` says so.
    """

    kind: ClassVar[str] = "pictures"

    def __init__(self, names: Sequence[str], settings: DataSection, language: str = "en") -> None:
        if len(names) != 1:
            raise DataError(f"{len(names)} columns of pictures ({', '.join(names)}), expected one; drop the others")
        self.names = tuple(names)
        self.settings = settings
        self.language = language
        self.notices: tuple[str, ...] = ()
        self.findings: tuple[Finding, ...] = ()
        self._spec: Pictures | None = None

    def fit(self, table: Table) -> None:
        pixels, told = self._pixels(table), Told(self.language)
        if not len(pixels):
            raise DataError(
                "no picture in the training part; give more data or smaller shares to data.val and data.test"
            )
        size = chosen_size(Counter({_size(pixels): len(pixels)}), self.settings.image_size, told)
        pixels = resized(pixels, size)
        mean, std = moments(pixels)
        _, channels, height, width = pixels.shape
        self._spec = Pictures(channels, height, width, mean, std)
        self.notices = tuple(told.notices)

    def transform(self, table: Table) -> Array:
        """uint8 (N, C, H, W), of the training part's C, H and W."""
        spec, pixels = self.spec(), self._pixels(table)
        if pixels.shape[1] != spec.channels:
            pixels = with_channels(pixels, spec.channels)
        return resized(pixels, (spec.height, spec.width))

    def remarks(self, table: Table) -> tuple[str, ...]:
        """What `transform` changes in the pictures of `table`."""
        spec, pixels, told = self.spec(), self._pixels(table), Told(self.language)
        if pixels.shape[1] != spec.channels:
            told.say("pictures.channels", came=pixels.shape[1], wanted=spec.channels)
        if _size(pixels) != (spec.height, spec.width):
            came = f"{pixels.shape[2]}×{pixels.shape[3]}"
            told.say("pictures.other_size", came=came, wanted=f"{spec.height}×{spec.width}")
        return tuple(told.notices)

    def inverse(self, pixels: Array) -> dict[str, Array]:
        """The pictures as the model sees them."""
        return {self.names[0]: pixels}

    def told(self, name: str) -> str:
        """What becomes of the pictures, for people."""
        spec = self.spec()
        mean, std = (" ".join(f"{value:.3f}" for value in values) for values in (spec.mean, spec.std))
        return f"{spec.channels}×{spec.height}×{spec.width}, (x / 255 - {mean}) / {std}"

    def spec(self) -> Pictures:
        assert self._spec is not None, "fit comes before transform"
        return self._spec

    def to_json(self) -> dict[str, Any]:
        plain = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.spec()).items()
        }
        return {"kind": self.kind, "names": list(self.names), **plain}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        block = cls(plain["names"], DataSection.model_validate({}))
        sizes = (plain["channels"], plain["height"], plain["width"])
        block._spec = Pictures(*sizes, tuple(plain["mean"]), tuple(plain["std"]))
        return block

    def _pixels(self, table: Table) -> Array:
        array = table[self.names[0]]
        pixels = as_pictures(array)
        if pixels is None:
            shape = "×".join(map(str, array.shape))
            raise DataError(
                f"column {self.names[0]!r} holds {array.dtype} of shape {shape}, expected pictures: uint8 (N, H, W), "
                "(N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels"
            )
        return pixels


def moments(pixels: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by channel of x / 255, exact: from counts of the 256 values. A deviation of 0 is given as 1.

    >>> moments(np.array([[[[0, 255]]]], np.uint8))
    ((0.5,), (0.5,))
    """
    means, stds = [], []
    values = np.arange(256) / 255
    for channel in range(pixels.shape[1]):
        counts = np.zeros(256, np.int64)
        for first in range(0, len(pixels), 2048):  # bincount makes a copy of 8 bytes a pixel
            counts += np.bincount(pixels[first : first + 2048, channel].ravel(), minlength=256)
        mean = float(counts @ values / max(counts.sum(), 1))
        variance = float(counts @ (values - mean) ** 2 / max(counts.sum(), 1))
        means.append(mean)
        stds.append(variance**0.5 or 1.0)
    return tuple(means), tuple(stds)


def with_channels(pixels: Array, channels: int) -> Array:
    """Grey from colour by the luma of BT.601, colour from grey by repeating; a fourth channel is dropped."""
    if pixels.shape[1] >= 3 and channels == 1:
        grey = np.tensordot(LUMA, pixels[:, :3].astype(np.uint32), axes=([0], [1]))
        return ((grey + 500) // 1000).astype(np.uint8)[:, None]
    if pixels.shape[1] == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=1)
    if pixels.shape[1] == 4 and channels == 3:
        return np.ascontiguousarray(pixels[:, :3])
    raise DataError(
        f"pictures of {pixels.shape[1]} channels cannot stand in for those of {channels} that the model learnt on; "
        "give pictures like the training ones"
    )


def resized(pixels: Array, size: tuple[int, int]) -> Array:
    """All pictures brought to (height, width), bilinear, averaging where they shrink; proportions may change."""
    from PIL import Image

    if _size(pixels) == size:
        return pixels
    height, width = size
    out = np.empty((*pixels.shape[:2], height, width), np.uint8)
    for row, picture in enumerate(pixels):
        for channel, plane in enumerate(picture):
            image = Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), Image.Resampling.BILINEAR)
            out[row, channel] = np.asarray(image)
    return out


def _size(pixels: Array) -> tuple[int, int]:
    return (int(pixels.shape[2]), int(pixels.shape[3]))


def _from_idx(
    path: Path, labels: str | Path | None, image_size: ImageSize, told: Told, *, with_labels: bool
) -> PictureSet:
    array = read_idx(path)
    pixels = as_pictures(array)
    if pixels is None or not len(pixels):
        raise DataError(
            f"{path} holds {array.dtype} of shape {'×'.join(map(str, array.shape))}, expected pictures: unsigned "
            "bytes (N, H, W); give the file of the pictures, its labels are found by name"
        )
    classes = _labels_for(path, len(pixels), labels, told) if with_labels else None
    tests = held_out_beside(path)
    if tests is not None and with_labels:
        told.say("pictures.tests_beside", tests=tests.name)
    size = chosen_size(Counter({_size(pixels): len(pixels)}), image_size, told)
    return PictureSet(resized(pixels, size), classes, findings=tuple(told.findings), notices=tuple(told.notices))


def _labels_for(path: Path, count: int, labels: str | Path | None, told: Told) -> Array:
    found = labels_beside(path) if labels is None else Path(labels)
    classes = read_idx(found)
    if classes.shape != (count,):
        raise DataError(
            f"{path.name} holds {count} pictures and {found.name} labels of shape {'×'.join(map(str, classes.shape))}; "
            "they do not belong together, name the right file with --labels"
        )
    if labels is None:
        told.say("pictures.labels_found", labels=found.name)
    return classes.astype(np.int64) if classes.dtype.kind in "iu" else classes
