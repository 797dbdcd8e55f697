import numpy as np
import polars as pl
import pytest

import tunesmith as ts
from tunesmith.records import DataError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3)).astype(np.float32)
Y = (X.sum(axis=1) + 0.3 * RNG.normal(size=120)).astype(np.float32)
SHORT = {"train.epochs": 1, "train.batch_size": 16}


def mean(X, y):
    return lambda rows: np.full(len(rows), y.mean())


def test_the_numbers_of_mlxtends_guide():
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split
    from sklearn.tree import DecisionTreeClassifier

    data, labels = load_iris(return_X_y=True)
    X, X_test, y, y_test = train_test_split(data, labels, test_size=0.3, random_state=123, stratify=labels)
    draw = np.random.RandomState(123)
    samples = [draw.choice(np.arange(len(X)), size=len(X), replace=True) for _ in range(200)]

    found = ts.error_parts(DecisionTreeClassifier(random_state=123), (X, y), test=(X_test, y_test), samples=samples)

    assert (found.error, found.bias, found.variance) == pytest.approx((0.06156, 0.02222, 0.04000), abs=5e-6)


def test_a_mean_is_all_bias_and_a_neighbour_all_variance():
    from sklearn.neighbors import KNeighborsRegressor

    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (2000, 1))
    y = 3 * X[:, 0]

    stiff = ts.error_parts(mean, (X, y), noise=0.0)
    noisy = ts.error_parts(KNeighborsRegressor(1), (X, rng.normal(size=2000)), noise=1.0)

    assert stiff.bias2 > 0.95 * stiff.error
    assert stiff.bias2 == pytest.approx(9 / 3, rel=0.1)
    assert noisy.variance == pytest.approx(1.0, rel=0.15)
    assert abs(noisy.bias2) < 0.1


def test_the_same_seed_gives_the_same_numbers():
    one, again, other = (ts.error_parts(mean, (X, Y), seed=seed).as_dict() for seed in (5, 5, 6))

    assert one == again != other


def test_noise_is_measured_where_rows_come_again():
    rng = np.random.default_rng(2)
    x = rng.integers(0, 8, 800)[:, None]
    y = x[:, 0] + rng.normal(size=800)

    found = ts.error_parts(mean, (x, y))

    assert found.noise == pytest.approx(1.0, rel=0.15)
    assert found.bias2 == pytest.approx(np.arange(8).var(), rel=0.15)


def test_noise_of_training_labels_is_not_taken_for_that_of_a_clean_test():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 8, 400)[:, None]
    noisy, clean = x[:, 0] + rng.normal(size=400), (x[:100], x[:100, 0].astype(float))

    found = ts.error_parts(mean, (x, noisy), test=clean)

    assert "noise" not in found.parts


def test_a_table_and_its_target_do():
    frame = pl.DataFrame({f"x{place}": X[:, place] for place in range(3)} | {"y": Y})

    assert ts.error_parts(mean, frame, target="y").error == ts.error_parts(mean, (X, Y)).error


def test_the_loss_follows_the_estimator():
    from sklearn.linear_model import LinearRegression, LogisticRegression

    labels = (Y > 0).astype(int)

    assert ts.error_parts(LogisticRegression(), (X, labels)).loss == "zero_one"
    assert ts.error_parts(LinearRegression(), (X, labels)).loss == "squared"
    assert ts.error_parts(mean, (X, Y)).loss == "squared"


@pytest.mark.parametrize("how", ["disjoint", "bootstrap"])
def test_a_task_of_arrays_is_trained_anew_for_each_set(how):
    task = ts.Task("mlp", train=(X, Y))

    found, again = (ts.error_parts(task, recipe=SHORT, refits=3, how=how) for _ in range(2))

    assert found.as_dict() == again.as_dict()
    assert found.test_rows == 36
    assert found.variance > 0
    assert found.rows_per_fit == (28 if how == "disjoint" else pytest.approx(84 * 0.632, rel=0.1))


def test_a_task_of_a_table_with_words_for_labels():
    frame = pl.DataFrame({f"x{place}": X[:, place] for place in range(3)} | {"y": np.where(Y > 0, "up", "down")})

    found = ts.error_parts(ts.Task("mlp", train=frame, target="y"), recipe=SHORT | {"train.epochs": 5}, refits=3)

    assert found.loss == "zero_one"
    assert found.error < 0.5
    assert set(found.rows["main"]) == {"up", "down"}


def test_a_task_of_a_dataset_with_a_model_of_its_own():
    import torch

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return 60

        def __getitem__(self, place):
            return torch.from_numpy(X[place]), int(Y[place] > 0)

    found = ts.error_parts(ts.Task(torch.nn.Linear(3, 2), train=Pairs(), kind="multiclass"), recipe=SHORT, refits=2)

    assert found.loss == "zero_one"
    assert found.test_rows == 18


def test_rows_of_one_group_stay_on_one_side():
    group = np.repeat(np.arange(30), 4)
    sides = []

    def train(task, recipe, seed, inputs):
        sides.append((set(np.asarray(task.group).tolist()), len(inputs)))
        return np.zeros(len(inputs))

    from tunesmith.doctor.bias_variance.material import of_task

    material = of_task(ts.Task("mlp", train=(X, Y), group=group), ts.Recipe(), train, "auto", 0.3, 0, False)
    material.refit(material.judged)(material.pool, 0)

    assert not sides[0][0] & set(group[material.judged].tolist())
    assert sides[0][1] == len(material.judged) == 36


def test_the_copies_of_a_bootstrap_sample_stay_on_one_side_of_the_tasks_own_split():
    groups = []

    def train(task, recipe, seed, inputs):
        groups.append(np.asarray(task.group))
        return np.zeros(len(inputs))

    from tunesmith.doctor.bias_variance.material import of_task

    material = of_task(ts.Task("mlp", train=(X, Y)), ts.Recipe(), train, "auto", 0.3, 0, True)
    material.refit(material.judged)(np.array([3, 3, 5]), 0)

    assert groups[0].tolist() == [3, 3, 5]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((mean, None), "an estimator came without data"),
        ((mean, X), "the data came as ndarray; expected"),
        ((mean, (X, Y[1:])), "X has 120 rows and y 119"),
        ((mean, (X, np.full(120, np.nan))), "y has values that are NaN"),
        ((ts.Task("mlp", train=(X, Y)), (X, Y)), "a Task brings its own data"),
        ((ts.Task("mlp", train=(X, (X > 0).astype(int)), kind="multilabel"),), "a multilabel task has neither"),
    ],
)
def test_what_cannot_be_taken_apart_is_told(arguments, says):
    with pytest.raises(DataError, match=says):
        ts.error_parts(*arguments)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"how": "twice"}, "how = 'twice' came; expected 'disjoint' or 'bootstrap'"),
        ({"loss": "hinge"}, "no loss called 'hinge'"),
        ({"held": 1.5}, "held = 1.5 came; expected the share"),
        ({"refits": 200}, "200 disjoint training sets were asked for"),
    ],
)
def test_wrong_settings_are_told(settings, says):
    with pytest.raises(DataError, match=says):
        ts.error_parts(mean, (X, Y), **settings)


def test_a_loader_is_told_to_be_a_dataset():
    import torch

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)))

    with pytest.raises(DataError, match="a DataLoader cannot be divided into rows"):
        ts.error_parts(ts.Task("mlp", train=loader))
