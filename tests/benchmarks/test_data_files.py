import gzip
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.benchmarks.test_accumulation import row

Load = Callable[[str], ModuleType]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files in the place of the real ones."""
    for name in ("tabular", "text", "images/fashion_mnist"):
        (tmp_path / "data" / name).mkdir(parents=True)
    monkeypatch.setenv("TUNESMITH_SHARED", str(tmp_path))
    return tmp_path / "data"


def written(path: Path, lines: list[str]) -> None:
    path.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))


def bank(folder: Path) -> None:
    draw = np.random.default_rng(0)
    age = draw.integers(18, 80, 300)
    lines = [
        f"{years},{job},{'yes' if years > 60 else 'no'}"
        for years, job in zip(age, draw.choice(["a", "b", ""], 300), strict=True)
    ]
    written(folder / "tabular/bank_marketing_4120.csv.gz", ["age,job,y", *lines])


def test_every_model_judges_the_same_rows(benchmark: Load, folder: Path) -> None:
    data_files = benchmark("data_files")
    bank(folder)
    case = {"data": "bank_marketing", "settings": ["train.epochs=1"]}

    found = [data_files.measure(case | {"by": by}) for by in data_files.BY]

    assert len({each["rows"] for each in found}) == 1
    assert [each["metric"] for each in found] == ["roc_auc"] * 3
    assert all(0 <= each["score"] <= 1 for each in found)
    assert found[2]["score"] > 0.95  # the age alone decides


@pytest.mark.parametrize("by", ["linear", "boosting"])
def test_text_has_its_own_test_file(benchmark: Load, folder: Path, by: str) -> None:
    draw = np.random.default_rng(0)
    titles = ["".join(draw.choice(list("春夏秋冬东西"), 12)) for _ in range(400)]
    lines = [f"{title},{int('春夏' in title)},{'是' if '春夏' in title else '否'}" for title in titles]
    for part in ("train", "test"):
        written(folder / f"text/thucnews_titles_{part}.csv.gz", ["title,label,label_name", *lines])

    measured = benchmark("data_files").measure({"data": "thucnews_titles", "by": by})

    assert (measured["train"], measured["test"]) == (400, 400)
    assert measured["score"] > 0.8


def test_idx_files_are_read_by_their_header(benchmark: Load, tmp_path: Path) -> None:
    pictures = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    sizes = np.array(pictures.shape, ">i4").tobytes()
    (tmp_path / "pictures.gz").write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + sizes + pictures.tobytes()))

    found = benchmark("data_files").idx(tmp_path / "pictures.gz")

    assert np.array_equal(found, pictures)


def test_every_file_is_there_with_its_target(benchmark: Load, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_SHARED", str(shared))
    data_files = benchmark("data_files")

    shapes = {name: len(data_files.read(name, data.file)[1]) for name, data in data_files.DATA.items() if data.target}

    assert shapes["adult"] == 32561
    assert shapes["waimai"] == 11987
    assert min(shapes.values()) > 4000


def test_a_missing_file_is_named(benchmark: Load, folder: Path) -> None:
    with pytest.raises(SystemExit, match="set TUNESMITH_SHARED"):
        benchmark("data_files").measure({"data": "adult", "by": "tunesmith"})


def test_the_table_sets_scores_against_the_bars(benchmark: Load) -> None:
    measured = {"metric": "accuracy", "score": 0.9, "seconds": 100.0, "train": 100, "test": 20, "rows": "a"}
    rows = [
        row({"data": "waimai", "by": "tunesmith"}, measured),
        row({"data": "waimai", "by": "linear"}, measured | {"score": 0.8}),
        row({"data": "fashion_mnist", "by": "tunesmith"}, measured),
        row({"data": "sms_spam", "by": "tunesmith"}, measured | {"metric": "f1", "score": 0.95, "seconds": 800.0}),
    ]

    page = benchmark("tables").render(benchmark("data_files"), rows)

    assert "| waimai | accuracy | 0.9000 | 100 | 0.8000 | 100 |  |  | 0.85 held | 100 + 20 | yes |" in page
    assert "| 0.915 missed |" in page
    assert "| 0.93 missed |" in page
