import numpy as np
import pytest
from scipy import stats

from tunesmith.blocks.schedules import SCHEDULES, rates
from tunesmith.blocks.schedules.curve import MANY
from tunesmith.blocks.schedules.noisy_linear_cosine import normal, split_mix
from tunesmith.records import RecipeError

NOISY = SCHEDULES["noisy_linear_cosine"]


def test_the_generator_is_splitmix64():
    """The published sequences of the seeds 0 and 1234567."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]

    assert [split_mix(0, n) for n in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [split_mix(1234567, n) for n in range(5)] == known
    assert split_mix(1234567, np.arange(5)).tolist() == known


@pytest.mark.parametrize("seed", [0, 1, -5, 2**70])
def test_the_noise_is_normal_and_independent_from_step_to_step(seed):
    drawn = normal(seed, np.arange(20_000), MANY)

    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 5 / np.sqrt(20_000)
    assert abs(np.corrcoef(drawn, normal(seed + 1, np.arange(20_000), MANY))[0, 1]) < 5 / np.sqrt(20_000)


def test_a_seed_is_one_curve_and_another_seed_another():
    one, again, other = (rates(NOISY(500, seed=seed), 600) for seed in (7, 7, 8))

    assert one.tolist() == again.tolist()
    assert (one[:400] != other[:400]).mean() > 0.5


def test_any_step_can_be_asked_alone():
    curve = rates(NOISY(500, seed=7), 600)

    assert [NOISY(500, seed=7)(step) for step in (599, 3, 250)] == pytest.approx(curve[[599, 3, 250]], rel=1e-13)


def test_it_is_never_negative_and_touches_nothing():
    curve = rates(NOISY(500, variance=4.0), 500)

    assert curve.min() == 0.0
    assert (curve == 0).sum() > 10


def test_a_seed_is_a_whole_number():
    with pytest.raises(RecipeError, match=r"seed = 1\.5"):
        NOISY(10, seed=1.5)
