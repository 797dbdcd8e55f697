import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tunesmith.data import Pipeline, prepare
from tunesmith.records import DataError, Recipe, Task, revise

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).parents[3] / "shared"))
RNG = np.random.default_rng(0)


def frame(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows)
    income = np.round(rng.lognormal(10, 1, rows), 2)
    colour = rng.choice(["red", "green", "blue"], rows)
    when = pl.Series(np.datetime64("2021-01-01") + rng.integers(0, 700, rows).astype("timedelta64[D]"))
    bought = np.where(age + rng.normal(0, 10, rows) > 60, "yes", "no")
    shop = rng.integers(0, 12, rows)
    return pl.DataFrame({"age": age, "income": income, "colour": colour, "when": when, "shop": shop, "bought": bought})


def with_cells(column, rows, value):
    data = frame().with_columns(pl.col(column).cast(pl.String))
    cells = data[column].to_list()
    for row in rows:
        cells[row] = value
    return data.with_columns(pl.Series(column, cells, pl.String))


def prepared(data=None, recipe=None, **task):
    task = {"target": "bought", **task}
    return prepare(Task(train=frame() if data is None else data, **task), Recipe() if recipe is None else recipe)


def test_a_frame_becomes_parts_with_the_shapes_of_the_contract():
    got = prepared()

    part = got.train
    assert (got.kind, got.outputs, got.classes) == ("binary", 2, ("no", "yes"))
    assert got.classes[got.positive] == "yes"
    assert part.inputs["numbers"].dtype == np.float32
    assert part.inputs["numbers"].shape == (len(part), got.spec["numbers"].width)
    assert part.inputs["categories"].dtype == np.int64
    assert part.target.dtype == np.int64
    assert part.inputs["categories"].max(axis=0).tolist() < list(got.spec["categories"].sizes)
    assert np.array_equal(np.bincount(part.target), got.counts)
    assert sorted([*got.train.rows, *got.val.rows, *got.test.rows]) == list(range(300))


def test_rows_are_those_of_the_source():
    data = frame()

    got = prepared(data)

    labels = np.array(data["bought"].to_list())
    for part in (got.train, got.val, got.test):
        assert np.array_equal(np.array(got.classes)[part.target], labels[part.rows])


def test_the_same_data_and_seed_give_the_same_parts_and_the_same_mark():
    first, again, other = prepared(), prepared(), prepared(recipe=revise(Recipe(), {"train.seed": 1}))

    assert first.fingerprint == again.fingerprint == other.fingerprint
    assert np.array_equal(first.split.test, again.split.test)
    assert not np.array_equal(first.split.test, other.split.test)
    assert prepared(frame(seed=1)).fingerprint != first.fingerprint


def test_a_dict_a_csv_a_parquet_file_and_a_frame_are_the_same_data(tmp_path):
    data = frame().drop("when")
    data.write_csv(tmp_path / "d.csv")
    data.write_parquet(tmp_path / "d.parquet")
    sources = [data, data.to_dict(as_series=False), str(tmp_path / "d.csv"), tmp_path / "d.parquet"]

    parts = [prepared(source).train for source in sources]

    for part in parts[1:]:
        assert np.array_equal(part.rows, parts[0].rows)
        assert np.array_equal(part.inputs["numbers"], parts[0].inputs["numbers"])
        assert np.array_equal(part.inputs["categories"], parts[0].inputs["categories"])


class ArrowOnly:
    """A frame of a library that is not known: columns and the Arrow stream, nothing else."""

    def __init__(self, data, works=True):
        self.columns, self._data, self._works = data.columns, data, works

    def __arrow_c_stream__(self, requested_schema=None):
        if not self._works:
            raise ImportError("needs pyarrow")
        return self._data.__arrow_c_stream__(requested_schema)

    def __getitem__(self, name):
        return self._data[name]


@pytest.mark.parametrize("works", [True, False])
def test_a_strange_frame_is_read_by_arrow_or_column_by_column(works):
    got = prepared(ArrowOnly(frame(), works))

    assert np.array_equal(got.train.inputs["numbers"], prepared().train.inputs["numbers"])


def test_blocks_are_fitted_on_the_training_part_alone():
    data = frame()
    got = prepared(data, revise(Recipe(), {"data.scale": "standard"}))

    place = got.spec["numbers"].names.index("income")

    assert got.train.inputs["numbers"][:, place].mean() == pytest.approx(0, abs=1e-5)
    assert abs(got.val.inputs["numbers"][:, place].mean()) > 1e-4


def test_the_pipeline_gives_the_parts_again_after_json():
    data = frame()
    got = prepared(data)

    copy = Pipeline.from_json(json.loads(json.dumps(got.pipeline.to_json())))
    again = copy.transform(data, with_target=True)

    for key, values in got.train.inputs.items():
        assert np.array_equal(again.inputs[key][got.train.rows], values)
    assert np.array_equal(again.target[got.train.rows], got.train.target)
    assert copy.spec() == dict(got.spec)
    assert copy.columns == got.columns
    assert copy.to_json() == got.pipeline.to_json()


def test_the_inverse_shows_what_the_network_sees():
    data = frame()
    got = prepared(data)

    seen = got.pipeline.inverse(got.train, 5)

    row = data.row(int(got.train.rows[5]), named=True)
    assert seen["age"] == pytest.approx(row["age"], rel=1e-3)
    assert seen["colour"] == row["colour"]
    assert seen["when"].startswith(str(row["when"])[:7])


def test_the_table_of_columns_names_every_column():
    got = prepared(group="shop")

    rows = {column.name: column for column in got.pipeline.describe()}

    assert list(rows) == ["age", "income", "colour", "when", "shop", "bought"]
    assert (rows["age"].kind, rows["when"].kind, rows["shop"].kind, rows["bought"].kind) == (
        "number",
        "date",
        "group",
        "target",
    )
    assert "embedding of 3 levels" in rows["colour"].encoding
    assert "no (" in rows["bought"].values


PREDICTED = {
    "a column is missing": (frame().drop("colour"), r"misses a column .* 'colour'"),
    "a column is misspelt": (frame().rename({"colour": "color"}), r"'colour'; is it the column 'color'"),
    "two are missing": (frame().drop("colour", "age"), "2 columns"),
    "a number is infinite": (frame().with_columns(income=pl.lit(np.inf)), "'income' holds infinite values"),
    "a matrix of another width": (np.zeros((4, 2)), "trained on the columns age"),
}


@pytest.mark.parametrize("case", PREDICTED)
def test_new_data_that_do_not_fit_get_their_sentence(case):
    data, sentence = PREDICTED[case]
    pipeline = prepared().pipeline

    with pytest.raises(DataError, match=sentence):
        pipeline.transform(data)


def test_new_data_with_more_columns_and_levels_are_told():
    pipeline = prepared().pipeline

    part = pipeline.transform(frame(20).with_columns(extra=pl.lit(1), colour=pl.lit("mauve")))

    assert len(part) == 20
    assert any("extra" in told for told in pipeline.told)
    assert any("20 rows" in told and "'mauve'" in told for told in pipeline.told)
    assert (part.inputs["categories"][:, pipeline.blocks[1].names.index("colour")] == 0).all()


TABLES = {
    "target misspelt": (frame(), {"target": "bougth"}, "did you mean 'bought'"),
    "target not named": (frame(), {"target": None}, "candidates: 'bought' \\(binary\\)"),
    "column to drop misspelt": (frame(), {"drop": ("incme",)}, "did you mean 'income'"),
    "kind of column misspelt": (frame(), {"columns": {"age": "nubmer"}}, "did you mean 'number'"),
    "group misspelt": (frame(), {"group": "shp"}, "no group column called 'shp'"),
    "time is words": (frame(), {"time": "colour"}, "expected numbers or dates"),
    "time is missing": (with_cells("when", [3], ""), {"time": "when"}, "empty in 1 rows, row 3"),
    "weight is negative": (
        frame().with_columns(w=pl.Series([-1.0] + [1.0] * 299)),
        {"sample_weight": "w"},
        "-1 came in row 0",
    ),
    "weight is missing": (frame().with_columns(w=pl.Series([None] + [1.0] * 299)), {"sample_weight": "w"}, "row 0"),
    "target infinite": (
        frame().with_columns(income=pl.lit(np.inf)),
        {"target": "income"},
        "infinite values, rows 0, 1, 2",
    ),
    "target empty": (frame().with_columns(bought=pl.lit("")), {}, "missing in all 300 rows"),
    "target constant": (frame().with_columns(bought=pl.lit("no")), {}, "one value only"),
    "one row": (frame(1), {}, "1 row"),
    "no row": (frame(0), {}, "0 rows"),
    "nothing but the target": (frame().select("bought"), {}, "at least one feature"),
    "nothing that changes": (frame().select("bought", pl.lit(1).alias("a")), {}, "no feature that changes"),
    "group and time": (frame(), {"group": "shop", "time": "when"}, "data.split = 'group' or 'time'"),
    "columns of unequal length": ({"a": [1, 2], "bought": ["x"]}, {}, "different lengths"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_used_gets_its_sentence(case):
    data, task, sentence = TABLES[case]

    with pytest.raises(DataError, match=sentence) as caught:
        prepared(data, **task)

    assert "\n" not in str(caught.value)


def test_a_target_called_target_is_taken_and_told():
    got = prepared(frame().rename({"bought": "Target"}), target=None)

    assert any("'Target' is taken as the target" in notice for notice in got.notices)


def test_rows_without_a_target_are_left_out_and_counted():
    got = prepared(with_cells("bought", [0, 7, 9], ""))

    assert not {0, 7, 9} & {*got.train.rows.tolist(), *got.val.rows.tolist(), *got.test.rows.tolist()}
    assert any(finding.message == "data.missing_targets" and "3 of 300" in finding.because for finding in got.findings)


def test_a_class_of_one_row_is_trained_on_and_told():
    got = prepared(with_cells("bought", [11], "maybe"))

    assert 11 in got.train.rows
    assert any(finding.message == "data.single_row_class" and "maybe" in finding.because for finding in got.findings)


def test_every_finding_can_be_said_in_both_languages():
    data = with_cells("income", [5], "lots").with_columns(same=pl.lit(1))
    data = pl.concat([data, data.head(40)]).with_columns(
        bought=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("maybe")).otherwise("bought")
    )
    got = prepared(data, test=data.head(20))

    faults = {finding.fault for finding in got.findings}

    assert faults == {"data.constant", "data.mixed_types", "data.missing", "data.duplicates", "data.class_imbalance"}
    assert all(finding.text("en") and finding.text("zh") for finding in got.findings)
    assert all(remedy.text("zh") for finding in got.findings for remedy in finding.remedies)


def test_equal_rows_lie_in_one_part():
    data = pl.concat([frame(), frame().head(60)])

    got = prepared(data)

    part = {int(row): name for name in ("train", "val", "test") for row in getattr(got, name).rows}
    assert all(part[row] == part[300 + row] for row in range(60))


def test_equal_rows_may_be_divided_if_the_recipe_says_so():
    data = pl.concat([frame(), frame().head(60)])

    got = prepared(data, revise(Recipe(), {"data.keep_duplicates_together": False}))

    part = {int(row): name for name in ("train", "val", "test") for row in getattr(got, name).rows}
    assert any(part[row] != part[300 + row] for row in range(60))


def test_groups_stay_together_and_are_no_feature():
    got = prepared(group="shop")

    shops = frame()["shop"].to_numpy()
    held = [set(shops[part.rows]) for part in (got.train, got.val, got.test)]
    assert got.split.name == "group"
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]
    assert "shop" not in got.spec["numbers"].names


def test_the_latest_rows_judge_and_time_keeps_its_season_alone():
    got = prepared(time="when")

    when = frame()["when"].to_numpy()
    assert got.split.name == "time"
    assert when[got.train.rows].max() < when[got.val.rows].min()
    assert when[got.val.rows].max() < when[got.test.rows].min()
    assert [name for name in got.spec["numbers"].names if name.startswith("when")] == [
        "when (sine of year)",
        "when (cosine of year)",
        "when (sine of week)",
        "when (cosine of week)",
    ]


def test_given_parts_are_kept_and_shared_rows_counted():
    got = prepared(frame(), val=frame(40, seed=1), test=pl.concat([frame(30, seed=2), frame().head(5)]))

    assert (len(got.train), len(got.val), len(got.test)) == (300, 40, 35)
    assert any(
        finding.message == "data.rows_in_both" and "5 rows of the test" in finding.because for finding in got.findings
    )


def test_a_given_test_file_with_other_classes_or_columns_is_refused():
    with pytest.raises(DataError, match="of 2 classes that the training data do not have"):
        prepared(test=frame(20).with_columns(bought=pl.col("bought") + "."))
    with pytest.raises(DataError, match="'colour'"):
        prepared(test=frame(20).drop("colour"))


def test_three_rows_are_trained_on_and_told():
    got = prepared(frame(300)[[0, 1, 2]].with_columns(bought=pl.Series(["a", "b", "a"])))

    assert (len(got.train), got.val, got.test) == (3, None, None)
    assert any("too few" in notice for notice in got.notices)


def test_weights_travel_with_their_rows():
    weights = RNG.random(300).astype(np.float32)

    by_array = prepared(sample_weight=weights)
    by_column = prepared(frame().with_columns(w=pl.Series(weights)), sample_weight="w")

    assert np.array_equal(by_array.train.weight, weights[by_array.train.rows])
    assert np.array_equal(by_column.train.weight, by_array.train.weight)


def test_several_targets_are_labels_or_numbers():
    data = frame().with_columns(a=pl.col("age") > 50, b=pl.col("age") < 30)

    labels = prepared(data.cast({"a": pl.Int8, "b": pl.Int8}), target=("a", "b"))
    numbers = prepared(target=("age", "income"))

    assert (labels.kind, labels.train.target.dtype, labels.outputs) == ("multilabel", np.float32, 2)
    assert (numbers.kind, numbers.outputs) == ("multi_regression", 2)
    assert np.allclose(
        numbers.pipeline.decode(numbers.train.target)[:, 0], frame()["age"].to_numpy()[numbers.train.rows]
    )


def test_text_columns_are_joined_and_become_tokens():
    words = RNG.choice(["late", "cold", "warm", "kind", "rude", "fast", "slow"], (200, 6))
    data = {"review": [" ".join(row) for row in words], "bought": ["yes" if "warm" in row else "no" for row in words]}

    got = prepared(data)

    assert list(got.spec) == ["tokens"]
    assert got.train.inputs["tokens"].dtype == np.int32


def test_pictures_in_arrays_are_pictures():
    pixels = RNG.integers(0, 256, (60, 12, 14), dtype=np.uint8)

    got = prepare(Task(train=(pixels, np.arange(60) % 3)), Recipe())

    assert got.train.inputs["pictures"].shape[1:] == (1, 12, 14)
    assert got.train.inputs["pictures"].dtype == np.uint8


def test_arrays_are_prepared_without_the_libraries_of_tables():
    code = """
import sys, numpy as np
from tunesmith.data import prepare
from tunesmith.records import Recipe, Task
rng = np.random.default_rng(0)
got = prepare(Task(train=(rng.random((500, 20), np.float32), rng.integers(0, 3, 500))), Recipe())
assert got.spec["numbers"].width == 20
print(sorted({"torch", "polars", "sklearn", "scipy", "pandas"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


@pytest.mark.skipif(not (SHARED / "data/tabular").exists(), reason="the shared data are not here")
@pytest.mark.parametrize(
    ("name", "target", "kind", "rows"),
    [
        ("adult_train", "income", "binary", 32561),
        ("california_housing", "median_house_value", "regression", 20640),
        ("wine_quality", "quality", "multiclass", 6497),
        ("mammography_imbalanced", None, "binary", 11183),
        ("bank_marketing_4120", None, "binary", 4120),
        ("bike_sharing_hour", "cnt", "regression", 17379),
    ],
)
def test_real_tables_are_understood(name, target, kind, rows):
    got = prepare(Task(train=SHARED / f"data/tabular/{name}.csv.gz", target=target), Recipe())

    assert got.kind == kind
    assert len(got.train) + len(got.val) + len(got.test) == rows
    assert abs(len(got.test) - 0.15 * rows) <= 2
    assert all(np.isfinite(part.inputs["numbers"]).all() for part in (got.train, got.val, got.test))
