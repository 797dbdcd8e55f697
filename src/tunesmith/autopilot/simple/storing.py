"""Simple models as files of arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tunesmith.autopilot.simple.boosted import Boosted
from tunesmith.autopilot.simple.linear import Linear
from tunesmith.data.spec import InputSpec
from tunesmith.runs.files import storing

Simple = Linear | Boosted


def stored(path: Path, model: Simple) -> None:
    """Writes the arrays of a model, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with storing(path):
        with new.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **model.arrays)
        new.replace(path)


def unstored(path: Path, spec: Mapping[str, InputSpec], kind: str) -> Simple:
    """The model in a file; nothing in it is executed."""
    with np.load(path, allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    return (Boosted if "first" in arrays else Linear)(spec, kind, arrays)
