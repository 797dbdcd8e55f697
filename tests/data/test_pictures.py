import io
import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tunesmith.data.pictures import PicturesBlock, as_pictures, moments, read_pictures, resized, with_channels
from tunesmith.data.spec import Pictures
from tunesmith.records import DataError
from tunesmith.records.sections import DataSection

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).parents[2] / ".." / "shared"))
RNG = np.random.default_rng(0)


def picture(shape=(8, 8), value=None):
    return RNG.integers(0, 256, shape, np.uint8) if value is None else np.full(shape, value, np.uint8)


def png(array, mode=None, form="PNG", **settings):
    out = io.BytesIO()
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(out, form, **settings)
    return out.getvalue()


def lay(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def pack(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


CATS_AND_DOGS = {f"{name}/{row}.png": png(picture()) for name in ("cat", "dog") for row in range(3)}


class TestFolders:
    def test_each_folder_is_a_class_and_the_pixels_are_exact(self, tmp_path):
        array = picture((8, 10, 3))
        lay(tmp_path, {"cat/a.png": png(array), "dog/b.png": png(array[::-1].copy())})

        found = read_pictures(tmp_path)

        assert found.labels.tolist() == ["cat", "dog"]
        assert found.sources == ("cat/a.png", "dog/b.png")
        assert found.parts is None
        assert found.pixels.dtype == np.uint8
        assert (found.pixels[0] == array.transpose(2, 0, 1)).all()
        assert (found.findings, found.notices) == ((), ())

    @pytest.mark.parametrize("top", ["", "data/", "a/b/"])
    def test_a_zip_equals_its_folder_in_any_top_folder(self, tmp_path, top):
        files = {top + name: data for name, data in CATS_AND_DOGS.items()}
        folder = read_pictures(lay(tmp_path / "folder", files))

        packed = read_pictures(pack(tmp_path / "p.zip", files))

        assert packed.labels.tolist() == folder.labels.tolist() == ["cat"] * 3 + ["dog"] * 3
        assert (packed.pixels == folder.pixels).all()

    @pytest.mark.parametrize("top", ["", "data/"])
    def test_train_and_test_folders_give_the_parts(self, tmp_path, top):
        files = {
            f"{top}{part}/{label}/{row}.png": png(picture())
            for part in ("Train", "valid", "test")
            for label in ("x", "y")
            for row in range(2)
        }

        found = read_pictures(lay(tmp_path, files))

        assert dict(zip(*np.unique(found.parts.astype(str), return_counts=True), strict=True)) == {
            "train": 4,
            "val": 4,
            "test": 4,
        }
        assert set(found.labels) == {"x", "y"}
        assert found.notices == ("the folders give the parts: train 4, val 4, test 4",)

    def test_a_class_may_be_called_train(self, tmp_path):
        found = read_pictures(lay(tmp_path, {"train/1.png": png(picture()), "car/1.png": png(picture())}))

        assert set(found.labels) == {"train", "car"}
        assert found.parts is None

    def test_parts_without_training_pictures_are_refused(self, tmp_path):
        lay(tmp_path, {"test/a/1.png": png(picture()), "val/a/1.png": png(picture())})

        with pytest.raises(DataError, match="is divided into test and val but has no train folder"):
            read_pictures(tmp_path)

    def test_unlabelled_test_pictures_are_left_out_and_told(self, tmp_path):
        lay(tmp_path, {"train/a/1.png": png(picture()), "train/b/1.png": png(picture()), "test/1.png": png(picture())})

        found = read_pictures(tmp_path)

        assert len(found.pixels) == 2
        assert "pictures outside the class folders, left out: 1 (test/1.png)" in found.notices

    def test_hidden_files_are_left_out_and_strange_ones_told(self, tmp_path):
        lay(
            tmp_path,
            {**CATS_AND_DOGS, ".DS_Store": b"", "__MACOSX/cat/._1.png": b"x", "cat/.x.png": b"", "notes.txt": b"hi"},
        )

        found = read_pictures(tmp_path)

        assert len(found.pixels) == 6
        assert found.notices == ("files that are no pictures, left out: 1 (notes.txt)",)

    def test_pictures_without_folders_have_no_labels(self, tmp_path):
        found = read_pictures(lay(tmp_path, {"1.png": png(picture()), "2.png": png(picture())}))

        assert found.labels is None
        assert len(found.pixels) == 2

    def test_to_predict_every_picture_counts(self, tmp_path):
        found = read_pictures(lay(tmp_path, {**CATS_AND_DOGS, "loose.png": png(picture())}), with_labels=False)

        assert found.labels is None
        assert len(found.pixels) == 7

    def test_a_loop_of_links_ends(self, tmp_path):
        lay(tmp_path, CATS_AND_DOGS)
        (tmp_path / "cat" / "again").symlink_to(tmp_path, target_is_directory=True)

        assert len(read_pictures(tmp_path).pixels) == 6

    def test_one_picture_file_is_one_row(self, tmp_path):
        lay(tmp_path, {"a.png": png(picture())})

        found = read_pictures(tmp_path / "a.png")

        assert found.pixels.shape == (1, 1, 8, 8)
        assert found.labels is None

    @pytest.mark.parametrize("encoding", ["gb2312", "utf-8"])
    def test_chinese_names_of_a_zip_without_the_utf8_mark_are_read(self, tmp_path, encoding):
        cat, dog = ("猫".encode(encoding).ljust(4, b"x"), "狗".encode(encoding).ljust(4, b"x"))
        data = pack(tmp_path / "p.zip", {"MMMM/1.png": png(picture()), "WWWW/1.png": png(picture())}).read_bytes()
        (tmp_path / "p.zip").write_bytes(data.replace(b"MMMM", cat).replace(b"WWWW", dog))

        found = read_pictures(tmp_path / "p.zip")

        assert {label.rstrip("x") for label in found.labels} == {"猫", "狗"}

    def test_a_locked_zip_gets_its_sentence(self, tmp_path):
        data = bytearray(pack(tmp_path / "p.zip", CATS_AND_DOGS).read_bytes())
        for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = data.find(mark)
            while place >= 0:
                data[place + flags] |= 1
                place = data.find(mark, place + 1)
        (tmp_path / "p.zip").write_bytes(bytes(data))

        with pytest.raises(DataError, match="is locked with a password; unpack it"):
            read_pictures(tmp_path / "p.zip")


class TestDecoding:
    @pytest.mark.parametrize(("form", "ending"), [("PNG", "png"), ("BMP", "bmp"), ("GIF", "gif"), ("WEBP", "webp")])
    def test_lossless_forms_are_exact(self, tmp_path, form, ending):
        array = picture((8, 8))
        settings = {"lossless": True} if form == "WEBP" else {}
        lay(tmp_path, {f"a/1.{ending}": png(array, "RGB" if form == "WEBP" else None, form, **settings)})

        found = read_pictures(tmp_path)

        assert found.pixels.shape == (1, 1, 8, 8)
        assert (found.pixels[0, 0] == array).all()

    def test_jpeg_is_close(self, tmp_path):
        ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
        lay(tmp_path, {"a/1.JPG": png(ramp, form="JPEG", quality=95)})

        assert np.abs(read_pictures(tmp_path).pixels[0, 0].astype(int) - ramp).max() <= 4

    def test_grey_and_colour_together_become_colour_and_that_is_said(self, tmp_path):
        colour, grey = picture((8, 8, 3)), picture((8, 8))
        lay(tmp_path, {"a/1.png": png(colour), "a/2.png": png(grey)})

        found = read_pictures(tmp_path)

        assert found.pixels.shape == (2, 3, 8, 8)
        assert (found.pixels[1] == grey).all()
        assert "pictures in colour: 1, in grey: 1; all are used as colour" in found.notices

    def test_grey_saved_as_colour_becomes_one_channel_and_that_is_said(self, tmp_path):
        grey = picture((8, 8))
        lay(tmp_path, {"a/1.png": png(grey, "RGB")})

        found = read_pictures(tmp_path)

        assert (found.pixels == grey).all()
        assert "equal red, green and blue" in found.notices[0]

    def test_transparent_parts_become_white(self, tmp_path):
        array = np.zeros((8, 8, 4), np.uint8)
        array[0, 0] = (200, 10, 10, 255)
        lay(tmp_path, {"a/1.png": png(array)})

        found = read_pictures(tmp_path)

        assert found.pixels[0, :, 0, 0].tolist() == [200, 10, 10]
        assert found.pixels[0, :, 1, 1].tolist() == [255, 255, 255]
        assert "alpha channel" in found.notices[0]

    def test_sixteen_bits_become_eight(self, tmp_path):
        lay(tmp_path, {"a/1.png": png(np.full((8, 8), 257 * 77, np.uint16))})

        found = read_pictures(tmp_path)

        assert (found.pixels == 77).all()
        assert "16 bits" in found.notices[0]

    def test_a_camera_on_its_side_is_set_upright(self, tmp_path):
        array = np.zeros((8, 16), np.uint8)
        array[:, :8] = 255
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise
        lay(tmp_path, {"a/1.jpg": png(array, form="JPEG", exif=exif, quality=100)})

        found = read_pictures(tmp_path)

        assert found.pixels.shape == (1, 1, 16, 8)
        assert found.pixels[0, 0, :8].min() > 200
        assert found.pixels[0, 0, 8:].max() < 50

    def test_the_first_frame_of_an_animation_is_used_and_that_is_said(self, tmp_path):
        frames = [Image.fromarray(picture(value=value)) for value in (10, 200)]
        out = io.BytesIO()
        frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
        lay(tmp_path, {"a/1.gif": out.getvalue()})

        found = read_pictures(tmp_path)

        assert (found.pixels == 10).all()
        assert "animated pictures: 1; the first frame of each is used" in found.notices


class TestSizes:
    @pytest.mark.parametrize(
        ("sizes", "size", "why"),
        [
            ([(8, 10)] * 3, (8, 10), None),
            ([(8, 10)] * 2 + [(20, 20)], (8, 10), "the size of 2 of 3"),
            ([(8, 10), (10, 20), (30, 40)], (10, 20), "the median of 3 sizes"),
            ([(96, 96)] * 2, (64, 64), "with its longer side brought to 64"),
            ([(100, 50)] * 2, (64, 32), "with its longer side brought to 64"),
        ],
    )
    def test_auto_follows_its_rule_and_tells_a_change(self, tmp_path, sizes, size, why):
        lay(tmp_path, {f"a/{row}.png": png(picture(size)) for row, size in enumerate(sizes)})

        found = read_pictures(tmp_path)

        assert found.pixels.shape[2:] == size
        assert len(found.notices) == (why is not None)
        assert why is None or why in found.notices[0]

    def test_a_size_asked_for_is_taken(self, tmp_path):
        lay(tmp_path, {"a/1.png": png(picture((96, 90)))})

        assert read_pictures(tmp_path, image_size=96).pixels.shape[2:] == (96, 96)
        assert read_pictures(tmp_path, image_size=(20, 30)).pixels.shape[2:] == (20, 30)

    def test_shrinking_averages(self):
        stripes = np.zeros((1, 1, 64, 64), np.uint8)
        stripes[..., ::2] = 255

        small = resized(stripes, (8, 8))

        assert np.abs(small.astype(int) - 127).max() < 12


class TestBadFiles:
    def lay_many(self, root, bad):
        whole = {f"a/{row:03}.png": png(picture()) for row in range(100 - len(bad))}
        return lay(root, {**whole, **bad})

    def test_a_few_unreadable_files_are_left_out_and_named(self, tmp_path):
        cut = png(picture((64, 64)))[:500]
        self.lay_many(tmp_path, {"a/cut.png": cut, "a/text.jpg": b"hello", "a/empty.gif": b""})

        found = read_pictures(tmp_path)

        (finding,) = found.findings
        assert len(found.pixels) == len(found.labels) == len(found.sources) == 97
        assert (finding.fault, finding.severity) == ("data.bad_images", "warning")
        assert sorted(finding.subject["files"]) == ["a/cut.png", "a/empty.gif", "a/text.jpg"]
        assert finding.because.startswith("3 of 100 pictures cannot be read and are left out: ")
        assert "100 张图片中有 3 张无法读取" in finding.text("zh")
        assert finding.remedies[0].text()

    def test_rows_stay_with_their_pictures(self, tmp_path):
        marked = {f"a/{row}.png": png(picture(value=row)) for row in range(30)}
        lay(tmp_path, {**marked, "a/0cut.png": png(picture((64, 64)))[:500]})

        found = read_pictures(tmp_path)

        assert [f"a/{pixels[0, 0, 0]}.png" for pixels in found.pixels] == list(found.sources)

    def test_too_many_are_an_error(self, tmp_path):
        self.lay_many(tmp_path, {f"a/bad{row}.png": b"" for row in range(6)})

        with pytest.raises(
            DataError, match=r"6 of the 100 pictures .* cannot be read, more than 5%; the first is a/bad0.png"
        ):
            read_pictures(tmp_path)

    def test_a_folder_without_pictures_is_refused(self, tmp_path):
        lay(tmp_path, {"a.txt": b"hello"})

        with pytest.raises(DataError, match="holds no pictures among its 1 files"):
            read_pictures(tmp_path)

    @pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
    def test_a_damaged_zip_gets_its_sentence(self, tmp_path, keep):
        path = pack(tmp_path / "p.zip", CATS_AND_DOGS)
        data = path.read_bytes()
        path.write_bytes(data[: keep if keep > 1 else int(len(data) * keep)])

        with pytest.raises(DataError, match=r"damaged \.zip file"):
            read_pictures(path)

    @pytest.mark.parametrize(
        ("name", "sentence"), [("absent", "no file or folder"), ("a.txt", "holds no pictures that can be read")]
    )
    def test_what_is_no_source_gets_its_sentence(self, tmp_path, name, sentence):
        lay(tmp_path, {"a.txt": b"hello"})

        with pytest.raises(DataError, match=sentence):
            read_pictures(tmp_path / name)


class TestIdx:
    def lay(self, root, count=4, labels=4):
        pixels = picture((count, 9, 8))
        lay(
            root,
            {"train-images-idx3-ubyte": idx(pixels), "train-labels-idx1-ubyte": idx(np.arange(labels, dtype=np.uint8))},
        )
        return pixels, root / "train-images-idx3-ubyte"

    def test_pictures_come_with_the_labels_beside(self, tmp_path):
        pixels, path = self.lay(tmp_path)

        found = read_pictures(path)

        assert (found.pixels == pixels[:, None]).all()
        assert found.labels.tolist() == [0, 1, 2, 3]
        assert found.notices == ("labels: train-labels-idx1-ubyte, found by its name",)

    def test_a_test_set_beside_is_told_and_not_used(self, tmp_path):
        _, path = self.lay(tmp_path)
        (tmp_path / "t10k-images-idx3-ubyte.gz").touch()

        found = read_pictures(path)

        assert len(found.pixels) == 4
        assert found.parts is None
        assert (
            found.notices[1]
            == "a test set, t10k-images-idx3-ubyte.gz, lies beside; it is not used unless named with --test"
        )

    def test_labels_can_be_named(self, tmp_path):
        _, path = self.lay(tmp_path)
        (tmp_path / "mine").write_bytes(idx(np.array([3, 2, 1, 0], np.uint8)))

        assert read_pictures(path, labels=tmp_path / "mine").labels.tolist() == [3, 2, 1, 0]

    def test_another_number_of_labels_is_refused(self, tmp_path):
        _, path = self.lay(tmp_path, labels=5)

        with pytest.raises(
            DataError, match="holds 4 pictures and train-labels-idx1-ubyte labels of shape 5; they do not belong"
        ):
            read_pictures(path)

    def test_the_labels_in_place_of_the_pictures_are_refused(self, tmp_path):
        self.lay(tmp_path)

        with pytest.raises(DataError, match="expected pictures"):
            read_pictures(tmp_path / "train-labels-idx1-ubyte")

    def test_to_predict_no_labels_are_needed(self, tmp_path):
        _, path = self.lay(tmp_path)
        (tmp_path / "train-labels-idx1-ubyte").unlink()

        assert read_pictures(path, with_labels=False).labels is None


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 28, 28), (5, 1, 28, 28)),
        ((5, 32, 24, 3), (5, 3, 32, 24)),
        ((5, 3, 32, 24), (5, 3, 32, 24)),
        ((5, 8, 8, 1), (5, 1, 8, 8)),
        ((5, 4, 16, 16), (5, 4, 16, 16)),
        ((5, 7, 28), None),  # a side below 8
        ((5, 784), None),
        ((5, 5, 32, 32), None),
        ((5, 3, 4, 3), None),
    ],
)
def test_arrays_of_pictures_are_recognised_by_their_shape(shape, expected):
    array = picture(shape)

    found = as_pictures(array)

    assert (found is None) == (expected is None)
    assert found is None or (found.shape == expected and found.sum() == array.sum())


def test_only_bytes_are_pictures():
    assert as_pictures(np.zeros((5, 28, 28), np.float32)) is None


def test_channels_last_are_moved_not_reshaped():
    array = picture((2, 9, 8, 3))

    assert (as_pictures(array)[1, 2] == array[1, :, :, 2]).all()


def test_moments_equal_those_of_floats():
    pixels = picture((50, 3, 9, 8))

    mean, std = moments(pixels)

    assert mean == pytest.approx((pixels / 255).mean(axis=(0, 2, 3)), rel=1e-12)
    assert std == pytest.approx((pixels / 255).std(axis=(0, 2, 3)), rel=1e-12)


def test_grey_from_colour_is_the_luma_of_pillow():
    pixels = picture((4, 3, 8, 8))

    grey = with_channels(pixels, 1)

    reference = [
        np.asarray(Image.fromarray(np.ascontiguousarray(row.transpose(1, 2, 0))).convert("L")) for row in pixels
    ]
    assert np.abs(grey[:, 0].astype(int) - np.stack(reference)).max() <= 1


class TestBlock:
    def fitted(self, pixels, **settings):
        block = PicturesBlock(["picture"], DataSection(**settings))
        block.fit({"picture": pixels})
        return block

    def test_spec_and_pixels(self):
        pixels = picture((6, 3, 9, 8))
        block = self.fitted(pixels)

        assert block.spec() == Pictures(3, 9, 8, *moments(pixels))
        assert block.transform({"picture": pixels}) is pixels
        assert (block.notices, block.remarks({"picture": pixels})) == ((), ())

    def test_a_constant_channel_is_not_divided_by_zero(self):
        assert self.fitted(picture((3, 1, 8, 8), value=7)).spec().std == (1.0,)

    def test_other_sizes_and_channels_are_brought_to_those_of_the_training_and_told(self):
        block = self.fitted(picture((4, 1, 8, 8)))
        new = {"picture": picture((2, 16, 12, 3))}

        assert block.transform(new).shape == (2, 1, 8, 8)
        assert block.remarks(new) == (
            "pictures of 3 channels are turned into the 1 the model learnt on",
            "pictures of 16×12 pixels are brought to 8×8, the size the model learnt on",
        )

    def test_image_size_and_the_bound_hold_for_arrays_too(self):
        pixels = picture((4, 1, 80, 40))

        assert (self.fitted(pixels).spec().height, self.fitted(pixels).spec().width) == (64, 32)
        assert self.fitted(pixels, image_size=80).transform({"picture": pixels}).shape == (4, 1, 80, 80)

    def test_json_restores_it(self):
        block = self.fitted(picture((4, 3, 9, 8)))

        again = PicturesBlock.from_json(json.loads(json.dumps(block.to_json())))

        assert again.spec() == block.spec()
        assert again.names == block.names

    @pytest.mark.parametrize("array", [np.zeros((3, 8, 8), np.float32), np.zeros((3, 64), np.uint8)])
    def test_what_is_no_picture_is_refused(self, array):
        with pytest.raises(DataError, match=r"column 'picture' holds (float32|uint8) of shape .*expected pictures"):
            self.fitted(array)

    def test_an_empty_training_part_is_refused(self):
        with pytest.raises(DataError, match="no picture in the training part"):
            self.fitted(picture((0, 1, 8, 8)))


@pytest.mark.skipif(
    not (SHARED / "data" / "images" / "cifar10_part_a.zip").is_file(), reason="the shared data folder is absent"
)
@pytest.mark.slow
def test_a_real_zip_with_given_parts_is_read():
    found = read_pictures(SHARED / "data" / "images" / "cifar10_part_a.zip")

    assert found.pixels.shape == (12_000, 3, 32, 32)
    assert dict(zip(*np.unique(found.parts.astype(str), return_counts=True), strict=True)) == {
        "train": 10_000,
        "test": 2_000,
    }
    assert len(set(found.labels)) == 10


def test_the_demo_pictures_are_balanced_and_have_their_licence():
    folder = Path(__file__).parents[2] / "src" / "tunesmith" / "demo_data" / "fashion_mnist"

    train, test = (read_pictures(folder / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k"))

    assert np.bincount(train.labels).tolist() == [600] * 10
    assert np.bincount(test.labels).tolist() == [200] * 10
    assert "Permission is hereby granted" in (folder / "LICENSE").read_text(encoding="utf-8")
