"""The batch finder: what fits with a memory that ends on demand, what is fast, what learns, and what several ranks agree on."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from tests.preflight.planted import digits, mlp, program
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.doctor.repair.finders.batch import three
from tunesmith.doctor.repair.finders.fitting import fitting
from tunesmith.doctor.repair.finders.throughput import Pace, knee_of
from tunesmith.doctor.repair.finders.worst import longest_row, worst_batch
from tunesmith.records import Program, Recipe, RecipeError, Task, TrainingFailed, revise
from tunesmith.records.state import copied
from tunesmith.testing.memory_faults import memory_faults
from tunesmith.verbs.find_batch import find_batch


def ends_at(limit):
    def fault(rows, size):
        if rows > limit:
            raise torch.OutOfMemoryError(f"{rows} rows")

    return fault


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 32, 100, 333])
def test_the_most_that_fits_is_found_to_a_sixteenth(limit):
    bench = bench_of_program(program(epochs=1))

    found = fitting(bench, most=600, seconds=math.inf, margin=0.1, fault=ends_at(limit))

    assert found.bound == "memory"
    assert limit - max(1, limit // 16) <= found.most <= limit
    assert all(one.fits == (one.rows <= limit) for one in found.attempts)


def test_a_memory_counted_in_bytes():
    seen = []

    def fault(rows, size):
        seen.append((rows, size))
        if size > 200_000:
            raise torch.OutOfMemoryError

    found = fitting(bench_of_program(program()), most=600, seconds=math.inf, margin=0.1, fault=fault)

    assert found.bound == "memory"
    held = sorted(set(seen))
    assert [size for _, size in held] == sorted(size for _, size in held)
    assert dict(seen)[found.most] <= 200_000


def test_where_memory_does_not_end_the_rows_do():
    found = fitting(bench_of_program(program()), most=600, seconds=math.inf, margin=0.1)

    assert (found.most, found.bound) == (600, "rows")


def test_what_raises_something_else_is_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        find_batch(program(mlp(63)), seconds=20)


def test_a_margin_is_left_and_rows_come_in_eights():
    found = find_batch(program(epochs=1), seconds=None, compare=False, fault=ends_at(100))

    assert found.largest % 8 == 0
    assert 72 <= found.largest <= 90
    assert found.bound == "memory"
    assert found.because.startswith(f"{found.largest} rows fit at once")
    assert "有效批量" in found.text("zh")


def test_a_net_that_runs_out_of_memory_inside():
    with memory_faults(rows=50, places=("forward",)):
        found = find_batch(program(epochs=1, batch_size=32), seconds=None, compare=False)

    assert 32 <= found.largest <= 50
    assert found.micro_batch * found.accumulate == found.effective_batch == 32


def test_where_not_one_row_fits_it_is_said():
    with pytest.raises(TrainingFailed, match="a single row of the worst case does not fit"):
        find_batch(program(), seconds=None, fault=ends_at(0))


def test_the_effective_batch_stays_by_accumulation():
    found = find_batch(program(epochs=1, batch_size=64), seconds=None, compare=False, fault=ends_at(20))

    assert found.effective_batch == 64
    assert found.micro_batch == 16 or found.micro_batch in (8, 4, 2, 1)
    assert found.micro_batch * found.accumulate == 64
    assert found.rate == 0.1
    assert found.micro_batch <= found.largest < 20


class Sentences(Dataset):
    """Sequences of different lengths; number 17 is the longest."""

    def __len__(self):
        return 200

    def __getitem__(self, place):
        length = 40 if place == 17 else 3 + place % 9
        return torch.ones(length, dtype=torch.long), place % 2


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(2, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, tokens):
        return self.out(self.table(tokens).mean(1))


def padded(rows):
    tokens = nn.utils.rnn.pad_sequence([row[0] for row in rows], batch_first=True)
    return tokens, torch.tensor([row[1] for row in rows])


def test_the_worst_case_is_tried_first():
    model = Bag()
    loader = DataLoader(Sentences(), batch_size=8, shuffle=True, collate_fn=padded)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    bench = bench_of_program(Program(model, nn.CrossEntropyLoss(), optimizer, loader, batch_size=8, epochs=1))

    assert longest_row(bench) == 17
    assert worst_batch(bench, 300).inputs.shape == (300, 40)


def test_rows_of_one_shape_have_no_worst():
    bench = bench_of_program(program())

    assert longest_row(bench) is None
    assert worst_batch(bench, 700).inputs.shape == (700, 64)


def test_the_knee_of_a_curve():
    flat = [Pace(8 * 2**power, 0.1, 100.0) for power in range(5)]
    rising = [Pace(8 * 2**power, 0.1, 100.0 * 2**power) for power in range(5)]

    assert knee_of(flat) == 8
    assert knee_of(rising) == 128


def test_three_batches_at_equal_samples_and_seconds():
    found = find_batch(program(epochs=4, batch_size=32), seconds=None)

    assert len(found.compared) == 3
    assert any(one.batch == 32 for one in found.compared)
    assert len({one.samples[-1] // one.batch * one.batch for one in found.compared}) <= 3
    for one in found.compared:
        assert one.at_samples == one.losses[-1]
        assert found.equal_seconds <= one.seconds[-1] + 1e-9
        assert one.factor == pytest.approx(one.batch / 32)  # linear, SGD
    quickest = min(found.compared, key=lambda one: one.seconds[-1])
    assert quickest.at_seconds == pytest.approx(quickest.at_samples)


def test_the_rate_follows_by_the_rule():
    adam = program(epochs=1, optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-3))

    found = find_batch(adam, seconds=None, rule="auto")

    assert found.rate == pytest.approx(1e-3 * math.sqrt(found.effective_batch / 32))
    assert all(one.factor == pytest.approx(math.sqrt(one.batch / 32)) for one in found.compared)


def test_everything_is_as_it_was():
    sound = program(epochs=1)
    before = copied(sound.model.state_dict())
    torch.manual_seed(3)
    random = torch.get_rng_state()

    find_batch(sound, seconds=None, fault=ends_at(100))

    assert all(torch.equal(value, before[name]) for name, value in sound.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not sound.optimizer.state


def test_a_task_with_its_recipe():
    (X, y), val = digits()
    recipe = revise(Recipe(), {"train.epochs": 1, "train.batch_size": 64, "train.device": "cpu"})

    found = find_batch(Task(train=(X, y), val=val), recipe, seconds=None, compare=False, fault=ends_at(40))

    assert found.change["train.batch_size"] * found.change["train.accumulate"] == 64
    assert revise(recipe, found.change).train.batch_size <= 36


def test_settings_out_of_range_are_refused():
    with pytest.raises(RecipeError, match=r"margin = 1\.5 came"):
        find_batch(program(), margin=1.5)
    with pytest.raises(RecipeError, match="no rule called 'cubic'"):
        find_batch(program(epochs=1), rule="cubic", most=32)


def test_no_batch_larger_than_fits_is_compared():
    assert three(64, 16, 32, 10_000) == [4, 16, 32]
    assert all(batch <= 150 for batch in three(32, 512, 4096, 600))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_device_runs_out_of_memory():
    model = nn.Sequential(nn.Linear(64, 4096), nn.ReLU(), nn.Linear(4096, 10)).cuda()
    data = (np.zeros((64, 64), np.float32), np.zeros(64, np.int64))
    optimizer = torch.optim.Adam(model.parameters())
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        found = find_batch(
            Program(model, nn.CrossEntropyLoss(), optimizer, data, batch_size=32, epochs=1), most=10**8, compare=False
        )
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

    assert found.bound == "memory"
    assert found.largest > 1000


RANK = """
import sys, torch
from datetime import timedelta
from torch import distributed
sys.path.insert(0, {root!r})
from tests.preflight.planted import program
from tests.repair.test_finders_batch import ends_at
from tunesmith.verbs.find_batch import find_batch

rank = int(sys.argv[1])
distributed.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2, timeout=timedelta(seconds=60))
found = find_batch(program(epochs=1, batch_size=64), seconds=None, compare=True, fault=ends_at((200, 40)[rank]))
print(found.largest, found.knee, found.micro_batch, found.accumulate, found.effective_batch, found.ranks)
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_the_least_of_all_ranks_holds(tmp_path):
    from pathlib import Path

    script = RANK.format(root=str(Path(__file__).parents[2]))
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(rank), str(tmp_path / "meeting")], stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]

    told = [rank.communicate(timeout=120)[0].split() for rank in ranks]

    assert [rank.returncode for rank in ranks] == [0, 0]
    assert told[0] == told[1]
    largest, _, micro, accumulate, effective, count = map(int, told[0])
    assert largest <= 40
    assert (count, micro * accumulate * 2) == (2, effective)
