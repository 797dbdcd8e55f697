"""What reading costs: nothing heavy is imported, memory does not grow with the log."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from tunesmith.runs import readers

HEAVY = ("torch", "polars", "pandas", "sklearn", "scipy", "tensorboard", "google.protobuf")


def test_a_small_log_imports_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\n1,0.5\n2,0.4\n")
    program = f"""
import sys
from tunesmith.runs.readers import read_log
read_log({str(path)!r})
print([name for name in {HEAVY} if name in sys.modules])
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def csv_row(i: int) -> str:
    return f"{i},{1 / (i + 1):.9f},0.001\n"


def jsonl_row(i: int) -> str:
    return f'{{"step": {i}, "loss": {1 / (i + 1):.9f}, "lr": 0.001}}\n'


def printed_row(i: int) -> str:
    return f"step {i}, loss {1 / (i + 1):.9f}, lr 0.001\n"


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [("a.csv", "step,loss,lr\n", csv_row), ("a.jsonl", "", jsonl_row), ("a.log", "", printed_row)],
)
def test_memory_is_bounded(tmp_path: Path, name: str, head: str, row) -> None:  # type: ignore[no-untyped-def]
    peaks = []
    for rows in (30_000, 90_000):
        path = tmp_path / name
        path.write_text(head + "".join(map(row, range(rows))))
        tracemalloc.start()
        readers.read_log(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.3 * peaks[0]
