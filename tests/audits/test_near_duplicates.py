import numpy as np
import polars as pl
import pytest
from sklearn import datasets

import tunesmith
from tests.audits.planting import CHANGES, WORDS, scenes, sentences
from tunesmith.doctor.audits import material_of, material_of_arrays
from tunesmith.doctor.audits.chance import Law, beyond_chance, gumbel, law_of
from tunesmith.doctor.audits.near_duplicates import near_duplicates
from tunesmith.doctor.audits.near_pictures import near_pictures
from tunesmith.doctor.audits.near_rows import near_rows
from tunesmith.doctor.audits.near_text import near_texts
from tunesmith.doctor.audits.nearest import neighbours
from tunesmith.doctor.audits.registering import registered, warped
from tunesmith.records import Recipe, Task, healthy, revise
from tunesmith.records.check import Inapplicable

ALL_TRAIN = revise(Recipe(), {"data.val": 0.0})


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_of_pictures_are_found_with_their_pairs(change):
    pictures = scenes(220)
    planted = CHANGES[change](pictures[:30])

    found = near_pictures(np.concatenate([pictures, planted]), np.random.default_rng(0))

    pairs = {tuple(pair) for pair in found.pairs.tolist()}
    true = {(place, 220 + place) for place in range(30)}
    assert len(pairs & true) >= 25
    assert len(pairs & true) >= 0.85 * len(pairs)
    if change == "mirrored":
        assert found.mirrored[[tuple(pair) in true for pair in found.pairs.tolist()]].all()


@pytest.mark.parametrize("change", ["compressed", "cropped"])
def test_copies_across_the_parts_are_warned_of(change):
    train, fresh = scenes(150), scenes(60, seed=1)
    test = np.concatenate([fresh, CHANGES[change](train[50:70])])

    found = list(
        near_duplicates(material_of_arrays({"train": (train, np.arange(150) % 2), "test": (test, np.arange(80) % 2)}))
    )

    (across,) = (one for one in found if one.fault == "data.leakage")
    assert across.severity == "warning"
    pairs = dict(zip(across.subject["rows"], across.subject["training_rows"], strict=True))
    assert sum(pairs.get(60 + place) == 50 + place for place in range(20)) >= 17


def test_different_pictures_are_no_copies():
    assert len(near_pictures(scenes(220), np.random.default_rng(0)).pairs) <= 2


@pytest.mark.parametrize("pictures", [np.full((80, 1, 12, 12), 7, np.uint8), scenes(3), scenes(1)])
def test_flat_and_few_pictures(pictures):
    assert not len(near_pictures(pictures, np.random.default_rng(0)).pairs)


def test_the_order_of_pictures_does_not_matter():
    pictures = np.concatenate([scenes(150), CHANGES["brightened"](scenes(10))])
    order = np.random.default_rng(3).permutation(160)
    (straight,), (shuffled,) = (
        near_duplicates(material_of_arrays({"train": (some, np.zeros(160, int))}))
        for some in (pictures, pictures[order])
    )

    pairs = {frozenset(pair) for pair in zip(straight.subject["rows"], straight.subject["near"], strict=True)}

    assert len(pairs) >= 8
    assert pairs == {
        frozenset(order[list(pair)].tolist())
        for pair in zip(shuffled.subject["rows"], shuffled.subject["near"], strict=True)
    }


@pytest.mark.parametrize("changed", [1, 2])
def test_texts_with_some_words_changed_are_found(changed):
    said = sentences(300)
    rng = np.random.default_rng(1)
    for place in range(30):
        words = said[place].split()
        for spot in rng.permutation(len(words))[:changed]:
            words[spot] = WORDS[(WORDS.index(words[spot]) + 7) % len(WORDS)]
        said.append(" ".join(words))

    pairs = {tuple(pair) for pair in near_texts(said).pairs.tolist()}

    true = {(place, 300 + place) for place in range(30)}
    assert len(pairs & true) >= {1: 28, 2: 15}[changed]
    assert len(pairs - true) == 0


def test_resemblance_is_counted_exactly():
    one = "abcdefghijklmnopqrstuvwxyz"
    other = one[:-1] + "!"

    found = near_texts([one, other])

    assert found.likeness.tolist() == [pytest.approx(22 / 24)]  # 23 pieces each, all but the last shared


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 1e-2])
def test_rows_that_differ_by_little_are_found(noise):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 8)).astype(np.float32)
    planted = X[:50] + (noise * rng.normal(size=(50, 8))).astype(np.float32)

    found = near_rows(np.concatenate([X, planted]), rng)

    pairs = {tuple(pair) for pair in found.pairs.tolist()}
    true = {(place, 1500 + place) for place in range(50)}
    assert len(pairs & true) >= 47
    assert len(pairs - true) <= 6


def test_rows_that_differ_in_one_column_are_found_across_the_parts():
    rng = np.random.default_rng(0)
    train = rng.normal(size=(800, 10))
    test = np.concatenate([rng.normal(size=(180, 10)), train[:20]])
    test[180:, 3] += 0.01

    material = material_of_arrays({"train": (train, np.arange(800) % 2), "test": (test, np.arange(200) % 2)})
    (across,) = (one for one in near_duplicates(material) if one.fault == "data.leakage")

    assert across.severity == "warning"
    assert set(range(180, 200)) <= set(across.subject["rows"])


@pytest.mark.parametrize("columns", [1, 2, 5, 30])
@pytest.mark.parametrize("draw", ["normal", "lognormal", "clustered"])
def test_independent_rows_are_no_copies(columns, draw):
    rng = np.random.default_rng(columns)
    X = rng.normal(size=(1200, columns))
    if draw == "lognormal":
        X = np.exp(X)
    if draw == "clustered":
        X = 0.05 * X + rng.normal(size=(20, columns))[rng.integers(0, 20, 1200)]

    assert len(near_rows(X.astype(np.float32), rng).pairs) <= 3


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_quiet_on_real_tables(name):
    data = getattr(datasets, f"load_{name}")()

    assert healthy(near_duplicates(material_of(Task(train=(data.data, data.target)))))


def test_quiet_on_digits_as_pictures():
    data = datasets.load_digits()

    assert healthy(near_duplicates(material_of_arrays({"train": (data.images.astype(np.uint8), data.target)})))


@pytest.mark.parametrize(("file", "target"), [("adult_2000.csv.gz", "income"), ("sms_1000.csv.gz", "label")])
def test_quiet_on_the_demonstration_data(file, target):
    data = f"{tunesmith.__path__[0]}/demo_data/{file}"

    assert healthy(near_duplicates(material_of(Task(train=data, target=target))))


def test_texts_across_the_parts():
    said = sentences(200)
    test = pl.DataFrame({"text": sentences(80, seed=9) + [f"{text} again" for text in said[:20]], "y": ["a", "b"] * 50})
    train = pl.DataFrame({"text": said, "y": ["a", "b"] * 100})

    found = list(near_duplicates(material_of(Task(train=train, test=test, target="y"), ALL_TRAIN)))

    (across,) = (one for one in found if one.fault == "data.leakage")
    assert across.severity == "warning"
    assert sorted(across.subject["rows"]) == list(range(80, 100))


def test_categories_alone_are_equal_or_not():
    letters = pl.DataFrame({"a": ["p", "q"] * 50, "b": ["r", "s", "t", "u"] * 25, "y": ["m", "n"] * 50})

    with pytest.raises(Inapplicable, match="categories alone"):
        list(near_duplicates(material_of(Task(train=letters, target="y"))))


@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["short", "short"]])
def test_short_texts(texts):
    assert not len(near_texts(texts).pairs)


def test_the_neighbours_are_those_of_the_full_matrix():
    rng = np.random.default_rng(0)
    even, odd = rng.normal(size=(300, 8)).astype(np.float32), rng.normal(size=(300, 6)).astype(np.float32)
    full = even @ even.T + np.abs(odd @ odd.T)
    np.fill_diagonal(full, -np.inf)

    found = neighbours(even, odd)

    assert np.array_equal(found.places[:, 0], full.argmax(1))
    assert found.likeness[:, 0] == pytest.approx(full.max(1), rel=1e-5)


def test_a_shift_and_a_scale_are_undone():
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    fixed = np.exp(-((x - 0.1) ** 2) / 0.2 - y**2 / 0.1)[None].astype(np.float32)
    moves = np.array([[0.1, -0.15, 0.1, 0.0]], np.float32)
    moving = np.exp(-(((x + 0.15) - 0.1) ** 2) / 0.2 - (((y - 0.1) / 1.1) ** 2) / 0.1)[None].astype(np.float32)

    found = registered(fixed, moving)

    assert found[0] == pytest.approx(moves[0], abs=0.02)
    assert np.corrcoef(warped(moving[..., None], found)[0][0, :, 0], fixed.ravel())[0, 1] > 0.99


def test_the_law_of_minima_is_read_off_and_carried_over():
    rng = np.random.default_rng(0)
    distances = rng.random((1000, 3000)) ** (1 / 4)  # a power law of exponent 4 near 0
    few, all_ = -np.log(distances[:, :100].min(1)), -np.log(distances.min(1))

    law = law_of(few).of(30)

    assert law.middle == pytest.approx(gumbel(all_, 0.25, 0.75).middle, abs=0.08)
    assert law.scale == pytest.approx(1 / 4, rel=0.1)


def test_a_list_is_cut_where_chance_would_be_a_tenth_of_it():
    scores = np.concatenate([np.full(50, 9.0), np.linspace(0, 3, 500)])

    kept, expected = beyond_chance(scores, Law(0.0, 0.5), 1000)

    assert kept[:50].all()
    assert expected <= 0.1 * kept.sum()


@pytest.mark.slow
def test_real_copies_between_the_parts_of_cifar(shared):
    import io
    import zipfile

    from PIL import Image

    file = shared / "data" / "images" / "cifar10_part_a.zip"
    listed = pl.read_csv(shared / "data" / "label_noise" / "cifar10_part_a_train_test_duplicates.csv")
    places, pictures = {}, []
    with zipfile.ZipFile(file) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".jpg"):
                part, _, number = name.split("/")[1:]
                places[part, int(number[:-4])] = len(pictures)
                pictures.append(np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")))
    X = np.moveaxis(np.stack(pictures), 3, 1)

    found = {tuple(pair) for pair in near_pictures(X, np.random.default_rng(0)).pairs.tolist()}

    true = {
        tuple(sorted((places["test", one], places["train", other])))
        for one, other in listed["cifar_test_index", "cifar_train_index"].iter_rows()
    }
    assert len(found & true) >= 0.85 * len(true)
    assert len(found) < 600


@pytest.mark.slow
def test_quiet_on_the_pictures_of_the_demonstration():
    folder = f"{tunesmith.__path__[0]}/demo_data/fashion_mnist"

    assert healthy(near_duplicates(material_of(Task(train=f"{folder}/train-images-idx3-ubyte.gz"))))
