"""Groups, time, shift and reused parts; stamps in pictures; columns that drown."""

import numpy as np
import polars as pl
import pytest
from sklearn import datasets

from tests.audits.leakage_cases import looked, loud, table
from tunesmith.doctor.audits import AUDITS, material_of
from tunesmith.records import Task
from tunesmith.records.check import examine
from tunesmith.records.clock import Clock


def people(rows_each=8, count=80, seed=0, name="person_id"):
    """Rows of one person are alike, and the target belongs to the person."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(count), rows_each)
    centre, level = rng.normal(size=(count, 4)), rng.normal(size=count)
    X = centre[person] + 0.15 * rng.normal(size=(len(person), 4))
    y = level[person] + 0.2 * rng.normal(size=len(person))
    mixed = rng.permutation(len(y))
    codes = rng.permutation(count)[person] + 1000
    frame = pl.DataFrame({**{f"f{k}": X[:, k] for k in range(4)}, name: codes, "y": y})
    return frame[mixed]


@pytest.mark.parametrize("name", ["person_id", "patient", "subject", "UserID", "患者编号", "k7_code"])
def test_a_person_in_two_parts_is_found(name):
    found = loud(looked(Task(train=people(name=name), target="y"), "group_leak"))

    assert [finding.subject["columns"] for finding in found] == [[name]]
    assert found[0].remedies[0].change == {"data.split": "group"}
    told = {one.name: one.value for one in found[0].evidence}
    assert told["power on rows drawn at random"] > told["power on new groups"] + 0.2


def test_a_named_group_is_divided_by_the_recipe_and_quiet():
    assert not looked(Task(train=people(), target="y", group="person_id"), "group_leak")


def test_a_named_group_in_two_given_parts_is_an_error():
    frame = people()

    train, val, test = frame[:400], frame[400:520], frame[520:]

    found = looked(Task(train=train, val=val, test=test, target="y", group="person_id"), "group_leak")

    assert [finding.severity for finding in found] == ["error", "error"]
    both = set(train["person_id"])
    assert found[0].subject["rows"] == [row for row, one in enumerate(val["person_id"]) if one in both]


def test_people_in_one_part_only_are_quiet():
    frame = people().sort("person_id")

    assert not looked(Task(train=frame[:320], val=frame[320:480], test=frame[480:], target="y"), "group_leak")


def test_people_who_are_not_alike_are_quiet():
    frame, y, _, rng = table()
    frame = frame.with_columns(person_id=rng.integers(0, 100, len(y)), y=y)

    assert not looked(Task(train=frame, target="y"), "group_leak")


@pytest.mark.parametrize("given", [False, True])
def test_faces_of_one_person_in_two_parts(shared, given):
    frame = pl.read_csv(
        shared / "data" / "keypoints" / "faces_kp_a_keypoints15.csv.gz", schema_overrides={"kaggle_mask": pl.String}
    )
    test = frame.filter(pl.col("source_split") == "test") if given else None
    train = frame.filter(pl.col("source_split") == "train") if given else frame

    found = loud(looked(Task(train=train, test=test, target=("nose_tip_x", "nose_tip_y")), "group_leak"))

    assert [finding.subject["columns"] for finding in found] == [["person_id"]]
    assert found[0].values["groups"] == 287


def series(rows=1200, seed=0):
    rng = np.random.default_rng(seed)
    y = np.zeros(rows)
    for k in range(1, rows):
        y[k] = 0.95 * y[k - 1] + rng.normal()
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2030, 1, 1), "1d", eager=True)[:rows]
    return pl.DataFrame({"day": days, "other": rng.normal(size=rows), "third": rng.normal(size=rows), "y": y}), rng


def test_days_mixed_at_random_are_found():
    frame, rng = series()

    found = loud(looked(Task(train=frame[rng.permutation(len(frame))], target="y"), "future_leak"))

    assert [finding.message for finding in found] == ["leakage.future"]
    assert found[0].remedies[0].change == {"data.split": "time"}


def test_days_divided_in_time_are_quiet():
    frame, _ = series()

    assert not looked(Task(train=frame, target="y", time="day"), "future_leak")


def test_days_that_tell_nothing_are_quiet():
    frame, y, _, _ = table()
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2030, 1, 1), "1d", eager=True)[: len(y)]

    assert not looked(Task(train=frame.with_columns(day=days, y=y), target="y"), "future_leak")


@pytest.mark.parametrize("lead", [1, 7, 24])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_column_that_holds_a_later_target(lead, noise):
    frame, rng = series()
    y = frame["y"].to_numpy()
    later = np.r_[y[lead:], np.full(lead, np.nan)] + noise * y.std() * rng.normal(size=len(y))
    frame = frame.with_columns(
        pl.Series("ahead", later).fill_nan(None), pl.Series("behind", np.r_[np.zeros(lead), y[:-lead]])
    )

    found = loud(looked(Task(train=frame, target="y", time="day"), "future_leak"))

    assert [(finding.subject["columns"], finding.values["lag"]) for finding in found] == [(["ahead"], lead)]


def windows(values, length=16):
    made = np.lib.stride_tricks.sliding_window_view(values, length + 1)
    return made[:, :-1].copy(), made[:, -1].copy()


def test_windows_of_one_series_in_two_parts():
    rng = np.random.default_rng(0)
    X, y = windows(np.cumsum(rng.normal(size=900)))

    found = [one for one in looked(Task(train=(X, y)), "future_leak") if one.message == "leakage.windows"]

    assert {one.severity for one in found} == {"warning"}
    assert found[0].values["share"] > 0.99


def test_windows_divided_before_they_are_cut_are_quiet():
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=900))
    task = Task(train=windows(values[:500]), val=windows(values[500:700]), test=windows(values[700:]))

    assert not [one for one in looked(task, "future_leak") if one.message == "leakage.windows"]


def two_parts(seed=0):
    data = datasets.load_breast_cancer()
    order = np.random.default_rng(seed).permutation(len(data.data))
    X, y = data.data[order], data.target[order]
    return (X[:350], y[:350]), (X[350:], y[350:])


def test_parts_of_one_table_are_quiet():
    train, val = two_parts()

    assert not loud(looked(Task(train=train, val=val)))


BADLY = {
    "scaled by 255": lambda X, of: X / 255,
    "standardised": lambda X, of: (X - of.mean(0)) / of.std(0),
    "one column in other units": lambda X, of: np.column_stack([X[:, :3], X[:, 3] * 10.764, X[:, 4:]]),
}


@pytest.mark.parametrize("how", BADLY)
def test_a_part_that_is_scaled_differently(how):
    (X, y), (V, w) = two_parts()

    found = loud(looked(Task(train=(X, y), val=(BADLY[how](V, X), w)), "shift_prepared"))

    assert [finding.message for finding in found] == ["shift.scaled"]
    assert found[0].severity == "error"
    if how.startswith("one"):
        assert found[0].subject["columns"] == ["x[3]"]
        assert found[0].values["ratio"] == pytest.approx(10.764, rel=0.3)


def test_swapped_columns_are_named():
    (X, y), (V, w) = two_parts()

    found = loud(looked(Task(train=(X, y), val=(V[:, [0, 3, 2, 1, *range(4, 30)]], w)), "shift_prepared"))

    assert [finding.subject["columns"] for finding in found] == [["x[1]", "x[3]"]]


def colours(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    base = np.array([60.0, 110.0, 170.0])[None, :, None, None]
    y = rng.integers(0, 2, rows)
    X = base + rng.normal(0, 25, (rows, 3, 12, 12)) + 15 * y[:, None, None, None]
    return np.clip(X, 0, 255).astype(np.uint8), y


def test_swapped_channels_and_other_ranges():
    X, y = colours()
    V, w = colours(seed=1)

    swapped = loud(looked(Task(train=(X, y), val=(V[:, ::-1].copy(), w)), "shift_prepared"))
    ranged = loud(looked(Task(train=(X.astype(np.float32), y), val=(V.astype(np.float32) / 255, w)), "shift_prepared"))
    sound = looked(Task(train=(X, y), val=(V, w)), "shift_prepared", "shift", "shift_labels")

    assert [finding.message for finding in swapped] == ["shift.swapped"]
    assert [finding.message for finding in ranged] == ["shift.scaled"]
    assert not loud(sound)


def test_words_and_gaps_written_differently():
    frame, _, y, rng = table()
    frame = frame.with_columns(pl.Series("y", y.tolist()))
    holes = rng.random(len(y)) < 0.2
    frame = frame.with_columns(c=pl.when(pl.Series(holes)).then(None).otherwise(pl.col("c")))
    val = frame[500:].with_columns(pl.col("colour").str.to_uppercase(), pl.col("c").fill_null(-999.0))

    found = loud(looked(Task(train=frame[:500], val=val, target="y"), "shift_prepared"))

    assert {finding.message: finding.subject["columns"] for finding in found} == {
        "shift.rewritten": ["colour"],
        "shift.gap_code": ["c"],
    }


def test_a_part_drawn_elsewhere():
    frame, y, _, _ = table(rows=1600)
    frame = frame.with_columns(y=y).sort("a")

    found = looked(Task(train=frame[:1000], val=frame[1000:], target="y"), "shift", "shift_labels")

    assert {finding.message for finding in loud(found)} == {"shift.apart", "shift.target"}
    apart = next(finding for finding in found if finding.message == "shift.apart")
    assert apart.subject["columns"][0] == "a"
    assert apart.values["area"] > 0.95


def test_the_area_of_a_classifier_against_its_closed_form():
    rng = np.random.default_rng(0)
    gap = 1.5  # two normal distributions: area = Phi(gap / sqrt 2) = 0.8555
    X, V = rng.normal(size=(1500, 3)), rng.normal(size=(1500, 3))
    V[:, 1] += gap
    y, w = rng.normal(size=(2, 1500))

    found = looked(Task(train=(X, y), val=(V, w)), "shift")

    assert found[0].values["area"] == pytest.approx(0.8555, abs=0.04)  # learnt from 3000 rows: a little below


def test_classes_in_other_shares():
    rng = np.random.default_rng(0)
    X, V = rng.normal(size=(600, 3)), rng.normal(size=(600, 3))
    y, w = (rng.random(600) < 0.1).astype(int), (rng.random(600) < 0.5).astype(int)

    assert [one.severity for one in looked(Task(train=(X, y), val=(V, w)), "shift_labels")] == ["warning"]


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_validation_part_drawn_from_the_test(share):
    (X, y), (V, w) = two_parts()
    mine = int(share * 100)
    val = np.r_[V[:mine], V[119 : 219 - mine]], np.r_[w[:mine], w[119 : 219 - mine]]

    found = looked(Task(train=(X, y), val=val, test=(V[:119], w[:119])), "reused_test")

    assert [finding.severity for finding in found] == ["warning"]
    assert found[0].subject["rows"] == list(range(mine))


def test_a_stamp_in_the_corner_gives_a_class_away():
    data = datasets.load_digits()
    X = np.repeat(np.repeat(data.images, 2, 1), 2, 2)[:, None]
    X = np.clip(X * 15 + np.random.default_rng(0).normal(0, 4, X.shape), 0, 240).astype(np.uint8)
    stamped = X.copy()
    stamped[data.target == 3, :, :2, :2] = 255

    found = loud(looked(Task(train=(stamped, data.target)), "leakage_pixels"))
    quiet = looked(Task(train=(X, data.target)), "leakage_pixels")

    assert [finding.values["label"] for finding in found] == ["3"]
    assert found[0].severity == "error"
    assert sorted(found[0].subject["pixels"]) == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]
    assert not quiet


def test_useful_columns_that_drown():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 400))
    y = (X[:, 3] + X[:, 90] + 0.4 * rng.normal(size=240) > 0).astype(int)

    found = loud(looked(Task(train=(X, y)), "poor_features"))

    assert len(found) == 1
    assert {"x[3]", "x[90]"} <= set(found[0].subject["columns"])


def test_usefulness_of_each_column_is_measured():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 8))
    y = 2 * X[:, 4] + X[:, 1] + rng.normal(size=1500)
    material = material_of(Task(train=(X, y)))

    found = examine(AUDITS, material, Clock(), ["usefulness"])

    told = material.measured["usefulness"]
    assert told["x[4]"]["power"] == pytest.approx(4 / 6, abs=0.05)  # shares of the variance: 4, 1 and 1 of 6
    assert told["x[1]"]["power"] == pytest.approx(1 / 6, abs=0.05)
    assert told["x[4]"]["importance"] == pytest.approx(2 * 4 / 6, abs=0.25)  # shuffled: the variance is paid twice
    assert not loud(found)


@pytest.mark.parametrize("role", ["group", "time", "sample_weight"])
def test_a_column_that_serves_otherwise_is_no_input(role):
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 400))
    served = np.repeat(np.arange(1.0, 41.0), 10)
    frame = pl.DataFrame({"a": a, "b": b, "served": served, "y": a + c / 3 + served / 10})

    plain, with_role = (
        material_of(Task(train=frame, target="y")),
        material_of(Task(train=frame, target="y", **{role: "served"})),
    )
    examine(AUDITS, plain, Clock(), ["usefulness"])
    examine(AUDITS, with_role, Clock(), ["usefulness"])

    assert set(plain.measured["usefulness"]) == {"a", "b", "served"}
    assert set(with_role.measured["usefulness"]) == {"a", "b"}


def test_columns_that_say_the_same_are_a_note():
    frame, y, _, _ = table()
    frame = frame.with_columns(
        again=2 * pl.col("a") + 1, farbe=pl.col("colour").replace({"red": "rot", "blue": "blau"}), y=y
    )

    found = looked(Task(train=frame, target="y"), "redundancy")

    assert [finding.severity for finding in found] == ["note"]
    assert sorted(found[0].subject["columns"]) == ["a", "again", "colour", "farbe"]
