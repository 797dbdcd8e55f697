import json

import numpy as np
import pytest
from sklearn.decomposition import PCA as THEIRS

import tunesmith as ts
from tunesmith.data.numbers import MatrixBlock, NumberBlock
from tunesmith.data.scalers import SCALERS
from tunesmith.data.scalers.whitening import PCA, ROWS, ZCA
from tunesmith.records import DataError
from tunesmith.records.sections import DataSection
from tunesmith.reports import QuietDisplay

MIX = np.random.default_rng(1).normal(size=(5, 5))
MIXED = np.random.default_rng(0).normal(size=(400, 5)) @ MIX * [1, 1e3, 1e-3, 1, 1] + [0, 1e4, 5, -3, 0]
BOTH = pytest.mark.parametrize("kind", [PCA, ZCA])


@BOTH
def test_features_are_uncorrelated_with_variance_one(kind):
    features = kind.fit(MIXED).transform(MIXED)

    assert np.abs(features.mean(axis=0)).max() < 1e-8
    assert np.abs(np.cov(features.T, bias=True) - np.eye(5)).max() < 1e-8


@BOTH
def test_the_inverse_gives_any_row_back(kind):
    others = np.random.default_rng(2).normal(size=(50, 5)) * 100

    scaler = kind.fit(MIXED)

    assert np.allclose(scaler.inverse(scaler.transform(others)), others, rtol=1e-8, atol=1e-6)


def test_pca_is_that_of_scikit_learn_up_to_signs():
    theirs = THEIRS(whiten=True).fit(MIXED).transform(MIXED) * np.sqrt(400 / 399)  # its variances are unbiased

    ours = PCA.fit(MIXED).transform(MIXED)

    assert np.allclose(np.abs(ours), np.abs(theirs), atol=1e-6)


def test_zca_is_the_symmetric_inverse_root_of_the_covariance():
    plain = np.random.default_rng(3).normal(size=(300, 4)) @ np.random.default_rng(4).normal(size=(4, 4))
    values, vectors = np.linalg.eigh(np.cov(plain.T, bias=True))

    scaler = ZCA.fit(plain)

    assert np.array_equal(scaler.forward, scaler.forward.T) or np.allclose(scaler.forward, scaler.forward.T, atol=1e-12)
    assert np.allclose(scaler.forward, vectors / np.sqrt(values) @ vectors.T)


def test_zca_is_nearer_to_the_input_than_any_rotation_of_it():
    generator = np.random.default_rng(5)
    plain = generator.normal(size=(300, 4)) @ generator.normal(size=(4, 4))
    centred = plain - plain.mean(0)

    nearest = ((ZCA.fit(plain).transform(plain) - centred) ** 2).sum()

    for _ in range(50):
        rotation, _ = np.linalg.qr(generator.normal(size=(4, 4)))
        assert ((ZCA.fit(plain).transform(plain) @ rotation - centred) ** 2).sum() >= nearest


@BOTH
def test_a_column_that_is_constant_or_a_sum_of_others_takes_a_direction_away(kind):
    rows = np.c_[MIXED[:, :1], MIXED[:, 3:], np.full(400, 0.1), MIXED[:, 0] + MIXED[:, 3]]

    scaler = kind.fit(rows)
    features = scaler.transform(rows)

    assert scaler.rank == 3
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 10
    spread = np.sort(np.linalg.eigvalsh(np.cov(features.T, bias=True)))
    assert np.allclose(spread, [0, 0, 1, 1, 1], atol=1e-8)
    assert np.allclose(scaler.inverse(features), rows, atol=1e-8)


@BOTH
def test_fewer_rows_than_columns_whiten_what_varies(kind):
    rows = np.random.default_rng(6).normal(size=(4, 9))

    scaler = kind.fit(rows)

    assert scaler.rank == 3
    assert np.allclose(scaler.inverse(scaler.transform(rows)), rows)


@BOTH
def test_eps_keeps_small_directions_down_and_the_inverse_exact(kind):
    rows = np.random.default_rng(7).normal(size=(500, 2)) * [1.0, 1e-3]

    scaler = kind.fit(rows, eps=0.01)
    features = scaler.transform(rows)

    spread = np.sort(np.linalg.eigvalsh(np.cov(features.T, bias=True)))
    assert spread[0] < 1e-3
    assert spread[1] == pytest.approx(1 / 1.01, rel=1e-4)
    assert np.allclose(scaler.inverse(features), rows)


@BOTH
def test_blocks_of_rows_give_what_one_decomposition_gives(kind):
    rows = np.random.default_rng(8).normal(size=(ROWS + 50, 3)) @ MIX[:3, :3]
    centred = rows - rows.mean(0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)

    features = kind.fit(rows).transform(rows)

    expected = centred @ axes.T / lengths * np.sqrt(len(rows))
    assert np.allclose(np.abs(features), np.abs(expected if kind is PCA else expected @ axes), atol=1e-8)


@BOTH
def test_float32_of_mean_ten_thousand_keeps_its_type_and_precision(kind):
    rows = (np.random.default_rng(9).normal(size=(1000, 3)) + 1e4).astype(np.float32)

    features = kind.fit(rows).transform(rows)

    assert features.dtype == np.float32
    assert np.abs(np.cov(features.T.astype(np.float64), bias=True) - np.eye(3)).max() < 1e-5


@BOTH
def test_settings_and_data_that_cannot_be_are_refused(kind):
    with pytest.raises(DataError, match=r"eps 1\.5: expected a share"):
        kind.fit(MIXED, eps=1.5)
    with pytest.raises(DataError, match="needs rows of numbers"):
        kind.fit(np.empty((0, 3)))


@pytest.mark.parametrize(
    ("scale", "names"), [("pca", ("direction 0", "direction 1")), ("zca", ("a (whitened)", "b (whitened)"))]
)
def test_blocks_name_features_that_mix_columns(scale, names):
    table = {"a": MIXED[:, 0], "b": MIXED[:, 3]}
    block = NumberBlock(["a", "b"], DataSection(scale=scale))
    matrix = MatrixBlock(["x"], DataSection(scale=scale))

    block.fit(table)
    matrix.fit({"x": MIXED})
    copy = NumberBlock.from_json(json.loads(json.dumps(block.to_json())))

    assert block.spec().names == names
    assert len(matrix.spec().names) == 5
    assert np.array_equal(copy.transform(table), block.transform(table))
    assert np.allclose(copy.inverse(block.transform(table))["b"], table["b"], atol=1e-4)


@pytest.mark.parametrize("scale", ["pca", "zca"])
@pytest.mark.parametrize("form", ["array", "table"])
def test_a_recipe_whitens_trains_predicts_and_exports(tmp_path, scale, form):
    pl = pytest.importorskip("polars")
    rows = MIXED[:, [0, 3, 4]].astype(np.float32)
    label = (rows[:, 0] > rows[:, 1]).astype(int)
    data = (
        (rows, label)
        if form == "array"
        else pl.DataFrame({"a": rows[:, 0], "b": rows[:, 1], "c": rows[:, 2], "y": label})
    )
    recipe = {"data.scale": scale, "train.epochs": 6, "model.name": "mlp", "model.width": 16, "eval.bootstrap": 0}

    run = ts.fit(data, recipe, target=None if form == "array" else "y", folder=tmp_path / "run", display=QuietDisplay())
    found = ts.predict(run, rows if form == "array" else data.drop("y"))
    ts.export(run, "pytorch", tmp_path / "model")

    assert scale in SCALERS
    assert (np.asarray(list(found.labels)) == label).mean() > 0.85
