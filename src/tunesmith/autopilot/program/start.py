"""The program as a tuning begins with it: a copy of the live objects, whose weights are kept, and the rows that choose and judge."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Subset

from tunesmith.autopilot.program.reading import Rows
from tunesmith.data.live import is_indexed, is_loader, tensors_of
from tunesmith.doctor.preflight import Bench
from tunesmith.records import DataError, ModelError, Program
from tunesmith.records.state import State
from tunesmith.training.checkpoint import Checkpoints

LARGE = 1000  # validation rows from which on half of them judge and choose nothing; assumption: a share is then known to 2 points
VAL = 0.2  # of the training rows, where no validation rows are given; as recipes have it
START = "start"  # the folder of the first weights


@dataclass(frozen=True)
class Parts:
    """The rows that choose, and those that judge: `name` says what these are."""

    chosen: Rows
    judged: Rows
    name: str  # test, held (a half of the validation rows), val (the same rows that chose)


def own_copy(program: Program, seed: int) -> Program:
    """A copy of the live objects, with validation rows. Nothing that is done with it reaches the original.

    Raises `ModelError` for a program that cannot be copied or has no optimizer of torch, `DataError` where there are no rows to choose on.
    """
    bench = Bench(program)
    if bench.shared:
        raise ModelError(f"tune trains copies of a program, and of this one there are none: {bench.shared}; pass it in")
    if not isinstance(program.optimizer, torch.optim.Optimizer):
        came = type(program.optimizer).__name__
        raise ModelError(f"the optimizer is a {came}; tune expects one of torch, whose settings it can read and change")
    if program.epochs < 1 or program.batch_size < 1:
        raise DataError(
            f"epochs = {program.epochs} and batch_size = {program.batch_size}; expected both to be 1 or more"
        )
    _see_it_stays(bench)
    twin = bench.twin()
    live = {"model": twin.model, "loss_fn": twin.loss_fn, "optimizer": twin.optimizer, "scheduler": twin.scheduler}
    return _with_val(replace(program, **live), seed)


def _see_it_stays(bench: Bench) -> None:
    """One update of a copy, after which the original must be as it was. Raises `ModelError` where it is not."""
    try:
        bench.twin().step(bench.fed(1))
    except Exception as error:  # whatever a user's own code raises: the stages prove and plain tell of it
        bench.notices.append(f"the first update raises {type(error).__name__}")
    if bench.originals.changed():
        bench.originals.restore()
        raise ModelError(
            "tune trains copies of a program, and an update of a copy changed the original: its loss or step reaches the model from "
            "outside; pass it in as an argument"
        )


def _with_val(program: Program, seed: int) -> Program:
    """The same with a fifth of its training rows set aside, where it has no validation rows."""
    if program.val is not None:
        return program
    data = program.train
    if is_loader(data) or not (isinstance(data, tuple | list) or is_indexed(data)):
        raise DataError(
            f"tune chooses on validation rows, and val is None; a {type(data).__name__} is not divided: give the program val=(X, y)"
        )
    pair = tensors_of(data) if not isinstance(data, tuple | list) else data
    rows = len(data) if pair is None else len(pair[1])
    drawn = np.random.default_rng(seed).permutation(rows)
    held, kept = np.sort(drawn[: round(VAL * rows)]), np.sort(drawn[round(VAL * rows) :])
    if not len(held):
        raise DataError(f"tune chooses on validation rows, and of {rows} training rows none can be set aside; give val")
    if pair is None:
        return replace(program, train=Subset(data, kept.tolist()), val=Subset(data, held.tolist()))
    return replace(program, train=_some(pair, kept), val=_some(pair, held))


def _some(tree: Any, places: Any) -> Any:
    if isinstance(tree, tuple | list):
        return tuple(_some(one, places) for one in tree)
    if isinstance(tree, dict):
        return {name: _some(one, places) for name, one in tree.items()}
    return tree[torch.as_tensor(places)] if isinstance(tree, torch.Tensor) else np.asarray(tree)[places]


def parts_of(bench: Bench, seed: int) -> Parts:
    """The validation rows choose and the test rows judge; without these a half of many validation rows, else the same rows."""
    assert bench.val is not None
    every = torch.arange(len(bench.val))
    if not len(every):
        raise DataError("tune chooses on validation rows, and the part val is empty; give it rows")
    if bench.test is not None:
        return Parts(Rows(bench.val, every), Rows(bench.test, torch.arange(len(bench.test))), "test")
    if len(every) < LARGE:
        whole = Rows(bench.val, every)
        return Parts(whole, whole, "val")
    drawn = torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))
    halves = [Rows(bench.val, torch.sort(one).values) for one in drawn.tensor_split(2)]
    return Parts(halves[0], halves[1], "held")


def begun(program: Program, folder: Path) -> None:
    """Keeps the first weights, or puts those of an earlier process into the copy: a script may draw others each time."""
    checkpoints = Checkpoints(folder / START)
    state = State(program.model, program.optimizer)
    if checkpoints.pointed("last") is None:
        checkpoints.write(state.snapshot(), mark=0, best=True, keep=1)
        return
    snapshot, _ = checkpoints.read("last")
    state.restore(snapshot)


def fingerprint(bench: Bench) -> str:
    """A hash of what makes it the same program: targets, rows, parameters by name and shape, optimizer, batch and epochs."""
    own, digest = bench.program, hashlib.blake2b(digest_size=16)
    for source in (bench.train, bench.val, bench.test):
        if source is None:
            continue
        target = source.arrays()[1]
        digest.update(f"{len(source)} {target.dtype.str} {target.shape}".encode())
        digest.update(np.ascontiguousarray(target).tobytes())
    for name, each in own.model.state_dict().items():
        digest.update(f"{name} {tuple(getattr(each, 'shape', ()))}".encode())
    settings = [
        {name: group[name] for name in sorted(group) if name != "params"} for group in own.optimizer.param_groups
    ]
    digest.update(f"{type(own.optimizer).__name__} {settings} {own.batch_size} {own.epochs} {own.seed}".encode())
    return digest.hexdigest()
