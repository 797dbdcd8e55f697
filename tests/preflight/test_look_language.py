"""Samples of a language model as the network sees them: tokens spelt, those that train marked."""

import pytest

from tunesmith.doctor.preflight import bench_of_task
from tunesmith.doctor.preflight.look import look
from tunesmith.records import Recipe, Task, revise

ROWS = [{"instruction": f"Say {n}", "output": f"{n}!"} for n in range(24)]
SMALL = {"model.width": 16, "model.depth": 1, "model.heads": 2, "train.epochs": 1, "train.batch_size": 8}


@pytest.mark.parametrize("pack", [False, True])
def test_marked_is_what_trains(pack):
    recipe = revise(Recipe(), {**SMALL, "data.pack": pack, "data.max_seq_len": 80})
    bench = bench_of_task(Task(train=ROWS, kind="language"), recipe)

    seen = look(bench, steps=2, shown=4)

    for sample in seen.samples:
        marked = "".join(piece for piece, trained in sample.tokens if trained)
        assert "!<|im_end|>" in marked
        assert "Say" not in marked
        assert "".join(piece for piece, _ in sample.tokens).startswith("<|im_start|>user\nSay")
