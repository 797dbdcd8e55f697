"""Laying one picture over another: shift, scale, and then how much of the one explains the other.

Gauss-Newton on the brightness difference with the gradients of the fixed picture, as in Lucas & Kanade, An Iterative
Image Registration Technique, IJCAI 1981, section 4, and Baker & Matthews, Lucas-Kanade 20 Years On, IJCV 56 (2004),
section 3.2; gain and offset leave by normalising over what both pictures show.
"""

import numpy as np

from tunesmith.data.spec import Array

STEPS = 6  # measured: benchmarks/duplicates.md
HOLD = np.float32(0.02)  # pull towards no change, as a share of the pixels; assumption
FARTHEST = np.float32(0.5)  # of half a side, in shift and in scale; assumption
FEWEST = 0.5  # of the pixels must lie in both pictures; assumption


def registered(fixed: Array, moving: Array) -> Array:
    """float32 (M, 4): down, right, taller, wider, in half sides, that lay `moving` over `fixed`, both (M, h, w)."""
    count, high, wide = fixed.shape
    flat = fixed.reshape(count, -1)
    down, right = _gradients(normalised(flat, np.ones_like(flat)).reshape(fixed.shape))
    y, x = grid(high, wide)
    jacobian = np.stack([down, right, down * y, right * x], 2)
    hold = HOLD * np.float32(high * wide)
    moves = np.zeros((count, 4), np.float32)
    best, best_moves = np.full(count, -2.0, np.float32), moves.copy()
    for step in range(STEPS + 1):
        seen, there = warped(moving[..., None], moves)
        there[:, 0] += np.float32(1e-6)
        came, meant = normalised(seen[..., 0], there), normalised(flat, there)
        likeness = np.where(there.mean(1) < FEWEST, -1.0, (came * meant).sum(1) / there.sum(1))
        better = likeness > best
        best[better], best_moves[better] = likeness[better], moves[better]
        if step == STEPS:
            break
        weighted = jacobian * there[..., None]
        normal = weighted.transpose(0, 2, 1) @ jacobian + hold * np.eye(4, dtype=np.float32)
        pull = (weighted.transpose(0, 2, 1) @ (meant - came)[..., None])[..., 0] - np.float32(0.3) * hold * moves
        turn = np.linalg.solve(normal, pull[..., None])[..., 0]
        moves = np.clip(moves + np.clip(turn, -0.2, 0.2), -FARTHEST, FARTHEST)
    return best_moves


def warped(pictures: Array, moves: Array) -> tuple[Array, Array]:
    """(M, h*w, C) of pictures (M, h, w, C) under their moves, and float32 (M, h*w): 1 where the picture goes so far."""
    count, high, wide = pictures.shape[:3]
    y, x = grid(high, wide)
    half = np.float32((high - 1) / 2), np.float32((wide - 1) / 2)
    down = (y + moves[:, :1] + moves[:, 2:3] * y + 1) * half[0]
    right = (x + moves[:, 1:2] + moves[:, 3:] * x + 1) * half[1]
    there = (down >= -0.5) & (down <= high - 0.5) & (right >= -0.5) & (right <= wide - 0.5)
    down, right = np.clip(down, 0, high - 1), np.clip(right, 0, wide - 1)
    top, left = np.minimum(down.astype(np.int32), high - 2), np.minimum(right.astype(np.int32), wide - 2)
    below, beside = (down - top)[..., None], (right - left)[..., None]
    first = np.arange(count, dtype=np.int32)[:, None] * np.int32(high * wide) + top * np.int32(wide) + left
    flat = pictures.reshape(count * high * wide, -1)
    upper = flat[first] * (1 - beside) + flat[first + 1] * beside
    lower = flat[first + wide] * (1 - beside) + flat[first + wide + 1] * beside
    return upper * (1 - below) + lower * below, there.astype(np.float32)


def normalised(values: Array, there: Array) -> Array:
    """Mean 0 and mean square 1 over the pixels that are there, 0 elsewhere; flat pictures stay near 0."""
    count = there.sum(1, keepdims=True)
    centred = (values - (values * there).sum(1, keepdims=True) / count) * there
    found: Array = centred / np.sqrt((centred**2).sum(1, keepdims=True) / count + np.float32(1e-6))
    return found


def grid(high: int, wide: int) -> tuple[Array, Array]:
    """The place of each pixel, -1 to 1, flat."""
    y, x = np.meshgrid(
        np.linspace(-1, 1, high, dtype=np.float32), np.linspace(-1, 1, wide, dtype=np.float32), indexing="ij"
    )
    return y.ravel(), x.ravel()


def _gradients(pictures: Array) -> tuple[Array, Array]:
    """By half a side, flat."""
    down, right = np.zeros_like(pictures), np.zeros_like(pictures)
    down[:, 1:-1] = (pictures[:, 2:] - pictures[:, :-2]) * np.float32((pictures.shape[1] - 1) / 4)
    right[:, :, 1:-1] = (pictures[:, :, 2:] - pictures[:, :, :-2]) * np.float32((pictures.shape[2] - 1) / 4)
    return down.reshape(len(pictures), -1), right.reshape(len(pictures), -1)
