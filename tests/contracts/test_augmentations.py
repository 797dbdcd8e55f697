"""What every augmentation keeps: the dial, the generator, type, shape and device of a batch."""

import pytest
import torch

from tunesmith.records import RecipeError
from tunesmith.training.augment import AUGMENTATIONS

FLOATING = (torch.float32, torch.float64)
TYPES = {"pictures": (torch.uint8, *FLOATING), "tokens": (torch.int64, torch.int32), "numbers": FLOATING}
CASES = [
    (name, role, dtype)
    for name, member in AUGMENTATIONS.items()
    for role in member.changes
    for dtype in TYPES[role]
    if name != "none"
]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(role, dtype, rows=40):
    """Rows of a kind: pictures of 3 × 12 × 10, tokens with padding at the end, numbers."""
    if role == "pictures":
        pixels = torch.randint(0, 256, (rows, 3, 12, 10), generator=generator(1))
        return pixels.to(dtype) if dtype == torch.uint8 else pixels.to(dtype) / 255
    if role == "tokens":
        tokens = torch.randint(3, 50, (rows, 12), generator=generator(1))
        lengths = torch.randint(1, 13, (rows, 1), generator=generator(2))
        return tokens.masked_fill(torch.arange(12) >= lengths, 0).to(dtype)
    return torch.randn(rows, 5, generator=generator(1), dtype=torch.float64).to(dtype)


def changed(name, given, seed=0, strength=0.5, target=None, **told):
    """The inputs, and the target of a member that mixes."""
    member = AUGMENTATIONS[name]
    if not member.mixes:
        return member.function(given, generator(seed), strength, **told), None
    target = torch.arange(len(given), device=given.device) % 3 if target is None else target
    mixed = member.function(given, target, generator(seed), strength, classes=3, **told)
    return mixed.inputs, mixed.target


@pytest.mark.parametrize(("name", "role", "dtype"), CASES)
def test_at_strength_0_nothing_is_changed_and_nothing_drawn(name, role, dtype):
    given, source = batch(role, dtype), generator()
    member, before = AUGMENTATIONS[name], source.get_state()
    labels, weight = torch.arange(len(given)) % 3, torch.ones(len(given))

    if member.mixes:
        same = member.function(given, labels, source, 0.0, weight=weight, classes=3)
        assert (same.inputs is given, same.target is labels, same.weight is weight) == (True, True, True)
    else:
        assert member.function(given, source, 0.0) is given

    assert torch.equal(source.get_state(), before)


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize(("name", "role", "dtype"), CASES)
def test_the_generator_alone_decides(name, role, dtype, strength):
    given = batch(role, dtype)
    before = given.clone()
    torch.manual_seed(1)
    world = torch.get_rng_state()

    first, again, other = (changed(name, given, seed, strength)[0] for seed in (0, 0, 1))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, given)
    assert torch.equal(given, before)
    assert torch.equal(torch.get_rng_state(), world)
    assert (first.shape, first.dtype) == (given.shape, given.dtype)


@pytest.mark.parametrize(("name", "role", "dtype"), CASES)
def test_more_strength_changes_more(name, role, dtype):
    given = batch(role, dtype, rows=400)

    weak, usual, strong = (
        float((changed(name, given, strength=strength)[0].double() - given.double()).abs().mean())
        for strength in (0.15, 0.5, 1.0)
    )

    assert weak < usual
    assert usual <= strong if name == "flip" else usual < strong


@pytest.mark.parametrize(("name", "role", "dtype"), CASES)
def test_a_batch_of_one_works(name, role, dtype):
    given = batch(role, dtype, rows=1)

    assert changed(name, given, strength=1.0)[0].shape == given.shape


@pytest.mark.parametrize(("name", "role", "dtype"), CASES)
def test_the_batch_may_lie_on_another_device_than_the_generator(name, role, dtype):
    given = batch(role, dtype).to("meta")

    made, target = changed(name, given)

    assert made.device.type == "meta"
    assert target is None or target.device.type == "meta"


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "role", "dtype"), CASES)
def test_a_gpu_gives_what_the_processor_gives(name, role, dtype):
    given = batch(role, dtype)

    here, there = (changed(name, given.to(device))[0].cpu() for device in ("cpu", "cuda"))

    apart = (here.double() - there.double()).abs().max()
    assert apart <= (1 if dtype == torch.uint8 else 1e-5)


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "none"])
@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_beyond_the_dial_is_refused(name, strength):
    role = AUGMENTATIONS[name].changes[0]

    with pytest.raises(RecipeError, match="a number from 0 to 1 was expected"):
        changed(name, batch(role, TYPES[role][0]), strength=strength)
