"""Planted label errors are found with their number; sound data, and data that are noisy by nature, stay quiet."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.metrics import average_precision_score, roc_auc_score

import tunesmith
from tunesmith.doctor.audits import AUDITS, Material, material_of, material_of_arrays
from tunesmith.doctor.audits.confident_learning import (
    calibrated_joint,
    confident_joint,
    pruned,
    self_confidence,
    thresholds,
)
from tunesmith.doctor.audits.confident_noise import fitted_noise
from tunesmith.records import Finding, Task
from tunesmith.records.check import Inapplicable

DEMO = Path(tunesmith.__file__).parent / "demo_data"
MORE_OVERLAP = [(apart, classes, seed) for apart in (0.7, 1.3, 2.0) for classes in (2, 3) for seed in (2, 3, 4)]
LOADERS = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits}


def digits(rows: int = 900) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:rows], y[:rows]


def found(material: Material) -> list[Finding]:
    return list(AUDITS["label_errors"].look(material))


def warnings(material: Material) -> list[Finding]:
    return [one for one in found(material) if one.severity != "note"]


def arrays(X: np.ndarray, y: np.ndarray) -> Material:
    return material_of_arrays({"train": (X, y)})


def swapped(y: np.ndarray, rate: float, seed: int = 0) -> np.ndarray:
    """Each label with a chance of `rate` another one."""
    draw = np.random.default_rng(seed)
    noisy, hit = y.copy(), draw.random(len(y)) < rate
    noisy[hit] = (y[hit] + draw.integers(1, y.max() + 1, hit.sum())) % (y.max() + 1)
    return noisy


def one_way(y: np.ndarray, rate: float, seed: int = 0) -> np.ndarray:
    """Labels of the first half of the classes become the next class with a chance of `rate`."""
    hit = (np.random.default_rng(seed).random(len(y)) < rate) & (y < max(1, (y.max() + 1) // 2))
    return np.where(hit, y + 1, y)


def overlapping(rows: int, apart: float, seed: int = 0, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    y = draw.integers(0, classes, rows)
    X = draw.normal(size=(rows, 4))
    X[np.arange(rows), y] += apart
    return X, y


@pytest.mark.parametrize(
    ("rate", "close"),
    [
        (0.1, 0.03),
        (0.4, 0.06),
        pytest.param(0.2, 0.04, marks=pytest.mark.slow),
        pytest.param(0.6, 0.08, marks=pytest.mark.slow),
    ],
)
def test_swapped_digits_are_counted_and_listed(rate, close):
    X, y = digits()
    noisy = swapped(y, rate)
    wrong = noisy != y

    (finding,) = warnings(arrays(X, noisy))

    assert finding.fault == "data.label_noise"
    assert finding.status == "suspected"
    assert finding.evidence[0].value == pytest.approx(wrong.mean(), abs=close)
    listed = np.array(finding.subject["rows"])
    assert wrong[listed].mean() > 0.9
    assert len(listed) > 0.85 * wrong.sum()
    assert finding.subject["scores"] == sorted(finding.subject["scores"])
    suggested = np.array(finding.subject["suggested"])
    assert (suggested == y[listed]).mean() > 0.85


@pytest.mark.parametrize("rate", [0.35])
def test_noise_in_one_direction_is_counted(rate):
    X, y = digits()
    noisy = one_way(y, rate)

    (finding,) = warnings(arrays(X, noisy))

    assert finding.evidence[0].value == pytest.approx((noisy != y).mean(), abs=0.04)


def test_wine_with_swapped_labels():
    X, y = load_wine(return_X_y=True)
    noisy = swapped(y, 0.15, 1)

    (finding,) = warnings(arrays(X, noisy))

    assert finding.evidence[0].value == pytest.approx((noisy != y).mean(), abs=0.06)


@pytest.mark.parametrize("rate", [0.2])
def test_short_messages_with_swapped_labels(rate):
    material = material_of(Task(train=DEMO / "sms_1000.csv.gz", target="label"))
    codes = material.whole.codes
    material.whole.codes = swapped(codes, rate)

    (finding,) = warnings(material)

    assert finding.evidence[0].value == pytest.approx((material.whole.codes != codes).mean(), abs=0.06)


def test_a_table_with_labels_swapped_in_one_class():
    material = material_of(Task(train=DEMO / "adult_2000.csv.gz", target="income"))
    codes = material.whole.codes
    noisy = np.where((np.random.default_rng(0).random(len(codes)) < 0.45) & (codes == 0), 1, codes)
    material.whole.codes = noisy

    (finding,) = warnings(material)

    assert finding.evidence[0].value == pytest.approx((noisy != codes).mean(), abs=0.12)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", pytest.param("digits", marks=pytest.mark.slow)])
def test_sound_data_are_quiet(name):
    assert warnings(arrays(*LOADERS[name](return_X_y=True))) == []


@pytest.mark.parametrize(("file", "target"), [("adult_2000.csv.gz", "income"), ("sms_1000.csv.gz", "label")])
def test_sound_tables_are_quiet(file, target):
    material = material_of(Task(train=DEMO / file, target=target))

    assert warnings(material) == []
    assert list(AUDITS["no_signal"].look(material)) == []


@pytest.mark.parametrize(
    ("apart", "classes", "seed"),
    [(1.3, 2, 0), (1.3, 3, 1), *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE_OVERLAP)],
)
def test_overlap_is_not_noise(apart, classes, seed):
    """Between 12 % and 31 % of these labels are wrong by the best rule there is."""
    assert warnings(arrays(*overlapping(1500, apart, seed, classes))) == []


@pytest.mark.slow
def test_overlap_with_noise_is_noise():
    X, y = overlapping(6000, 2.0, classes=3)
    noisy = swapped(y, 0.25)

    (finding,) = warnings(arrays(X, noisy))

    assert finding.evidence[0].value == pytest.approx((noisy != y).mean(), abs=0.06)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("apart", [1.5, 3.0])
def test_the_share_is_right_where_the_line_is_known(rate, apart):
    """Two known normal distributions with even noise, whose log odds are known but for their scale."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 8000)
    x = draw.normal(size=8000) + apart * (2 * y - 1) / 2
    p = 1 / (1 + np.exp(-apart * (1 - 2 * rate) * x))  # as flat as a line through noisy labels
    noisy = np.where(draw.random(8000) < rate, 1 - y, y)

    noise = fitted_noise(np.stack([1 - p, p], 1), noisy, draw)

    assert noise.share == pytest.approx(rate, abs=0.03)
    if rate:
        assert average_precision_score(noisy != y, noise.wrong) > average_precision_score(noisy != y, np.ones(8000)) * 2


def test_the_order_of_the_rows_changes_nothing():
    X, y = load_wine(return_X_y=True)
    noisy = swapped(y, 0.2)
    order = np.random.default_rng(5).permutation(len(y))

    one, other = arrays(X, noisy), arrays(X[order], noisy[order])
    found(one), found(other)

    first, second = (each.measured["label_errors"]["train"] for each in (one, other))
    np.testing.assert_allclose(np.array(first["scores"])[order], second["scores"], atol=1e-5)


def test_the_same_seed_says_the_same():
    X, y = load_wine(return_X_y=True)

    told = [[one.as_dict() for one in found(arrays(X[::2], swapped(y, 0.2)[::2]))] for _ in range(2)]

    assert told[0] == told[1]


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(12, 60))
@settings(max_examples=15, deadline=None)
def test_scores_lie_between_0_and_1(seed, classes, rows):
    draw = np.random.default_rng(seed)
    p = draw.dirichlet(np.full(classes, 0.5), rows)
    codes = draw.integers(0, classes, rows)

    noise = fitted_noise(p, codes, draw)

    for score in (noise.wrong, self_confidence(p, codes)):
        assert ((score >= 0) & (score <= 1)).all()
    assert 0 <= noise.share <= 1
    np.testing.assert_allclose(noise.matrix.sum(1), 1)
    joint = calibrated_joint(confident_joint(p, codes), codes)
    np.testing.assert_allclose(joint.sum(1), np.bincount(codes, minlength=classes) / rows)
    assert not pruned(p, codes)[p.argmax(1) == codes].any()


def test_thresholds_and_joint_by_hand():
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    codes = np.array([0, 0, 1, 1])

    np.testing.assert_allclose(thresholds(p, codes), [0.75, 0.55])
    assert confident_joint(p, codes).tolist() == [[1, 0], [0, 1]]
    np.testing.assert_allclose(calibrated_joint(confident_joint(p, codes), codes), [[0.5, 0], [0, 0.5]])


def test_rare_classes_and_missing_labels():
    X, y = load_wine(return_X_y=True)
    labels = y.astype(float)
    labels[:3] = [7, 7, 9]
    labels[10:15] = np.nan

    assert warnings(arrays(X, labels)) == []


@pytest.mark.parametrize("y", [[0, 1], [1, 1]])
def test_two_rows_are_too_few(y):
    with pytest.raises(Inapplicable):
        found(arrays(np.array([[1.0], [2.0]]), np.array(y)))


def test_one_class_and_equal_rows():
    assert found(arrays(np.random.default_rng(0).normal(size=(40, 3)), np.zeros(40, int))) == []
    with pytest.raises(Inapplicable):
        found(arrays(np.ones((40, 3)), np.arange(40) % 2))


def test_groups_and_copies_stay_together():
    from tunesmith.doctor.audits.confident_outputs import out_of_sample

    X, y = load_wine(return_X_y=True)
    material = arrays(np.concatenate([X, X[:20]]), np.concatenate([y, (y[:20] + 1) % 3]))
    material.train.group = np.arange(198) // 7

    judged = out_of_sample(material)

    assert all(len(set(judged.fold[material.train.group == one].tolist())) == 1 for one in range(29))
    material = arrays(np.concatenate([X, X[:20]]), np.concatenate([y, y[:20]]))
    judged = out_of_sample(material)
    assert (judged.fold[:20] == judged.fold[178:]).all()


def test_a_test_part_is_judged_by_itself():
    X, y = digits()
    material = material_of_arrays({"train": (X[:500], y[:500]), "test": (X[500:], swapped(y[500:], 0.2))})

    (finding,) = warnings(material)

    assert finding.subject["part"] == "test"


@pytest.mark.parametrize("rate", [0.1, 0.2])
def test_targets_that_ignore_their_row(rate):
    draw = np.random.default_rng(0)
    X = draw.normal(size=(1500, 4))
    y = X[:, 0] * 2 + np.sin(2 * X[:, 1]) + 0.2 * draw.normal(size=1500)
    hit = np.flatnonzero(draw.random(1500) < rate)
    noisy = y.copy()
    noisy[hit] = y[draw.permutation(hit)]
    far = np.abs(noisy - y) > 2.0

    (finding,) = warnings(arrays(X, noisy))

    assert finding.evidence[0].value == pytest.approx(len(hit) / 1500, abs=0.05)
    listed = finding.subject["rows"]
    assert (noisy != y)[listed].mean() > 0.85
    assert far[listed].sum() > 0.9 * far.sum()


@pytest.mark.parametrize("tail", [2.5, 30.0])
def test_heavy_tails_are_not_wrong_targets(tail):
    draw = np.random.default_rng(1)
    X = draw.normal(size=(1500, 4))

    assert warnings(arrays(X, X[:, 0] + 0.4 * draw.standard_t(tail, 1500))) == []


@pytest.mark.parametrize("noise", ["skewed", "growing", "at a ceiling"])
def test_numbers_that_are_odd_by_nature_are_quiet(noise):
    draw = np.random.default_rng(0)
    X = draw.normal(size=(1000, 3))
    e = draw.normal(size=1000)
    y = {
        "skewed": np.exp(X[:, 0] + e),
        "growing": X[:, 0] + np.abs(X[:, 1]) * e / 2,
        "at a ceiling": np.minimum(2 * X[:, 0] + e / 3, 2),
    }

    assert warnings(arrays(X, y[noise])) == []


@pytest.mark.parametrize("rows", [40, 400])
@pytest.mark.parametrize("form", ["normal", "uniform", "exponential", "two heaps", "cauchy"])
def test_numbers_without_a_signal_contradict_nothing(form, rows):
    draw = np.random.default_rng(0)
    X = draw.normal(size=(rows, 4))
    y = {
        "normal": draw.normal(size=rows),
        "uniform": draw.random(rows),
        "exponential": draw.exponential(size=rows),
        "two heaps": np.where(draw.random(rows) < 0.5, -3, 3) + draw.normal(size=rows) / 2,
        "cauchy": draw.standard_t(1, rows),
    }
    material = arrays(X, y[form])

    assert found(material) == []
    assert [one["form"] for one in material.measured["label_errors"].values()] == ["cannot tell"]


def test_some_targets_with_a_signal_among_many_without_are_a_note():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(1000, 4))
    signal = draw.random(1000) < 0.55

    (finding,) = found(
        arrays(X, np.where(signal, 2 * X[:, 0] + draw.normal(size=1000) / 10, 2 * draw.normal(size=1000)))
    )

    assert finding.severity == "note"
    assert finding.evidence[0].value == pytest.approx(0.4, abs=0.1)


def test_sound_numbers_are_quiet():
    assert warnings(arrays(*load_diabetes(return_X_y=True))) == []


def test_people_against_pictures(shared):
    """The probabilities that come with the 58 suspects of CIFAR-10's test part rank them as well as their own method."""
    folder = shared / "data" / "label_noise"
    archive = np.load(folder / "cifar10_part_a_test_cv_probabilities.npz")
    suspects = np.genfromtxt(
        folder / "cifar10_part_a_test_label_errors.csv", delimiter=",", skip_header=1, usecols=0, dtype=int
    )
    p, codes = archive["pred_probs"].astype(float), archive["given_label"].astype(int)
    wrong = np.isin(archive["cifar_test_index"], suspects)

    score = self_confidence(p, codes)

    assert roc_auc_score(wrong, -score) > 0.97
