"""Checkpoints are complete or absent, exact, and told apart from damaged ones."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from tunesmith.blocks.optim.averaging import WeightAverage
from tunesmith.records import CheckpointError, StorageError
from tunesmith.records.state import State
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.packing import pack, unpack

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
TREES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(st.text(), inner),
        st.dictionaries(st.integers(), inner),
    ),
    max_leaves=20,
)


@given(TREES)
def test_any_tree_of_plain_values_comes_back(tree: Any) -> None:
    plain, tensors = pack(tree)

    assert unpack(json.loads(json.dumps(plain)), tensors) == tree


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.uint8])
def test_tensors_come_back_bit_for_bit(dtype: torch.dtype) -> None:
    tensor = torch.arange(6).reshape(2, 3).to(dtype)

    plain, tensors = pack({"a": [tensor, tensor.T]})

    assert torch.equal(unpack(plain, tensors)["a"][0], tensor)
    assert torch.equal(unpack(plain, tensors)["a"][1], tensor.T)


def test_the_state_of_every_generator_comes_back() -> None:
    legacy = np.random.get_state(legacy=False)
    python = random.getstate()
    own = np.random.default_rng(3).bit_generator.state

    plain, tensors = pack({"numpy": legacy, "python": python, "own": own})
    back = unpack(json.loads(json.dumps(plain)), tensors)

    assert back["python"] == python
    assert back["own"] == own
    assert np.array_equal(back["numpy"]["state"]["key"], legacy["state"]["key"])  # type: ignore[call-overload,index]


def test_what_only_pickle_could_store_is_refused() -> None:
    with pytest.raises(
        CheckpointError, match=r"the state at 'a\.b' is a object, which cannot be stored without pickle"
    ):
        pack({"a": {"b": object()}})


def state(average: bool = False) -> State:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    made = State(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters()),
        average=WeightAverage(model, 0.9) if average else None,
    )
    for _ in range(2):
        made.optimizer.zero_grad()
        model(torch.randn(8, 3)).square().mean().backward()
        made.optimizer.step()
        made.step += 1
        if isinstance(made.average, WeightAverage):
            made.average.update(model)
    return made


@pytest.mark.parametrize("average", [False, True])
def test_a_checkpoint_is_the_snapshot(tmp_path: Path, average: bool) -> None:
    checkpoints = Checkpoints(tmp_path)
    snapshot = state(average).snapshot()

    checkpoints.write(snapshot, mark=17, best=True, keep=2)
    back, mark = checkpoints.read("last")

    assert mark == 17
    assert same(back, snapshot)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_the_weights_file_is_a_plain_state_dict_of_the_judged_weights(tmp_path: Path) -> None:
    made = state(average=True)
    place = Checkpoints(tmp_path).write(made.snapshot(), mark=0, best=True, keep=2)

    weights = load_file(place / "model.safetensors")

    assert isinstance(made.average, WeightAverage)
    assert weights.keys() == made.model.state_dict().keys()
    assert torch.equal(weights["0.weight"], made.average.weights["0.weight"])
    assert not torch.equal(weights["0.weight"], made.model.state_dict()["0.weight"])


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    made = state()

    for step in range(10, 70, 10):
        made.step = step
        checkpoints.write(made.snapshot(), mark=0, best=step == 20, keep=2)

    assert checkpoints.steps() == [20, 50, 60]
    assert checkpoints.pointed("best") == 20
    assert checkpoints.pointed("last") == 60


@pytest.mark.parametrize("file", ["model.safetensors", "state.safetensors", "state.json"])
def test_a_checkpoint_cut_short_is_told(tmp_path: Path, file: str) -> None:
    checkpoints = Checkpoints(tmp_path)
    place = checkpoints.write(state().snapshot(), mark=0, best=True, keep=2)
    whole = (place / file).read_bytes()
    (place / file).write_bytes(whole[: len(whole) // 2])

    with pytest.raises(CheckpointError, match="is cut short"):
        checkpoints.read("last")


def test_an_altered_checkpoint_is_told(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    place = checkpoints.write(state().snapshot(), mark=0, best=True, keep=2)
    whole = bytearray((place / "model.safetensors").read_bytes())
    whole[-1] ^= 1
    (place / "model.safetensors").write_bytes(whole)

    with pytest.raises(CheckpointError, match="was altered after it was written"):
        checkpoints.read("last")


def test_another_version_is_told(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    place = checkpoints.write(state().snapshot(), mark=0, best=True, keep=2)
    told = json.loads((place / "state.json").read_text())
    (place / "state.json").write_text(json.dumps({**told, "version": 99}))

    with pytest.raises(CheckpointError, match="is of version 99, this Tunesmith reads version 1"):
        checkpoints.read("last")


def test_a_step_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(state().snapshot(), mark=0, best=True, keep=2)

    with pytest.raises(CheckpointError, match=r"has no checkpoint of step 7; there are \[2\]"):
        checkpoints.read(7)


def test_a_full_disk_leaves_the_checkpoints_before_it_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits of file size need a POSIX system")
    checkpoints = Checkpoints(tmp_path)
    made = state()
    checkpoints.write(made.snapshot(), mark=0, best=True, keep=2)
    made.step = 50
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(StorageError, match="no room for a checkpoint"):
            checkpoints.write(made.snapshot(), mark=0, best=True, keep=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, heard)

    assert checkpoints.read("last")[0]["step"] == 2
    assert not list(tmp_path.glob(".draft-*"))


WRITER = """
import sys, torch
from pathlib import Path
from torch import nn
from tunesmith.records.state import State
from tunesmith.training.checkpoint import Checkpoints
model = nn.Linear(100, 100)
state = State(model=model, optimizer=torch.optim.SGD(model.parameters()))
checkpoints = Checkpoints(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    state.step += state.step % 3 != 2 or checkpoints.pointed("last") == state.step  # every third step is written twice
    model.weight.data.fill_(state.step)
    checkpoints.write(state.snapshot(), mark=state.step, best=state.step % 5 == 0, keep=2)
"""


def test_a_kill_at_any_moment_leaves_whole_checkpoints(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    reached = 0

    for attempt in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + 0.037 * attempt)
        process.kill()
        process.wait()
        process.stdout.close()
        if checkpoints.pointed("last") is None:
            continue
        snapshot, mark = checkpoints.read("last")
        reached += 1
        assert torch.equal(snapshot["model"]["weight"], torch.full((100, 100), float(mark)))
        if checkpoints.pointed("best") is not None:
            assert checkpoints.weights("best")["weight"][0, 0] % 5 == 0

    assert reached >= 3
