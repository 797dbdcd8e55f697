import datetime

import numpy as np
import polars as pl
import pytest

from tunesmith.data.cells import as_numbers, number_style, stripped
from tunesmith.data.columns import understand
from tunesmith.data.sheet import Sheet
from tunesmith.records import DataError

RNG = np.random.default_rng(0)


def sheet_of(values, name="c", **options):
    series = values if isinstance(values, pl.Series) else pl.Series(name, values, pl.String)
    return Sheet(pl.DataFrame({"first": ["x"] * len(series), name: series}), "data.csv", **options)


def kind_of(values, name="c", **options):
    return understand(sheet_of(values, name, **options), name).column.kind


SENTENCES = [f"the parcel number {i} came late and I am not happy" for i in range(60)]
KINDS = {
    "numbers": ([f"{v:.2f}" for v in RNG.normal(size=60)], "number"),
    "numbers with gaps": (["1.5", "?", "2.25", "NA", "", "3.5"] * 10, "number"),
    "thousands": ([f"{v:,}" for v in range(1000, 61000, 999)], "number"),
    "per cent": ([f"{v}%" for v in range(60)], "number"),
    "currency": ([f"$ {v}.50" for v in range(60)], "number"),
    "few whole numbers": ([str(i % 5) for i in range(60)], "ordinal"),
    "two whole numbers": ([str(i % 2) for i in range(60)], "number"),
    "truth": (["Yes", "no"] * 30, "boolean"),
    "words": (["red", "green", "blue"] * 20, "category"),
    "levels with a plus": ([("0", "1", "2", "3+")[i % 4] for i in range(80)], "category"),
    "codes with a leading zero": ([f"0{i % 9}123" for i in range(60)], "category"),
    "iso dates": ([f"2020-01-{1 + i % 28:02}" for i in range(60)], "date"),
    "moments": ([f"2020-01-02T{i % 24:02}:00:00Z" for i in range(60)], "date"),
    "american dates": ([f"{1 + i % 12}/{1 + i % 28}/2020" for i in range(60)], "date"),
    "german dates": ([f"{1 + i % 28}.{1 + i % 12}.2020" for i in range(60)], "date"),
    "chinese dates": ([f"2020年{1 + i % 12}月3日" for i in range(60)], "date"),
    "times of day": ([f"{i % 24}:15" for i in range(60)], "date"),
    "dates with an oddity": ([f"2020-01-{1 + i % 28:02}" for i in range(60)] + ["soon"], "date"),
    "text": (SENTENCES, "text"),
    "chinese text": ([f"第{i}次点的外卖送得太慢了" for i in range(60)], "text"),
    "identifier": ([f"u{i:05x}" for i in range(60)], "identifier"),
    "constant": (["same"] * 60, "constant"),
    "nothing": (["", "NA", "?"] * 20, "constant"),
    "one word or nothing": (["yes!", ""] * 30, "category"),
    "one stray word among numbers": ([f"{v:.2f}" for v in RNG.normal(size=60)] + ["oops"], "number"),
}


@pytest.mark.parametrize("case", KINDS)
def test_the_kind_of_a_column_of_text(case):
    values, kind = KINDS[case]

    assert kind_of(values) == kind


@pytest.mark.parametrize(
    ("series", "kind"),
    [
        (pl.Series(RNG.normal(size=50)), "number"),
        (pl.Series([True, False, None] * 20), "boolean"),
        (pl.Series([i % 4 for i in range(60)]), "ordinal"),
        (pl.Series([datetime.date(2020, 1, 1 + i % 28) for i in range(60)]), "date"),
        (pl.Series([datetime.timedelta(hours=i) for i in range(60)]), "number"),
        (pl.Series(["a", "b", "a"] * 20, dtype=pl.Categorical), "category"),
        (pl.Series([None] * 60), "constant"),
    ],
)
def test_the_kind_of_a_typed_column(series, kind):
    assert kind_of(series) == kind


def test_a_counter_is_an_identifier_in_the_first_column_or_by_its_name():
    counter = pl.Series(range(1, 61))
    sheet = Sheet(pl.DataFrame({"n": counter, "m": counter, "user_id": counter.shuffle(seed=0)}), "data.csv")

    kinds = {name: understand(sheet, name).column.kind for name in sheet.frame.columns}

    assert kinds == {"n": "identifier", "m": "number", "user_id": "identifier"}


def test_dates_are_seconds_since_1970():
    found = understand(sheet_of(["1970-01-02", "1970-01-01", ""] * 5), "c")

    assert found.values[:2].tolist() == [86400.0, 0.0]
    assert np.isnan(found.values[2])


def test_day_and_month_that_could_be_exchanged_are_told():
    ambiguous = understand(sheet_of([f"{1 + i % 12}/{1 + i % 11}/2020" for i in range(50)]), "c")
    clear = understand(sheet_of([f"{1 + i % 28}/{1 + i % 11}/2020" for i in range(50)]), "c")

    assert "month/day" in ambiguous.notices[0]
    assert clear.notices == ()
    assert clear.values.max() < datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC).timestamp()


def test_cells_of_another_kind_are_found_and_counted_as_missing():
    values = [f"{v:.2f}" for v in RNG.normal(size=60)] + ["oops"]

    found = understand(sheet_of(values), "c")

    mixed = next(finding for finding in found.findings if finding.fault == "data.mixed_types")
    assert (mixed.severity, mixed.subject["rows"]) == ("warning", [60])
    assert "'oops'" in mixed.because
    assert np.isnan(found.values[60])


def test_infinite_numbers_are_refused_by_row():
    with pytest.raises(DataError, match=r"'c' holds 1 infinite values, row 2 of data.csv \(line 4\)"):
        understand(sheet_of(["1.5", "2.5", "-inf"] + ["3.5"] * 20, lines=np.arange(2, 30)), "c")


def test_lists_are_refused():
    with pytest.raises(DataError, match="cannot be a feature"):
        understand(sheet_of(pl.Series([[1, 2], [3]])), "c")


@pytest.mark.parametrize("kind", ["number", "ordinal", "category", "text", "drop"])
def test_a_kind_that_is_given_overrules(kind):
    found = understand(sheet_of([str(i % 7) for i in range(60)]), "c", kind)

    assert found.column.kind == ("dropped" if kind == "drop" else kind)
    assert found.column.source == "given"


def test_a_kind_that_does_not_fit_is_refused():
    with pytest.raises(DataError, match="cannot be read as number: row 0"):
        understand(sheet_of(["red", "green"] * 5), "c", "number")


@pytest.mark.parametrize(
    ("cells", "comma", "style", "expected"),
    [
        (["1,234", "5,678.5"], False, "grouped", [1234, 5678.5]),
        (["1,5", "2,25"], False, "comma", [1.5, 2.25]),
        (["1,234", "2,500"], True, "comma", [1.234, 2.5]),
        (["1e3", "-.5"], False, "plain", [1000, -0.5]),
        (["5 %", "7%"], False, "grouped", [5, 7]),
    ],
)
def test_numbers_are_read_in_their_style(cells, comma, style, expected):
    text = stripped(pl.Series(cells))

    found, numbers = number_style(text, comma)

    assert (found, numbers.tolist()) == (style, expected)
    assert as_numbers(text, style).tolist() == expected


def test_missing_values_are_told():
    found = understand(sheet_of(["1.5", "?", "2.5", "n/a"] * 15), "c")

    assert found.column.missing == 30
    assert found.findings[0].fault == "data.missing"
    assert "30 rows" in found.findings[0].because
