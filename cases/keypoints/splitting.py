"""Who is trained on, who chooses, who judges: by person, so that no person is in two parts.

The rule hashes the name of the person with a seed. It needs no list, knows no order of rows, and a person who is added moves nobody else.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from cases.keypoints.reading import BadFaces, Faces

SEED = 2014
TEST, VAL = 0.15, 0.15  # shares of the persons, nearly


@dataclass(frozen=True)
class Parts:
    """The same faces in three parts."""

    train: Faces
    val: Faces
    test: Faces


def part_of(person: str, seed: int = SEED) -> str:
    """`train`, `val` or `test`, by a hash that lies evenly in [0, 1).

    >>> part_of("0"), part_of("11"), part_of("5")
    ('train', 'val', 'test')
    """
    digest = hashlib.blake2b(f"{seed}:{person}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    return "test" if place < TEST else "val" if place < TEST + VAL else "train"


def divided(faces: Faces) -> Parts:
    """The three parts. Raises `BadFaces` where one of them would be empty."""
    named = np.array([part_of(person) for person in faces.persons.tolist()])
    for part in ("train", "val", "test"):
        if not (named == part).any():
            raise BadFaces(
                f"of {len(set(faces.persons.tolist()))} persons none falls into the part {part!r}; give faces of more persons"
            )
    train, val, test = (faces.take(np.flatnonzero(named == part)) for part in ("train", "val", "test"))
    return Parts(train, val, test)
