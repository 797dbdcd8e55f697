import torch

from tunesmith.training.augment import copy_paste


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scenes(rows=60, things=3):
    """Pictures of a bright ground, with rectangles of their own brightness and their masks."""
    pictures = torch.arange(rows, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(rows, 1, 10, 10).clone()
    masks = torch.zeros(rows, things, 10, 10, dtype=torch.bool)
    corners = torch.randint(0, 7, (rows, things, 2), generator=generator(1))
    for row in range(rows):
        for thing in range(things - row % 2):  # some have one less
            top, left = corners[row, thing].tolist()
            masks[row, thing, top : top + 3, left : left + 3] = True
            pictures[row, 0, top : top + 3, left : left + 3] = 1000 + 10 * row + thing
    return pictures, masks


def test_what_was_pasted_is_the_other_picture_and_hides_what_was_there():
    pictures, masks = scenes()

    done = copy_paste(pictures, masks, generator())

    over = done.pasted.any(1, keepdim=True)
    assert torch.equal(done.pictures[over], pictures[done.source][over])
    assert torch.equal(done.pictures[~over], pictures[~over])
    assert not (done.masks & over).any()
    assert torch.equal(done.masks, masks & ~over)


def test_things_come_whole_and_about_half_of_them():
    pictures, masks = scenes(600)

    done = copy_paste(pictures, masks, generator())

    came, there = done.pasted.flatten(2).any(2), masks[done.source].flatten(2).any(2)
    assert torch.equal(done.pasted[came], masks[done.source][came])
    assert not (came & ~there).any()
    assert 0.45 < came.sum() / there.sum() < 0.55


def test_all_things_come_at_full_strength_and_none_at_0():
    pictures, masks = scenes()

    full, none = copy_paste(pictures, masks, generator(), 1.0), copy_paste(pictures, masks, generator(), 0.0)

    assert torch.equal(full.pasted, masks[full.source])
    assert none.pictures is pictures
    assert none.masks is masks
    assert not none.pasted.any()


def test_bytes_stay_bytes():
    pictures, masks = scenes(20)

    done = copy_paste(pictures.clamp(0, 255).to(torch.uint8), masks, generator())

    assert done.pictures.dtype == torch.uint8
