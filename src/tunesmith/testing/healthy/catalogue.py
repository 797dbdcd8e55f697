"""The catalogues of sound programs and tasks."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tunesmith.records import Program, Recipe, Task
from tunesmith.records.catalog import Catalog
from tunesmith.records.state import random_state, set_random_state

Build = Callable[[int], Program]
BuildTask = Callable[[int], tuple[Task, Recipe]]


@dataclass(frozen=True, slots=True)
class Healthy:
    """A sound program: its name, the data it learns from, and how it is built."""

    name: str
    data: str  # the data set or the made task: what is held back from rules is held back by it
    build: Build

    def __call__(self, seed: int) -> Program:
        """A fresh program; the global generators are as they were."""
        before = random_state()
        try:
            torch.manual_seed(seed)
            program = self.build(seed)
        finally:
            set_random_state(before)
        program.seed = seed
        return program


@dataclass(frozen=True, slots=True)
class HealthyTask:
    """A sound task with its recipe: its name, the data it learns from, and how it is built."""

    name: str
    data: str
    build: BuildTask

    def __call__(self, seed: int) -> tuple[Task, Recipe]:
        """A fresh task; the global generators are as they were."""
        before = random_state()
        try:
            torch.manual_seed(seed)
            return self.build(seed)
        finally:
            set_random_state(before)


HEALTHY: Catalog[Healthy] = Catalog("healthy program")
HEALTHY_TASKS: Catalog[HealthyTask] = Catalog("healthy task")


def healthy(name: str, *, data: str) -> Callable[[Build], Build]:
    """Decorator: puts `build(seed) -> Program` into the catalogue."""

    def put(build: Build) -> Build:
        HEALTHY.add(name)(Healthy(name, data, build))
        return build

    return put


def healthy_task(name: str, *, data: str) -> Callable[[BuildTask], BuildTask]:
    """Decorator: puts `build(seed) -> (Task, Recipe)` into the catalogue."""

    def put(build: BuildTask) -> BuildTask:
        HEALTHY_TASKS.add(name)(HealthyTask(name, data, build))
        return build

    return put
