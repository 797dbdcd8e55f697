from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "printed", "csv.gz"])
def test_a_large_log_is_made_and_read_whole(benchmark: Load, kind: str) -> None:
    measured = benchmark("log_reading").measure({"what": "large", "kind": kind, "bytes": 300_000})

    assert measured["rows"] > 1000
    assert 0 < measured["points kept"] <= 4000
    assert measured["peak MB"] >= measured["before MB"]


def test_a_small_log_is_read_in_a_fresh_process(benchmark: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = benchmark("log_reading")
    monkeypatch.setattr(reading, "ROUNDS", 1)

    measured = reading.measure({"what": "small", "kind": "csv"})

    assert measured["cpu"] > measured["cpu of import"] + measured["cpu of reading"] > 0
    assert measured["seconds"] > 0
