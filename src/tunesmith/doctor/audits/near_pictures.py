"""Pairs of pictures that are copies of each other, however shifted, scaled, mirrored, brightened or compressed.

Candidates are the nearest rows of thumbnails and of orientation histograms, each whitened: what all pictures share counts
little, as in Jegou & Chum, Negative evidences and co-occurences in image retrieval, ECCV 2012, section 2. Each candidate
is laid over its partner (`registering`), and what speaks for a copy is the mean of three correlations: of the whitened
descriptors, of the colours, and of the fine detail, which two photographs of one kind of thing do not share. Where all
pictures of a kind are alike (trousers), more is asked for: the score is held against how near a row's usual neighbours
come, and against chance (`chance`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.chance import beyond_chance, law_of, straight_line
from tunesmith.doctor.audits.features_pictures import thumbnail
from tunesmith.doctor.audits.nearest import against, neighbours
from tunesmith.doctor.audits.registering import normalised, registered, warped

COARSE, FINE = 16, 32  # pixels a side at which pictures are laid over each other, and compared; assumption
DIRECTIONS, CELLS = 6, 8  # of the edge descriptor; assumption
LATENT = 24  # directions kept of each half of each descriptor; measured: benchmarks/duplicates.md
FITTING = 6000  # pictures the directions are learnt on; assumption
CHUNK = 512
FEWEST = 64  # pictures below which chance cannot be told; assumption
BUDGET, NULLS = 10_000, 1000  # candidates laid over each other, and rows that tell what chance does; assumption
SAMPLE, NTH = 2000, 5  # rows among which the usual neighbours are looked for, and which of them is taken; assumption


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs that are near beyond chance, the surest first."""

    pairs: Array  # int64 (M, 2), the smaller place first
    likeness: Array  # (M,), at most 1
    expected: float  # so many of them chance explains
    mirrored: Array | None = None  # bool (M,)


def near_pictures(pictures: Array, rng: np.random.Generator, *, every: bool = False) -> NearPairs:
    """The copies among pictures (N, C, H, W), none equal to another in every pixel; `every`: all candidates, in order."""
    count = len(pictures)
    if count < FEWEST:
        return NearPairs(np.empty((0, 2), np.int64), np.empty(0), 0.0, np.empty(0, bool))
    made = describe(pictures, rng)
    sample = np.sort(rng.permutation(count)[: min(SAMPLE, count // 4)])
    usual, nearest = _usual(made, sample)
    found = neighbours(made.even, made.odd)
    rows = np.repeat(np.arange(count), found.places.shape[1])
    others, likeness = found.places.ravel(), found.likeness.ravel()
    key = np.where(others >= 0, np.minimum(rows, others) * count + np.maximum(rows, others), -1)
    first = np.unique(key, return_index=True)[1]
    first = first[key[first] >= 0]
    usually = np.maximum(usual[rows[first]], usual[others[first]])
    first = first[np.argsort(usually - unexplained(likeness[first]), kind="stable")[:BUDGET]]
    drawn = np.sort(rng.permutation(count)[:NULLS])
    chance, candidates = made.compare(drawn, nearest[drawn]), made.compare(rows[first], others[first])
    line = straight_line(chance.usually(usual), unexplained(chance.likeness))
    excess = [unexplained(each.likeness) - np.polyval(line, each.usually(usual)) for each in (chance, candidates)]
    kept, expected = beyond_chance(excess[1], law_of(excess[0]).of(count / len(sample)), count)
    order = np.flatnonzero(kept | every)
    order = order[np.argsort(-excess[1][order], kind="stable")]
    return NearPairs(candidates.pairs[order], candidates.likeness[order], expected, candidates.mirrored[order])


def unexplained(likeness: Array) -> Array:
    """-log of the share that two rows do not have in common: it grows as the log of the squared distance falls."""
    found: Array = -np.log(np.maximum(1 - likeness, 1e-6))
    return found


def _usual(made: "Descriptors", sample: Array) -> tuple[Array, Array]:
    """How near the nearest few of a sample come to each row, and the nearest."""
    usual, nearest = np.empty(len(made.even)), np.empty(len(made.even), np.int64)
    nth = min(NTH, len(sample) - 2)
    for start in range(0, len(usual), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(usual)))
        likeness = against(made.even, made.odd, rows, sample)
        likeness[rows[:, None] == sample] = -1.0
        usual[rows] = unexplained(-np.partition(-likeness, nth - 1, axis=1)[:, nth - 1])
        nearest[rows] = sample[likeness.argmax(1)]
    return usual, nearest


@dataclass(frozen=True, slots=True)
class _Compared:
    pairs: Array
    likeness: Array
    mirrored: Array

    def usually(self, usual: Array) -> Array:
        found: Array = np.maximum(usual[self.pairs[:, 0]], usual[self.pairs[:, 1]])
        return found


@dataclass(slots=True)
class Descriptors:
    """Rows as numbers, split into what mirroring leaves and what it turns, and what the split was learnt on."""

    pictures: Array
    scale: Callable[[Array], Array]
    project: tuple[Callable[[Array], Array], ...]
    even: Array
    odd: Array

    def encode(self, seen: Array) -> tuple[Array, Array]:
        """float32 (N, D) twice, together of length 1, for scaled pictures."""
        thumb_even, thumb_odd, angle_even, angle_odd = (
            project(raw) for project, raw in zip(self.project, _raw(seen), strict=True)
        )
        even, odd = np.concatenate([thumb_even, angle_even], 1), np.concatenate([thumb_odd, angle_odd], 1)
        length = np.sqrt((even**2).sum(1) + (odd**2).sum(1) + np.float32(1e-12))[:, None]
        return even / length, odd / length

    def compare(self, rows: Array, others: Array) -> _Compared:
        pairs = np.stack([np.minimum(rows, others), np.maximum(rows, others)], 1)
        likeness, mirrored = np.empty(len(pairs), np.float32), np.zeros(len(pairs), bool)
        for start in range(0, len(pairs), CHUNK):
            some = slice(start, start + CHUNK)
            likeness[some], mirrored[some] = self._compare(pairs[some, 0], pairs[some, 1])
        return _Compared(pairs, likeness, mirrored)

    def _compare(self, rows: Array, others: Array) -> tuple[Array, Array]:
        """The mean of the three correlations after one picture was laid over the other."""
        turned = np.einsum("nk,nk->n", self.odd[rows], self.odd[others])
        before = np.einsum("nk,nk->n", self.even[rows], self.even[others]) + np.abs(turned)
        mirrored = turned < 0
        fixed, moving = self.scale(self.pictures[rows]), self.scale(self.pictures[others])
        moving[mirrored] = moving[mirrored][..., ::-1]
        side = min(COARSE, *fixed.shape[2:])
        coarse = [thumbnail(each.mean(1, keepdims=True), side).reshape(-1, side, side) for each in (fixed, moving)]
        seen, there = warped(np.moveaxis(moving, 1, 3), registered(coarse[0], coarse[1]))
        meant = np.moveaxis(fixed, 1, 3).reshape(seen.shape)
        channels = range(seen.shape[2])
        colour = sum(correlation(seen[..., one], meant[..., one], there) for one in channels) / np.float32(
            len(channels)
        )
        shape = (-1, *fixed.shape[2:])
        fine = correlation(detail(seen.mean(2).reshape(shape)), detail(meant.mean(2).reshape(shape)), there)
        even, odd = self.encode(
            np.ascontiguousarray(np.moveaxis(seen.reshape(*fixed.shape[:1], *fixed.shape[2:], -1), 3, 1))
        )
        after = np.einsum("nk,nk->n", even, self.even[rows]) + np.einsum("nk,nk->n", odd, self.odd[rows])
        return (np.maximum(before, after) + colour + fine) / 3, mirrored


def correlation(one: Array, other: Array, there: Array) -> Array:
    """Of each pair of rows (M, D) over the places that both have."""
    found: Array = (normalised(one, there) * normalised(other, there)).sum(1) / np.maximum(there.sum(1), 1.0)
    return found


def detail(pictures: Array) -> Array:
    """(N, H*W): pictures (N, H, W) less what is coarser than an eighth of their side."""
    from scipy.ndimage import gaussian_filter

    width = max(pictures.shape[1:]) / 16  # 2 pixels of 32; assumption
    found: Array = pictures - gaussian_filter(pictures, (0, width, width), truncate=2.0)
    return found.reshape(len(found), -1)


def describe(pictures: Array, rng: np.random.Generator) -> Descriptors:
    """Learns the directions on some of the pictures and encodes them all."""
    scale = _scaler(pictures, rng)
    some = np.sort(rng.permutation(len(pictures))[:FITTING])
    parts = [_raw(scale(pictures[some[start : start + CHUNK]])) for start in range(0, len(some), CHUNK)]
    project = tuple(whitening(np.concatenate(each)) for each in zip(*parts, strict=True))
    empty = np.empty((0, 0), np.float32)
    made = Descriptors(pictures, scale, project, empty, empty)
    blocks = [made.encode(scale(pictures[start : start + CHUNK])) for start in range(0, len(pictures), CHUNK)]
    made.even, made.odd = (np.concatenate(each) for each in zip(*blocks, strict=True))
    return made


def _raw(seen: Array) -> tuple[Array, Array, Array, Array]:
    """Thumbnails and orientations, each as the sum and the difference with its mirror image."""
    side = min(COARSE, *seen.shape[2:])
    thumb = thumbnail(seen, side)
    thumb = normalised(thumb, np.ones_like(thumb)).reshape(len(seen), -1, side, side)
    angles = edges(seen.mean(1))
    turned = angles[:, (DIRECTIONS - np.arange(DIRECTIONS)) % DIRECTIONS, :, ::-1]
    flat = (thumb + thumb[..., ::-1], thumb - thumb[..., ::-1], angles + turned, angles - turned)
    return tuple(each.reshape(len(seen), -1) for each in flat)  # type: ignore[return-value]


def edges(pictures: Array) -> Array:
    """(N, 6, 8, 8): how strong the edges of each direction are in cells of (N, H, W), relative to the whole picture.

    As the orientation histograms of Dalal & Triggs, CVPR 2005, but with bins that are half-waves of twice the angle, so that
    no angle need be formed.
    """
    down, right = np.zeros_like(pictures), np.zeros_like(pictures)
    down[:, 1:-1] = pictures[:, 2:] - pictures[:, :-2]
    right[:, :, 1:-1] = pictures[:, :, 2:] - pictures[:, :, :-2]
    length = np.sqrt(down**2 + right**2 + np.float32(1e-6))
    even, odd = (right**2 - down**2) / length, 2 * right * down / length  # length times cosine, sine of twice the angle
    found = np.empty((len(pictures), DIRECTIONS, CELLS, CELLS), np.float32)
    for one in range(DIRECTIONS):
        angle = 2 * np.pi * one / DIRECTIONS
        wave = even * np.float32(np.cos(angle))
        wave += odd * np.float32(np.sin(angle))
        np.maximum(wave, 0, out=wave)
        found[:, one] = thumbnail(wave[:, None], CELLS).reshape(-1, CELLS, CELLS)
    np.sqrt(found, out=found)
    found /= np.sqrt((found**2).sum((1, 2, 3), keepdims=True) + np.float32(1e-6))
    return found


def whitening(values: Array) -> Callable[[Array], Array]:
    """To at most `LATENT` numbers, uncorrelated and of variance 1; a direction of no variance is left out."""
    middle = values.mean(0)
    centred = values - middle
    lengths, axes = np.linalg.eigh(centred.T @ centred / np.float32(len(values)))
    keep = np.argsort(-lengths)[:LATENT]
    keep = keep[lengths[keep] > 1e-4 * max(float(lengths.max()), 1e-9)]  # assumption: below it is rounding
    turn = (axes[:, keep] / np.sqrt(lengths[keep])).astype(np.float32)
    return lambda came: (came - middle) @ turn


def _scaler(pictures: Array, rng: np.random.Generator) -> Callable[[Array], Array]:
    """To float32, about 0..1, at most `FINE` pixels a side."""
    some = pictures[np.sort(rng.permutation(len(pictures))[:1000])]
    finite = some[np.isfinite(some)] if some.dtype.kind == "f" else some
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    side = min(FINE, *pictures.shape[2:])

    def scale(came: Array) -> Array:
        found = (came.astype(np.float32) - np.float32(low)) / np.float32((high - low) or 1.0)
        if came.dtype.kind == "f":
            found = np.clip(np.nan_to_num(found, nan=0.5, posinf=1.0, neginf=0.0), -1.0, 2.0)
        if found.shape[2:] == (side, side):
            return found
        return thumbnail(found, side).reshape(len(found), -1, side, side)

    return scale
