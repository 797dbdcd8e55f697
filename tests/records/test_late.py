import pytest

from tunesmith.blocks import experience, layers, optim, schedules
from tunesmith.blocks.layers import init


@pytest.mark.parametrize("package", [experience, layers, init, optim, schedules])
def test_every_late_name_is_there_and_no_other(package):
    assert package.LATE

    for name in package.LATE:
        assert name in package.__all__
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing
