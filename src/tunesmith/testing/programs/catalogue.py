"""The catalogue of failing programs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tunesmith.records import Program
from tunesmith.records.catalog import Catalog
from tunesmith.records.state import random_state, set_random_state

Build = Callable[[int, bool], Program]


@dataclass(frozen=True, slots=True)
class Failing:
    """A program with faults in it: its name, the data it learns from, what is wrong with it, and how it is built."""

    name: str
    data: str
    faults: tuple[str, ...]  # each of them is right; the gravest first
    build: Build

    def __call__(self, seed: int, *, mended: bool = False) -> Program:
        """A fresh program; the global generators are as they were."""
        before = random_state()
        try:
            torch.manual_seed(seed)
            program = self.build(seed, mended)
        finally:
            set_random_state(before)
        program.seed = seed
        return program


FAILING: Catalog[Failing] = Catalog("failing program")


def failing(name: str, *faults: str, data: str) -> Callable[[Build], Build]:
    """Decorator: puts `build(seed, mended) -> Program` into the catalogue."""

    def put(build: Build) -> Build:
        FAILING.add(name)(Failing(name, data, faults, build))
        return build

    return put
