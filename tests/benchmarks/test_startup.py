import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.test_accumulation import row

Load = Callable[[str], ModuleType]


def test_the_help_loads_nothing_heavy(benchmark: Load) -> None:
    measured = benchmark("startup").measure({"what": "help", "pairs": 1})

    assert measured["heavy"] == []
    assert 0 < measured["ours CPU s"] < 5


def test_a_process_is_measured_up_to_the_moment_it_says(benchmark: Load, tmp_path: Path) -> None:
    startup = benchmark("startup")
    program = tmp_path / "program.py"
    program.write_text(
        startup.REACHED.replace("{heavy}", "('wave', 'json')")
        + "import time, wave\ntime.sleep(0.2)\nreached()\n1 / 0\n"
    )

    taken = startup.run([sys.executable, str(program)], tmp_path)

    assert taken.wall > 0.2
    assert taken.heavy == ("wave", "json")


def test_a_process_that_fails_is_told(benchmark: Load, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("1 / 0\n")

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        benchmark("startup").run([sys.executable, str(program)], tmp_path)


def test_the_table_names_what_was_loaded(benchmark: Load) -> None:
    numbers = {
        "ratio CPU": 1.25,
        "lowest": 1.2,
        "highest": 1.4,
        "ratio wall": 1.1,
        "ours CPU s": 1.5,
        "base CPU s": 1.2,
        "pairs": 15,
    }
    rows = [
        row({"what": "first step", "model": "own"}, numbers | {"heavy": []}),
        row({"what": "first step", "model": "built-in"}, numbers | {"ratio CPU": 1.5, "heavy": ["sklearn"]}),
    ]

    page = benchmark("tables").render(benchmark("startup"), rows)

    assert "| 1.25 (1.20 to 1.40) | 1.10 | 1.3 held | 1.500 | 1.200 | none |" in page
    assert "| 1.3 missed | 1.500 | 1.200 | sklearn |" in page
