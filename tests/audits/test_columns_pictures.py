import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from tests.audits.columns_cases import as_is, found, graver, of, rng
from tunesmith.doctor.audits.picture_blank import picture_blank
from tunesmith.doctor.audits.picture_channels import picture_channels
from tunesmith.doctor.audits.picture_range import picture_range
from tunesmith.doctor.audits.picture_sizes import picture_sizes

LOOKS = (picture_blank, picture_channels, picture_range, picture_sizes)
Y = np.arange(200) % 2


def photographs(count=200, side=24, seed=0):
    """uint8 (N, 3, H, W): smooth, noisy, redder than blue."""
    draw = rng(seed)
    waves = draw.normal(size=(count, 3, side // 4, side // 4)).repeat(4, 2).repeat(4, 3)
    base = 120 + 30 * draw.normal(size=(count, 1, 1, 1)) + np.array([25, 0, -25])[None, :, None, None]
    return np.clip(base + 25 * waves + 8 * draw.normal(size=(count, 3, side, side)), 0, 255).astype("u1")


def shaped(X, form):
    """The same pictures as arrays of another form."""
    if form == "bytes":
        return X
    if form == "channels last":
        return np.ascontiguousarray(X.transpose(0, 2, 3, 1)).astype("f4") / 255
    if form == "grey":
        return np.ascontiguousarray(X[:, 0])
    if form == "standardised":
        return (X.astype("f4") / 255 - 0.47) / 0.2
    return X.astype("f4") / 255


FORMS = ("bytes", "floats", "channels last", "grey", "standardised")


@pytest.mark.parametrize("form", FORMS)
def test_sound_pictures(form):
    parts = {part: (shaped(photographs(seed=seed), form), Y) for part, seed in (("val", 1), ("test", 2))}
    material = as_is(shaped(photographs(), form), Y, **parts)

    for look in LOOKS:
        assert not graver(found(look, material)), look.__name__


# Ranges


@pytest.mark.parametrize("count", [1, 10, 80])
@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("way", ["bytes among units", "units among bytes", "negative among units"])
def test_pictures_of_another_range(count, part, way):
    X = photographs().astype("f4")
    usual, odd = {
        "bytes among units": (X / 255, X),
        "units among bytes": (X, X / 255),
        "negative among units": (X / 255, X / 127.5 - 1),
    }[way]
    mixed = usual.copy()
    mixed[40 : 40 + count] = odd[40 : 40 + count]
    train, val = (mixed, usual) if part == "train" else (usual, mixed)

    (told,) = found(picture_range, as_is(train, Y, val=(val, Y)))

    assert (told.severity, told.fault, told.values["part"]) == ("warning", "data.bad_images", part)
    assert set(told.subject["rows"]) <= set(range(40, 40 + count))
    assert len(told.subject["rows"]) >= 0.95 * count  # a bright picture of -1 to 1 may lie above 0


@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize("form", ["floats", "standardised"])
def test_a_part_of_another_range(part, form):
    X = photographs()

    (told,) = graver(found(picture_range, as_is(shaped(X, form), Y, **{part: (X.astype("f4"), Y)})))

    assert (told.severity, told.message, told.values["part"]) == ("error", "audits.picture_range_of_part", part)


def test_dark_pictures_are_of_the_same_range():
    X = photographs().astype("f4")
    X[:20] = np.round(X[:20] / 60)  # whole numbers of 0 to 4
    X[20:25] = 0

    assert not found(picture_range, as_is(X, Y))


# Channels


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("form", ["bytes", "channels last"])
def test_a_dead_channel(channel, form):
    X = photographs()
    X[[5, 50], channel] = 0

    (told,) = graver(found(picture_channels, as_is(shaped(X, form), Y)))

    assert told.subject["rows"] == [5, 50]


@pytest.mark.parametrize("form", ["bytes", "floats", "channels last", "standardised"])
@pytest.mark.parametrize("part", ["val", "test"])
def test_exchanged_channels(form, part):
    X, other = photographs(), photographs(seed=1)[:, ::-1]

    (told,) = graver(found(picture_channels, as_is(shaped(X, form), Y, **{part: (shaped(other, form), Y)})))

    assert (told.severity, told.message, told.values["part"]) == ("warning", "audits.channels_exchanged", part)


def test_another_light_is_no_exchange():
    bluer = np.clip(photographs(seed=1).astype(int) + np.array([0, 0, 20])[None, :, None, None], 0, 255).astype("u1")

    assert not found(picture_channels, as_is(photographs(), Y, val=(bluer, Y)))


def test_channels_last_is_a_note():
    (told,) = found(picture_channels, as_is(shaped(photographs(), "channels last"), Y))

    assert (told.severity, told.message) == ("note", "audits.channels_last")


# Blank and cut


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("form", FORMS)
def test_blank_pictures(level, form):
    X = photographs()
    X[[3, 77]] = level

    (told,) = graver(found(picture_blank, as_is(shaped(X, form), Y)))

    assert (told.severity, told.status, told.subject["rows"]) == ("warning", "confirmed", [3, 77])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("level", [0, 128])
@pytest.mark.parametrize("form", FORMS)
def test_cut_pictures(share, level, form):
    X = photographs()
    X[[3, 77], :, round(24 * (1 - share)) :] = level

    (told,) = graver(found(picture_blank, as_is(shaped(X, form), Y)))

    assert (told.message, told.subject["rows"]) == ("audits.cut_pictures", [3, 77])


def test_pictures_on_a_plain_ground_are_whole():
    X = np.full((200, 24, 24), 230, "u1")
    X[:, 6:17, 5:19] = photographs()[:, 0, 6:17, 5:19]

    assert not found(picture_blank, as_is(X, Y))


@pytest.mark.parametrize("cut", [0.5, 0.8])
def test_a_jpeg_that_was_cut_off(cut, tmp_path, monkeypatch):
    """Read as others read it who let Pillow fill what is missing."""
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    pictures = []
    for place, pixels in enumerate(photographs(60, side=96)):
        buffer = io.BytesIO()
        Image.fromarray(pixels.transpose(1, 2, 0)).save(buffer, "jpeg")
        data = buffer.getvalue()
        pictures.append(np.asarray(Image.open(io.BytesIO(data[: int(cut * len(data))] if place in (9, 30) else data))))

    (told,) = graver(found(picture_blank, as_is(np.stack(pictures), Y[:60])))

    assert told.subject["rows"] == [9, 30]


# Files


@pytest.fixture(params=["folder", "zip"])
def files(request, tmp_path):
    names = {}
    for place, pixels in enumerate(photographs(60)):
        image = Image.fromarray(pixels.transpose(1, 2, 0))
        if place == 7:
            image = image.resize((120, 24))
        if place == 8:
            image = image.resize((6, 6))
        names[f"pets/{'cat' if place % 2 else 'dog'}/{place:03}.png"] = image
    path = tmp_path / "pets.zip" if request.param == "zip" else tmp_path / "in"
    if request.param == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, image in names.items():
                buffer = io.BytesIO()
                image.save(buffer, "png")
                archive.writestr(name, buffer.getvalue())
    else:
        for name, image in names.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            image.save(path / name)
    return path


def test_files_of_another_shape(files):
    told = {
        one.message: one for one in found(picture_sizes, of(str(files), recipe={"data.val": 0.0, "data.test": 0.0}))
    }

    assert {message: [name.rpartition("/")[2] for name in one.subject["files"]] for message, one in told.items()} == {
        "audits.stretched_pictures": ["007.png"],
        "audits.tiny_pictures": ["008.png"],
    }
    assert not graver(told.values())


# Whatever comes


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((200, 3, 16, 16), "u1"),
        np.full((200, 1, 16, 16), np.nan, "f4"),
        np.zeros((0, 3, 16, 16), "u1"),
        rng().normal(size=(200, 3, 16, 16)).astype("f2"),
        rng().integers(0, 60000, (200, 1, 16, 16)).astype("u2"),
        rng().normal(size=(200, 5)),
    ],
)
def test_odd_arrays(X):
    for look in LOOKS:
        found(look, as_is(X, Y[: len(X)]))


def test_digits_and_the_demo_pictures(root):
    digits = datasets.load_digits()
    sets = [
        as_is(digits.images[:, None].astype("f4"), digits.target),
        as_is((digits.images * 15).astype("u1"), digits.target),
        of(str(root / "src/tunesmith/demo_data/fashion_mnist/train-images-idx3-ubyte.gz")),
    ]

    for material in sets:
        for look in LOOKS:
            assert not graver(found(look, material)), look.__name__


@pytest.mark.parametrize("name", ["mnist_5k.npz", "cifar10_part_a.zip", "fashion_mnist/train-images-idx3-ubyte.gz"])
@pytest.mark.slow
def test_real_pictures(shared, name):
    material = of(str(shared / "data/images" / name))

    for look in LOOKS:
        assert not graver(found(look, material)), look.__name__
