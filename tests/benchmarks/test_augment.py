"""What the benchmark of augmentation tries is there, and its table says how far each is from none."""

from collections.abc import Callable
from types import ModuleType

from tunesmith.training.augment import AUGMENTATIONS, members

Load = Callable[[str], ModuleType]


def test_everything_tried_is_a_member_and_every_member_is_tried(benchmark: Load) -> None:
    augment = benchmark("augment")

    tried = {one.name for names in augment.TRIED.values() for name in names for one in members(name)}

    assert tried | {"flip_shift"} == set(AUGMENTATIONS)
    assert set(augment.TRIED) == set(augment.RECIPES) == set(augment.ROWS)


def test_differences_are_taken_seed_by_seed(benchmark: Load) -> None:
    rows = [
        {"case": {"data": "digits", "augment": name}, "measured": {"errors": errors}}
        for name, errors in (("none", [0.1, 0.2, 0.3]), ("shift", [0.0, 0.1, 0.2]))
    ]

    told = benchmark("augment").table(rows)

    assert "| digits | shift | 0.100 | -0.100 | 0.000 |" in told
