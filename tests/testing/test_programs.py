"""Failing programs: they build, repeat, fail, and do not once they are mended."""

import math
import warnings

import pytest
import torch

from tunesmith.testing.programs import FAILING
from tunesmith.testing.training import batches, trained

QUICK = ("wine_as_measured", "written_digits_one_by_one", "text_with_no_word_known")


def test_there_are_many_and_they_have_loops_of_their_own():
    assert len(FAILING) >= 10
    assert sum(FAILING[name](0).loop is not None for name in FAILING) >= len(FAILING) - 2


def test_their_faults_are_in_the_vocabulary():
    import tomllib
    from importlib.resources import files

    known = set(tomllib.loads((files("tunesmith.records") / "faults.toml").read_text(encoding="utf-8")))

    assert {fault for each in FAILING.values() for fault in each.faults} <= known


@pytest.mark.parametrize("name", FAILING)
def test_one_is_built_from_its_seed_alone(name):
    before = torch.get_rng_state()

    one, again, mended = FAILING[name](1), FAILING[name](1), FAILING[name](1, mended=True)

    assert torch.equal(before, torch.get_rng_state())
    for mine, theirs in zip(one.model.state_dict().values(), again.model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    for program in (one, mended):
        inputs, target = next(iter(batches(program, 0)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of one of the faults
            assert program.loss_fn(program.model(inputs), target).numel() == 1


def fails(name: str) -> None:
    sound, sick = ([trained(FAILING[name](seed, mended=mended)) for seed in (0, 1)] for mended in (True, False))

    worse = [math.isnan(ill) or well - ill > 0.02 for well, ill in zip(sound, sick, strict=True)]

    assert all(worse), (sound, sick)
    assert all(math.isfinite(well) for well in sound)


@pytest.mark.parametrize("name", QUICK)
def test_one_fails_and_does_not_once_mended(name):
    fails(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(FAILING) - set(QUICK)))
def test_each_fails_and_does_not_once_mended(name):
    fails(name)
