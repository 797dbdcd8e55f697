"""Pictures as numbers, without a network: orientation histograms, a dictionary of patches, and a thumbnail.

Orientation histograms: Dalal & Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005, section 6.
Dictionary: Coates, Ng & Lee, An Analysis of Single-Layer Networks in Unsupervised Feature Learning, AISTATS 2011,
section 3 (normalised, whitened patches; sums over a grid of regions), with the spherical k-means and the two-sided soft
threshold of Coates & Ng, Learning Feature Representations with K-Means (2012), sections 2 and 4.
What label errors gain by it: benchmarks/label_errors.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tunesmith.data.spec import Array

SIDE = 40  # larger pictures are averaged down below it; assumption
BINS = 9  # Dalal & Triggs, section 6.3
CLIP = 0.2  # Dalal & Triggs, section 6.4 (L2-Hys)
THRESHOLD = 0.25  # Coates & Ng 2012, section 4.1: a constant of that order
WHITENING = 0.1  # Coates & Ng 2012, section 2, for contrast-normalised patches
FITTING, PATCHES = 4000, 40_000  # pictures and patches the dictionary is learnt on; assumption
BUFFER = 400_000  # numbers worked on at a time: they should stay in the cache; assumption
RESPONSES = (
    2.5e9  # products of a patch and an atom that may be formed over all rows; measured: 60 000 of 28 x 28 in 12 s
)


def as_pictures(values: Array) -> Array | None:
    """(N, C, H, W) where an array holds pictures, else None: (N, C, H, W), (N, H, W, C), (N, H, W), 8 pixels or more a side."""
    if values.dtype.kind not in "fiub":
        return None
    if values.ndim == 3:
        values = values[:, None]
    elif values.ndim == 4 and values.shape[3] in (1, 3, 4) and values.shape[1] not in (1, 3, 4):
        values = np.moveaxis(values, 3, 1)
    fitting = values.ndim == 4 and values.shape[1] <= 16 and min(values.shape[2:]) >= 8
    return values if fitting else None


@dataclass(slots=True)
class PictureEncoder:
    """What was learnt from training pictures; `encode` gives float32 (N, D)."""

    scale: Callable[[Array], Array]
    atoms: Array  # (C*w*w, K), of patches less their mean, divided by their deviation
    offset: Array  # (K,)
    width: int
    stride: int
    soft: float  # added to the variance of a patch

    def encode(self, pictures: Array) -> Array:
        made = [self._encode(pictures[start : start + 1024]) for start in range(0, len(pictures), 1024)]
        return np.concatenate(made) if made else np.zeros((0, 1), np.float32)

    def _encode(self, pictures: Array) -> Array:
        small = self.scale(pictures)
        return np.concatenate([thumbnail(small), orientations(small), self._dictionary(small)], axis=1)

    def _dictionary(self, small: Array) -> Array:
        count = len(self.offset)
        rows = 1 + (small.shape[2] - self.width) // self.stride, 1 + (small.shape[3] - self.width) // self.stride
        step = max(1, BUFFER // (rows[0] * rows[1] * count))
        found = np.empty((len(small), 2, 2, 2 * count), np.float32)
        halves = [[slice(0, size // 2), slice(size // 2, size)] for size in rows]
        for start in range(0, len(small), step):
            answer = self._answer(small[start : start + step])
            for y, upper in enumerate(halves[0]):
                for x, left in enumerate(halves[1]):
                    region = answer[:, upper, left]
                    area = region.shape[1] * region.shape[2] * THRESHOLD
                    place = found[start : start + step, y, x]
                    place[:, :count] = np.maximum(region, THRESHOLD).sum((1, 2)) - area
                    place[:, count:] = -np.minimum(region, -THRESHOLD).sum((1, 2)) - area
        return found.reshape(len(small), -1)

    def _answer(self, small: Array) -> Array:
        """(N, h, w, K): the whitened, normalised patch against each atom."""
        cut = patches(small, self.width, self.stride)
        cut *= (1 / deviation(cut, self.soft))[..., None]
        answer: Array = cut.reshape(-1, cut.shape[-1]) @ self.atoms - self.offset
        return answer.reshape(*cut.shape[:3], -1)


def picture_encoder(pictures: Array, rows: int, rng: np.random.Generator) -> PictureEncoder:
    """Learns from training pictures (N, C, H, W); `rows` is how many will be encoded in all, which sets the effort."""
    some = pictures[np.sort(rng.permutation(len(pictures))[:FITTING])]
    scale = _scaler(some)
    small = scale(some)
    side = min(small.shape[2:])
    width = 6 if side >= 16 else 3  # Coates, Ng & Lee, section 4.4: 6 for 32 x 32
    stride, atoms = _effort(rows, small.shape[2] - width + 1, small.shape[3] - width + 1)
    soft = 10 / 255**2 * max(float(small.var()) / 0.06, 1e-12)  # Coates & Ng 2012: 10 at 0..255; 0.06: CIFAR's variance
    cut = np.concatenate(list(_drawn(small, width, max(1, PATCHES // len(small)), rng)))
    cut -= cut.mean(1, keepdims=True)
    cut /= deviation(cut, soft)[:, None]
    centre = cut.mean(0)
    lengths, axes = np.linalg.eigh(np.cov(cut - centre, rowvar=False).reshape(cut.shape[1], -1))
    whiten = ((axes / np.sqrt(np.maximum(lengths, 0) + WHITENING)) @ axes.T).astype(np.float32)
    filters = whiten @ dictionary((cut - centre) @ whiten, atoms, rng).T
    filters -= filters.mean(0)  # takes the mean of a patch away
    return PictureEncoder(scale, filters.astype(np.float32), (centre @ filters).astype(np.float32), width, stride, soft)


def _effort(rows: int, high: int, wide: int) -> tuple[int, int]:
    """Stride and atoms that stay within `RESPONSES`."""
    for stride, atoms in ((1, 200), (1, 100), (2, 100), (2, 64), (3, 64)):
        if rows * -(-high // stride) * -(-wide // stride) * atoms <= RESPONSES:
            return stride, atoms
    return 4, 48


def _scaler(pictures: Array) -> Callable[[Array], Array]:
    """To float32 in about 0..1, gaps at the middle, no side above `SIDE`."""
    if pictures.dtype == np.uint8:
        low, high = 0.0, 255.0
    else:
        there = pictures[np.isfinite(pictures)]
        low, high = np.quantile(there, [0.001, 0.999]).tolist() if there.size else (0.0, 1.0)
    factor = -(-max(pictures.shape[2:]) // SIDE)
    factor = max(1, min(factor, min(pictures.shape[2:]) // 8))

    def scale(came: Array) -> Array:
        high_, wide = (size // factor * factor for size in came.shape[2:])
        found = (came[:, :, :high_, :wide].astype(np.float32) - np.float32(low)) / np.float32((high - low) or 1.0)
        if came.dtype.kind == "f":
            found = np.clip(np.nan_to_num(found, nan=0.5, posinf=1.0, neginf=0.0), -1.0, 2.0)
        if factor == 1:
            return found
        cells: Array = found.reshape(*found.shape[:2], high_ // factor, factor, wide // factor, factor)
        return np.asarray(cells.mean((3, 5)))

    return scale


def thumbnail(pictures: Array, side: int = 8) -> Array:
    """(N, C*8*8): the means of a grid of regions: colour and brightness, which the other features leave out."""
    found = pictures
    for axis in (2, 3):
        size = found.shape[axis]
        edges = np.arange(side) * size // side
        sizes = np.diff([*edges, size]).reshape([-1 if one == axis else 1 for one in range(4)])
        found = np.add.reduceat(found, edges, axis) / sizes.astype(np.float32)
    return found.reshape(len(found), -1)


def orientations(pictures: Array) -> Array:
    """(N, cells*9): histograms of the gradient's direction in cells of 4 x 4 pixels (2 x 2 in small pictures)."""
    down, right, strength = _gradients(pictures)
    cell = 4 if min(pictures.shape[2:]) >= 16 else 2
    high, wide = pictures.shape[2] // cell, pictures.shape[3] // cell
    angle = np.arctan2(down, right) % np.float32(np.pi) * np.float32(BINS / np.pi)
    below = np.floor(angle)
    part = angle - below
    first = below.astype(np.int64) % BINS
    second = (first + 1) % BINS
    of_row = np.minimum(np.arange(pictures.shape[2]) // cell, high - 1)
    of_column = np.minimum(np.arange(pictures.shape[3]) // cell, wide - 1)
    cells = of_row[:, None] * wide + of_column
    base = (np.arange(len(pictures))[:, None, None] * (high * wide) + cells) * BINS
    size = len(pictures) * high * wide * BINS
    bars = np.bincount((base + first).ravel(), (strength * (1 - part)).ravel(), size)
    bars += np.bincount((base + second).ravel(), (strength * part).ravel(), size)
    grid = bars.reshape(len(pictures), high, wide, BINS).astype(np.float32)
    return _normalised(grid).reshape(len(pictures), -1)


def _normalised(grid: Array) -> Array:
    """Each cell divided by the strength of each of the four blocks of 2 x 2 cells around it, clipped, and averaged.

    As in Felzenszwalb et al., Object Detection with Discriminatively Trained Part Based Models (2010), section 6.1:
    a fourth of the columns.
    """
    energy = np.pad((grid**2).sum(3), ((0, 0), (1, 1), (1, 1)), mode="edge")
    blocks = energy[:, :-1, :-1] + energy[:, :-1, 1:] + energy[:, 1:, :-1] + energy[:, 1:, 1:]
    factor = 1 / np.sqrt(blocks + np.float32(0.002))  # 100 at 0..255; assumption
    corners = (factor[:, :-1, :-1], factor[:, :-1, 1:], factor[:, 1:, :-1], factor[:, 1:, 1:])
    found: Array = sum(np.minimum(grid * corner[..., None], np.float32(CLIP)) for corner in corners)
    return found


def _gradients(pictures: Array) -> tuple[Array, Array, Array]:
    """Differences down and right and their length (N, H, W), of the channel with the strongest."""
    down, right = np.zeros_like(pictures), np.zeros_like(pictures)
    down[:, :, 1:-1] = pictures[:, :, 2:] - pictures[:, :, :-2]
    right[:, :, :, 1:-1] = pictures[:, :, :, 2:] - pictures[:, :, :, :-2]
    length = np.sqrt(down**2 + right**2)
    best = length.argmax(1)[:, None]
    return tuple(np.take_along_axis(each, best, 1)[:, 0] for each in (down, right, length))  # type: ignore[return-value]


def patches(pictures: Array, width: int, stride: int) -> Array:
    """(N, h, w, C*width*width), a copy."""
    seen = sliding_window_view(pictures, (width, width), axis=(2, 3))[:, :, ::stride, ::stride]
    count, channels, high, wide = seen.shape[:4]
    return np.ascontiguousarray(seen.transpose(0, 2, 3, 1, 4, 5)).reshape(count, high, wide, channels * width**2)


def deviation(cut: Array, soft: float) -> Array:
    """The standard deviation of each patch, softened."""
    mean = cut.mean(-1)
    variance: Array = np.einsum("...i,...i->...", cut, cut) / cut.shape[-1] - mean**2
    found: Array = np.sqrt(np.maximum(variance, 0) + np.float32(soft))
    return found


def _drawn(small: Array, width: int, each: int, rng: np.random.Generator) -> Iterator[Array]:
    """Some patches of each picture."""
    for start in range(0, len(small), 256):
        cut = patches(small[start : start + 256], width, 1)
        cut = cut.reshape(len(cut), -1, cut.shape[-1])
        pick = rng.integers(0, cut.shape[1], (len(cut), each))
        yield np.take_along_axis(cut, pick[:, :, None], 1).reshape(-1, cut.shape[-1])


def dictionary(cut: Array, count: int, rng: np.random.Generator, passes: int = 10) -> Array:
    """(K, D): directions that patches (M, D) follow, by spherical k-means. Coates & Ng 2012, section 2."""
    from scipy.sparse import csr_array

    atoms = _unit(rng.standard_normal((count, cut.shape[1]), dtype=np.float32))
    for _ in range(passes):
        against = cut @ atoms.T
        nearest = np.abs(against).argmax(1)
        much = against[np.arange(len(cut)), nearest]
        sums = csr_array((much, (nearest, np.arange(len(cut)))), shape=(count, len(cut))) @ cut
        atoms = _unit(sums + atoms)  # damped, as there
    return atoms


def _unit(rows: Array) -> Array:
    found: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return found
