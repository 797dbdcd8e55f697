"""Sound data and copies planted in them, for the tests of audits that look for copies."""

from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image


@cache
def scenes(count, seed=0, side=32, channels=3):
    """uint8 (N, C, H, W): a few coloured blobs and bars each, no two alike."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    made = np.zeros((count, channels, side, side))
    for picture in made:
        picture += rng.uniform(0, 255, (channels, 1, 1))
        for _ in range(6):
            angle, (up, left), (high, wide) = rng.uniform(0, np.pi), rng.uniform(0, 1, 2), rng.uniform(0.05, 0.35, 2)
            along = (y - up) * np.cos(angle) + (x - left) * np.sin(angle)
            beside = (x - left) * np.cos(angle) - (y - up) * np.sin(angle)
            picture += rng.uniform(-160, 160, (channels, 1, 1)) * np.exp(-((along / high) ** 4) - (beside / wide) ** 4)
    noise = rng.normal(0, 4, made.shape)
    return np.clip(made + noise, 0, 255).astype(np.uint8)


def brightened(pictures):
    return np.clip(pictures * 0.8 + 30, 0, 255).astype(np.uint8)


def compressed(pictures):
    return np.stack([_jpeg(picture) for picture in pictures])


def _jpeg(picture):
    from io import BytesIO

    held = BytesIO()
    Image.fromarray(np.moveaxis(picture, 0, 2)).save(held, "JPEG", quality=40)
    return np.moveaxis(np.asarray(Image.open(held)), 2, 0)


def cropped(pictures):
    side = pictures.shape[2]
    made = [
        Image.fromarray(np.moveaxis(picture, 0, 2)).crop((2, 1, side - 1, side - 2)).resize((side, side))
        for picture in pictures
    ]
    return np.stack([np.moveaxis(np.asarray(picture), 2, 0) for picture in made])


CHANGES: dict[str, Callable] = {
    "shifted": lambda pictures: np.roll(pictures, (2, -1), (2, 3)),
    "mirrored": lambda pictures: pictures[..., ::-1],
    "brightened": brightened,
    "compressed": compressed,
    "cropped": cropped,
    "noisy": lambda pictures: np.clip(pictures + np.random.default_rng(5).normal(0, 10, pictures.shape), 0, 255).astype(
        np.uint8
    ),
}

WORDS = [
    "river",
    "stone",
    "garden",
    "window",
    "letter",
    "market",
    "winter",
    "morning",
    "engine",
    "bridge",
    "doctor",
    "yellow",
    "silver",
    "teacher",
    "island",
    "mountain",
    "harbour",
    "pencil",
    "ticket",
    "station",
    "kitchen",
    "blanket",
    "number",
    "summer",
    "village",
    "picture",
    "orange",
    "candle",
    "thunder",
    "railway",
]


def sentences(count, seed=0, words=16):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, words)) for _ in range(count)]
