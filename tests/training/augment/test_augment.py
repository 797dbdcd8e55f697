import hashlib
import time

import pytest
import torch

from tunesmith.records import RecipeError, UnknownName
from tunesmith.training.augment import AUGMENTATIONS, augment, chosen, flip, members, reach, shift

ALONE = [name for name, one in AUGMENTATIONS.items() if "pictures" in one.changes and not one.mixes]
NAMES = sorted({*ALONE, "flip+shift+cutout"} - {"none"})
GOLDEN = {"flip": "5fdb20a03137a903", "shift": "90a9f2b2f46be10e", "flip_shift": "c67ef9b2b92789c6"}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(count=200, dtype=torch.uint8, shape=(2, 16, 12)):
    return torch.randint(0, 256, (count, *shape), generator=generator(7)).to(dtype)


def moved(picture, down, right):
    """The reference: the border repeated outwards, one picture at a time."""
    _, height, width = picture.shape
    rows = (torch.arange(height) + down).clamp(0, height - 1)
    columns = (torch.arange(width) + right).clamp(0, width - 1)
    return picture[:, rows][:, :, columns]


@pytest.mark.parametrize(("name", "known"), GOLDEN.items())
def test_the_first_members_are_bit_for_bit_what_they_were(name, known):
    pictures = batch(64)

    changed = augment(pictures, name, generator())

    assert hashlib.sha256(changed.numpy().tobytes()).hexdigest()[:16] == known


def test_a_list_is_its_members_one_after_another():
    pictures, source = batch(), generator()

    together = augment(pictures, "flip + shift", generator())

    assert torch.equal(together, augment(pictures, "flip_shift", generator()))
    assert torch.equal(together, shift(flip(pictures, source), source))


def test_flipping_twice_with_the_same_coins_is_no_change():
    pictures = batch()

    twice = flip(flip(pictures, generator()), generator())

    assert torch.equal(twice, pictures)


@pytest.mark.parametrize(("name", "more"), [("mixup", "targets too"), ("noise", "numbers"), ("token_swap", "tokens")])
def test_what_is_not_for_pictures_alone_is_called_itself(name, more):
    with pytest.raises(RecipeError, match=f"{name} changes {more}; call"):
        augment(batch(1), name, generator())


def test_each_picture_is_flipped_or_not_half_and_half():
    pictures = batch(2000)

    flipped = flip(pictures, generator())

    mirrored = (flipped == pictures.flip(-1)).flatten(1).all(1)
    same = (flipped == pictures).flatten(1).all(1)
    assert (mirrored ^ same).all()
    assert 0.46 < mirrored.float().mean() < 0.54  # five deviations of 2000 coins are 0.056


def test_each_picture_is_moved_as_the_reference_and_every_move_occurs():
    pictures = batch(400)
    most = reach(16, 12)
    moves = [(down, right) for down in range(-most, most + 1) for right in range(-most, most + 1)]

    shifted = shift(pictures, generator())

    found = [
        {move for move in moves if torch.equal(moved(before, *move), after)}
        for before, after in zip(pictures, shifted, strict=True)
    ]
    assert all(found)
    assert set.union(*found) == set(moves)


def test_float_and_byte_pictures_get_the_same_change():
    pictures = batch()

    changed = [augment(pictures.to(dtype), "flip_shift", generator()) for dtype in (torch.uint8, torch.float32)]

    assert torch.equal(changed[0].float(), changed[1])


def test_none_changes_nothing_and_draws_nothing():
    pictures, source = batch(), generator()
    before = source.get_state()

    assert augment(pictures, "none", source) is pictures
    assert torch.equal(source.get_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_one_and_tiny_pictures_work(name):
    assert augment(batch(1, shape=(1, 2, 3)), name, generator()).shape == (1, 1, 2, 3)


def test_auto_never_flips():
    kinds = ["multiclass", "binary", "multilabel", "regression", "multi_regression"]

    assert [chosen("auto", kind) for kind in kinds] == ["shift"] * 3 + ["none"] * 2
    assert chosen("flip_shift", "regression") == "flip_shift"
    assert chosen("flip + auto", "binary") == "flip+shift"


def test_members_come_in_the_order_of_the_list():
    assert [one.name for one in members("cutout+ flip")] == ["cutout", "flip"]


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UnknownName, match=r"no augmentation called 'flop'; did you mean 'flip'"):
        augment(batch(1), "flop", generator())


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_costs_little(name):
    pictures, source = batch(128, shape=(1, 28, 28)), generator()
    augment(pictures, name, source)

    seconds = []
    for _ in range(30):
        began = time.process_time()
        augment(pictures, name, source)
        seconds.append(time.process_time() - began)

    assert min(seconds) < 0.003  # measured: under 0.001 on one core
