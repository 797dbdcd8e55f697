import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from tunesmith.data import Pipeline, prepare
from tunesmith.records import DataError, Recipe, Task, revise

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3)).astype(np.float32)
Y = RNG.integers(0, 3, 80)
OWN = nn.Linear(3, 3)


def prepared(train, recipe=None, **task):
    return prepare(Task(train=train, **task), Recipe() if recipe is None else recipe)


def spoilt(value, row=4):
    values = X.copy()
    values[row, 1] = value
    return values


def test_a_built_in_model_gets_scaled_numbers():
    got = prepared((X, Y))

    assert np.allclose(got.train.inputs["numbers"].std(axis=0), 1, atol=1e-5)
    assert (got.kind, got.outputs) == ("multiclass", 3)


def test_a_model_of_ones_own_gets_the_arrays_as_they_are():
    got = prepared((X, Y), model=OWN)

    assert np.array_equal(got.train.inputs["x"], X[got.train.rows])
    assert np.array_equal(got.train.target, Y[got.train.rows])


def test_arrays_that_need_no_change_are_not_copied():
    tensor = torch.from_numpy(X)

    got = prepared((tensor, Y), revise(Recipe(), {"data.split": "given"}), model=OWN)

    assert np.shares_memory(got.train.inputs["x"], X)


def test_tensors_and_arrays_are_the_same_data():
    one, other = prepared((X, Y)), prepared((torch.from_numpy(X), torch.from_numpy(Y)))

    assert one.fingerprint == other.fingerprint
    assert np.array_equal(one.train.inputs["numbers"], other.train.inputs["numbers"])


@pytest.mark.parametrize(
    ("model", "values", "kind"),
    [
        (nn.Sequential(nn.Embedding(9, 2), nn.Flatten()), RNG.integers(0, 9, (80, 5)), np.int64),
        (nn.Sequential(nn.Embedding(9, 2), nn.Flatten()), RNG.integers(0, 9, (80, 5), dtype=np.uint8), np.int64),
        (nn.Linear(5, 2), RNG.integers(0, 9, (80, 5)), np.float32),
        (nn.Conv2d(1, 1, 3), RNG.integers(0, 9, (80, 1, 5, 5), dtype=np.uint8), np.float32),
        (nn.Linear(5, 2), RNG.random((80, 5)), np.float32),
        (lambda: nn.Embedding(9, 2), RNG.integers(0, 9, (80, 5)), np.int64),
    ],
)
def test_the_first_layer_decides_between_whole_and_real_numbers(model, values, kind):
    assert prepared((values, Y), model=model).train.inputs["x"].dtype == kind


def test_double_precision_keeps_doubles():
    got = prepared((X.astype(np.float64), Y), revise(Recipe(), {"train.precision": "fp64"}), model=OWN)

    assert got.train.inputs["x"].dtype == np.float64


@pytest.mark.parametrize(
    ("target", "loss", "kind"),
    [
        (Y, "auto", "multiclass"),
        (Y % 2, "auto", "binary"),
        (X[:, 0], "auto", "regression"),
        (X[:, :2], "auto", "multi_regression"),
        ((X > 0).astype(int), "auto", "multilabel"),
        (Y, nn.CrossEntropyLoss(), "multiclass"),
        ((X[:, :1] > 0).astype(np.float32), nn.BCEWithLogitsLoss(), "binary"),
        ((X > 0).astype(np.float32), nn.BCEWithLogitsLoss(), "multilabel"),
        ((X[:, :1] > 0).astype(np.float32), nn.MSELoss(), "regression"),
        (Y, "mse", "regression"),
    ],
)
def test_the_loss_or_the_type_of_the_labels_decides_the_kind(target, loss, kind):
    got = prepared((X, target), model=OWN, loss=loss)

    assert got.kind == kind
    assert got.train.target.shape[1:] == target.shape[1:]


def test_words_become_indices_for_a_model_of_ones_own_too():
    got = prepared((X, np.array(["b", "a"] * 40)), model=OWN)

    assert (got.classes, got.train.target.dtype) == (("a", "b"), np.int64)


def test_a_class_that_is_not_there_keeps_its_index():
    got = prepared((X, np.where(Y == 1, 3, Y)), model=OWN)

    assert got.outputs == 4
    assert got.counts[1] == 0


def test_one_hot_targets_are_read_as_classes():
    assert np.array_equal(np.sort(np.unique(prepared((X, np.eye(3)[Y])).train.target)), [0, 1, 2])


def test_missing_numbers_are_filled_for_a_built_in_model():
    got = prepared((spoilt(np.nan), Y))

    assert np.isfinite(got.train.inputs["numbers"]).all()


ARRAYS = {
    "inf in X": ((spoilt(np.inf), Y), {}, "X holds infinite values in row 4"),
    "NaN in X": ((spoilt(np.nan), Y), {"model": OWN}, "X holds NaN in row 4"),
    "NaN in y": ((X, spoilt(np.nan)[:, 1]), {"model": OWN}, "y holds NaN in row 4"),
    "inf in y": ((X, spoilt(np.inf)[:, 1]), {}, "y holds infinite values in row 4"),
    "all of y missing": ((X, np.full(80, np.nan)), {}, "all 80 targets"),
    "lengths": ((X, Y[:60]), {}, "80 rows and y has 60"),
    "no y": ((X, None), {}, r"expected \(X, y\)"),
    "no pair": (X, {}, r"expected \(X, y\)"),
    "one row": ((X[:1], Y[:1]), {}, "1 row"),
    "no rows": ((X[:0], Y[:0]), {}, "0 rows"),
    "constant y": ((X, Y * 0), {}, "one value only"),
    "other width": ((X, Y), {"val": (X[:, :2], Y)}, r"\(2,\) and the training data have \(3,\)"),
    "other labels": ((X, Y), {"test": (X, Y + 5)}, "classes that the training data do not have"),
    "group by name": ((X, Y), {"group": "shop"}, "pass an array"),
    "short weights": ((X, Y), {"sample_weight": np.ones(3)}, r"shape \(3,\) and the data have 80 rows"),
    "NaN weights": ((X, Y), {"sample_weight": spoilt(np.nan)[:, 1] ** 2}, "sample_weight holds NaN in row 4"),
    "no weights above 0": ((X, Y), {"sample_weight": np.zeros(80)}, "all sample weights are 0"),
    "ragged": (([[1, 2], [3]], [0, 1]), {}, "different lengths"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_cannot_be_used_get_their_sentence(case):
    train, task, sentence = ARRAYS[case]

    with pytest.raises(DataError, match=sentence) as caught:
        prepared(train, **task)

    assert "\n" not in str(caught.value)


def test_new_arrays_must_look_like_those_trained_on():
    pipeline = Pipeline.from_json(json.loads(json.dumps(prepared((X, Y)).pipeline.to_json())))

    part = pipeline.transform((X, Y), with_target=True)

    assert np.array_equal(part.target, Y)
    with pytest.raises(DataError, match="2 columns and the model was trained on 3"):
        pipeline.transform(X[:, :2])
    with pytest.raises(DataError, match="infinite values in row 4"):
        pipeline.transform(spoilt(np.inf))


def test_a_frame_beside_its_target_is_a_table():
    got = prepared(({"a": X[:, 0], "b": ["x", "y"] * 40}, ["no", "yes"] * 40))

    assert set(got.spec) == {"numbers", "categories"}
    assert got.classes == ("no", "yes")


def test_several_arrays_reach_a_model_of_ones_own_by_name():
    got = prepared(({"left": X, "right": X[:, :2]}, Y), model=OWN)

    assert {name: values.shape[1:] for name, values in got.train.inputs.items()} == {"left": (3,), "right": (2,)}


def test_tokens_reach_a_sequence_model_as_tokens():
    got = prepared((RNG.integers(1, 30, (80, 7)), Y), model="lstm")

    assert (got.spec["tokens"].vocabulary, got.spec["tokens"].length) == (30, 7)


class Squares(Dataset):
    def __init__(self, rows=50):
        self.values = torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index], (self.values[index].sum() > 0).long()


def test_a_dataset_stays_live_and_is_divided_by_positions():
    data = Squares()

    got = prepared(data, model=OWN)

    assert (got.kind, got.outputs) == ("binary", 2)
    assert got.spec["x"].shape == (3,)
    assert got.train.dataset is data
    assert sorted([*got.train.indices, *got.val.indices, *got.test.indices]) == list(range(50))


def test_a_loader_is_used_as_it_is():
    loader = DataLoader(Squares(), batch_size=8)

    got = prepared(loader, model=OWN)

    assert got.train is loader
    assert got.val is None
    assert got.spec["x"].shape == (3,)


def test_a_dataset_of_tensors_is_its_tensors():
    got = prepared(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), model=OWN)

    assert np.array_equal(got.train.inputs["x"], X[got.train.rows])


def test_counts_are_those_of_the_rows_that_are_trained_on():
    data = Squares()

    got = prepared(data, model=OWN)

    labels = [int(data[index][1]) for index in got.train.indices]
    assert got.counts.tolist() == np.bincount(labels).tolist()


class Stream(IterableDataset):
    def __iter__(self):
        return ((torch.zeros(3), index % 2) for index in range(9))


@pytest.mark.parametrize("data", [Stream(), Squares(600)])
def test_labels_that_are_not_listed_are_not_made_up(data):
    got = prepared(data, model=OWN)

    assert (got.kind, got.classes, got.counts) == ("multiclass", None, None)
    assert any("not known before they are read" in notice for notice in got.notices)
    with pytest.raises(DataError, match="attribute targets"):
        prepared(data, model="mlp")


def test_a_subset_has_its_own_labels():
    inner = TensorDataset(torch.from_numpy(X), torch.from_numpy(np.r_[np.zeros(40), np.ones(40)].astype(np.int64)))

    got = prepared(DataLoader(Subset(inner, range(50)), batch_size=5), model=OWN)

    assert got.counts.tolist() == [40, 10]


class Odd(Dataset):
    def __init__(self, element):
        self.element = element

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.element


@pytest.mark.parametrize(
    ("element", "sentence"),
    [
        (torch.zeros(3), r"expected \(inputs, target\)"),
        ({"x": torch.zeros(3)}, r"expected \(inputs, target\)"),
        (("a word", 1), "expected tensors"),
        ((torch.full((3,), torch.nan), 1), "NaN or infinite"),
    ],
)
def test_elements_that_cannot_be_trained_on_get_their_sentence(element, sentence):
    with pytest.raises(DataError, match=sentence):
        prepared(Odd(element), model=OWN)
