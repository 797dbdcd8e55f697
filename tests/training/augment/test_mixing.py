"""mixup and cutmix: inputs, targets and weights of a mixture."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.nn import functional

from tunesmith.records import RecipeError
from tunesmith.training.augment import cutmix, mixup
from tunesmith.training.augment.mixing import mixed_targets, partners, symmetric_beta

MIXERS = [mixup, cutmix]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ramp(rows=64, dtype=torch.float64):
    """Pictures that are the number of their row all over."""
    return torch.arange(rows, dtype=dtype).reshape(-1, 1, 1, 1).expand(rows, 2, 16, 12).clone()


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0, 4.0])
def test_shares_are_of_the_beta_distribution(alpha):
    drawn = symmetric_beta(alpha, 20_000, generator()).numpy()

    inside = (drawn > 1e-6) & (drawn < 1 - 1e-6)  # nearer to the ends two doubles are too far apart to tell
    law = stats.beta(alpha, alpha)
    low, high = law.cdf(1e-6), law.cdf(1 - 1e-6)
    assert stats.kstest(drawn[inside], lambda x: (law.cdf(x) - low) / (high - low)).pvalue > 1e-3
    assert inside.mean() == pytest.approx(high - low, abs=0.02)
    assert drawn.var() == pytest.approx(law.var(), rel=0.05)


@pytest.mark.parametrize("alpha", [1e-6, 1e-3])
def test_shares_of_next_to_no_strength_are_all_or_nothing(alpha):
    drawn = symmetric_beta(alpha, 1000, generator())

    assert ((drawn < 0.01) | (drawn > 0.99)).float().mean() > 0.98


@given(st.integers(1, 40), st.floats(0.01, 1), st.integers(0, 999), st.sampled_from(MIXERS))
@settings(max_examples=40, deadline=None)
def test_shares_of_classes_add_up_to_1_and_only_those_of_two_rows(rows, strength, seed, mixer):
    labels = torch.arange(rows) % 5

    target = mixer(ramp(rows), labels, generator(seed), strength, classes=7, dtype=torch.float64).target

    torch.testing.assert_close(target.sum(1), torch.ones(rows, dtype=torch.float64))
    assert (target >= 0).all()
    assert ((target > 0).sum(1) <= 2).all()
    assert target.shape == (rows, 7)


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("mixer", MIXERS)
def test_inputs_and_targets_are_mixed_in_the_same_shares(mixer, strength):
    rows = ramp()
    numbers = torch.arange(64, dtype=torch.float64)

    mixed = mixer(rows, numbers, generator(), strength)

    torch.testing.assert_close(mixed.inputs.mean((1, 2, 3)), mixed.target)  # cutmix: the share is the area pasted
    assert not torch.equal(mixed.target, numbers)


def test_a_cut_is_one_rectangle_of_one_other_picture():
    mixed = cutmix(ramp(200), torch.arange(200.0), generator(), 1.0)

    for row, picture in enumerate(mixed.inputs[:, 0]):
        strange = picture != row
        if not strange.any():
            continue
        rows, columns = strange.any(1), strange.any(0)
        assert torch.equal(strange, rows[:, None] & columns[None, :])
        assert len(picture[strange].unique()) == 1
        for line in (rows, columns):
            assert line.nonzero().diff(dim=0).eq(1).all()


def test_half_of_the_pictures_are_cut_at_the_usual_strength():
    cut = (cutmix(ramp(4000), torch.arange(4000.0), generator()).target != torch.arange(4000.0)).float().mean()

    assert 0.44 < cut < 0.5  # some rectangles hold no pixel


@pytest.mark.parametrize(("strength", "alpha"), [(0.5, 0.2), (1.0, 1.0)])
def test_the_dial_of_mixup_is_that_of_the_paper(strength, alpha):
    count = 20_000
    x = torch.zeros(count, 1, dtype=torch.float64)
    x[::2] = 1

    mixed = mixup(x, x[:, 0], generator(3), strength).target
    share = symmetric_beta(alpha, count, generator(3))
    share = torch.maximum(share, 1 - share)
    other = partners(count, _after(count))

    wanted = share * x[:, 0] + (1 - share) * x[other, 0]
    torch.testing.assert_close(mixed, wanted)


def _after(count):
    """The generator as it is once the shares are drawn."""
    source = generator(3)
    symmetric_beta(1.0, count, source)
    return source


def test_a_row_is_the_larger_part_of_its_mixture():
    own = mixup(ramp(500), torch.eye(500), generator(), 1.0).target.diagonal()

    assert (own >= 0.5).all()


def test_categories_come_from_either_row_in_the_share_of_the_mixture():
    numbers = torch.arange(3000, dtype=torch.float64)[:, None]
    codes = torch.arange(3000)[:, None].expand(3000, 60).clone()

    mixed = mixup({"numbers": numbers, "categories": codes}, numbers[:, 0], generator(), 1.0)

    kept = (mixed.inputs["categories"] == codes).double().mean(1)
    others = torch.where(mixed.inputs["categories"] != codes, mixed.inputs["categories"], -1).amax(1)
    known = others >= 0
    share = (mixed.target - others) / (torch.arange(3000) - others)
    assert mixed.inputs["categories"].dtype == torch.int64
    assert np.corrcoef(share[known], kept[known])[0, 1] > 0.6
    assert float(kept.mean()) == pytest.approx(0.75, abs=0.02)  # b uniform: the mean of the larger part


@pytest.mark.parametrize("mixer", MIXERS)
def test_of_a_linear_loss_each_row_keeps_its_weight(mixer):
    """Σ w' l(x', y') over the mixtures is Σ λ w l(x', y) + (1 - λ) w_j l(x', y_j)."""
    rows, labels = ramp(50), torch.arange(50) % 4
    weight = torch.rand(50, generator=generator(5), dtype=torch.float64)
    weight[::7] = 0
    logits = torch.randn(50, 4, generator=generator(6), dtype=torch.float64)
    shares = mixer(rows, torch.eye(50, dtype=torch.float64), generator(), 1.0).target  # who is how much in which

    mixed = mixer(rows, labels, generator(), 1.0, weight=weight, classes=4, dtype=torch.float64)

    losses = functional.cross_entropy(logits, mixed.target, reduction="none")
    apart = -logits.log_softmax(1) @ functional.one_hot(labels, 4).double().T  # (mixture, row)
    torch.testing.assert_close(mixed.weight, shares @ weight)
    torch.testing.assert_close((mixed.weight * losses).sum(), (shares * weight * apart).sum())


def test_a_row_without_weight_says_nothing():
    share, partner = torch.tensor([0.5, 0.5], dtype=torch.float64), torch.tensor([1, 0])

    target, weight = mixed_targets(torch.tensor([0, 1]), torch.tensor([1.0, 0.0]), share, partner, classes=2)

    assert target.tolist() == [[1, 0], [1, 0]]
    assert weight.tolist() == [0.5, 0.5]


def test_two_rows_without_weight_stay_numbers():
    share, partner = torch.tensor([0.5, 0.5], dtype=torch.float64), torch.tensor([1, 0])

    target, weight = mixed_targets(torch.tensor([0, 1]), torch.zeros(2), share, partner, classes=2)

    assert target.isfinite().all()
    assert weight.tolist() == [0, 0]


def test_what_is_missing_stays_out_of_rows_that_are_not_mixed():
    answers = torch.arange(400, dtype=torch.float64)
    answers[::2] = torch.nan

    target = cutmix(ramp(400), answers, generator(), 0.2).target

    assert target.isnan().float().mean() < 0.65  # half are missing, and a few get a missing partner
    assert (target[1::2] == answers[1::2]).float().mean() > 0.7


def test_several_labels_are_mixed_one_by_one():
    labels = torch.tensor([[0, 1, 1], [1, 1, 0]])

    target = mixup(torch.zeros(2, 1), labels, generator(3), 1.0).target

    assert target.shape == (2, 3)
    assert target[:, 1].tolist() == [1, 1]
    assert 0 < target[0, 0] < 1


def test_bytes_are_rounded():
    pictures = torch.randint(0, 256, (30, 3, 5, 5), generator=generator()).to(torch.uint8)

    bytes_, floats = (mixup(one, torch.zeros(30), generator(1), 1.0).inputs for one in (pictures, pictures.double()))

    assert bytes_.dtype == torch.uint8
    assert (bytes_.double() - floats).abs().max() <= 0.5 + 1e-4


def test_a_label_a_token_is_refused():
    with pytest.raises(RecipeError, match="one class a row was expected"):
        mixup(torch.zeros(3, 4), torch.zeros(3, 4, dtype=torch.int64), generator(), classes=2)
