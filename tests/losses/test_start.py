"""What theory expects of a loss at the start and without skill: closed forms, a grid search, and the real evaluation."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.blocks.losses import adopt, build
from tunesmith.blocks.losses.distillation import Distillation, packed
from tunesmith.blocks.losses.gaussian_nll import GaussianNll
from tunesmith.blocks.losses.info_nce import InfoNce
from tunesmith.blocks.losses.kl_divergence import KlDivergence
from tunesmith.blocks.losses.multi_task import MultiTask
from tunesmith.blocks.losses.nt_xent import NtXent
from tunesmith.records import ModelError

F64 = torch.float64
LABELS = torch.tensor([0] * 6 + [1] * 3 + [2])
SHARES = [0.6, 0.3, 0.1]
NUMBERS = torch.tensor([-3.0, -1.0, 0.0, 0.5, 0.5, 2.0, 4.0, 11.0], dtype=F64)


def entropy(shares):
    return -sum(share * math.log(share) for share in shares)


def test_classes_begin_at_ln_c_and_at_the_entropy_of_the_prior():
    loss = build("cross_entropy", kind="multiclass")

    assert loss.at_start(LABELS) == pytest.approx(math.log(3), rel=1e-12)
    assert loss.at_start(LABELS, outputs=50257) == pytest.approx(10.8249, abs=1e-4)
    assert loss.at_start(LABELS, outputs=torch.zeros(2, 50257)) == pytest.approx(10.8249, abs=1e-4)
    assert loss.at_start(LABELS, bias="data") == pytest.approx(entropy(SHARES), rel=1e-12)
    assert loss.at_start(LABELS, bias=torch.tensor(SHARES).log()) == pytest.approx(entropy(SHARES), rel=1e-6)
    assert loss.no_skill(LABELS) == pytest.approx(entropy(SHARES), rel=1e-12)


def test_class_weights_weigh_the_prior():
    each = torch.tensor([1.0, 2.0, 6.0])  # makes 6, 6, 6 of 6, 3, 1
    loss = build("cross_entropy", kind="multiclass", class_weights=each)

    told = sum(n * w * -math.log(p) for n, w, p in zip((6, 3, 1), each.tolist(), SHARES, strict=True)) / 18

    assert loss.at_start(LABELS) == pytest.approx(math.log(3), rel=1e-12)
    assert loss.at_start(LABELS, bias="data") == pytest.approx(told, rel=1e-6)
    assert loss.no_skill(LABELS) == pytest.approx(math.log(3), rel=1e-6)


def test_smoothing_ignored_labels_and_sample_weights():
    smoothed = [0.9 * share + 0.1 / 3 for share in SHARES]
    holes = torch.cat([LABELS, torch.tensor([-100] * 5)])
    times = torch.arange(10.0) % 3
    repeated = LABELS.repeat_interleave(times.long())
    loss = build("cross_entropy", kind="multiclass", label_smoothing=0.1)

    assert loss.no_skill(LABELS) == pytest.approx(entropy(smoothed), rel=1e-12)
    assert loss.no_skill(holes) == loss.no_skill(LABELS)
    assert loss.at_start(holes, bias="data") == loss.at_start(LABELS, bias="data")
    for kind in ("data", "zero"):
        assert loss.at_start(LABELS, bias=kind, weight=times) == pytest.approx(
            loss.at_start(repeated, bias=kind, outputs=3), rel=1e-9
        )


def test_a_class_without_rows_does_not_upset_the_entropy():
    loss = build("cross_entropy", kind="multiclass")

    assert loss.at_start(LABELS, outputs=7, bias="data") == pytest.approx(entropy(SHARES), rel=1e-9)
    assert loss.no_skill(torch.zeros(5, dtype=torch.int64), outputs=3) == pytest.approx(0.0, abs=1e-9)


def test_tokens_and_probabilities():
    tokens = torch.tensor([[0, 1, -100], [2, 2, 0]])
    wanted = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], dtype=F64)
    language = build("cross_entropy", kind="language")

    assert language.at_start(tokens, outputs=4, bias="data") == pytest.approx(entropy([0.4, 0.2, 0.4]), rel=1e-9)
    soft = build("cross_entropy", kind="multiclass")
    assert soft.at_start(wanted) == pytest.approx(math.log(3), rel=1e-12)
    assert soft.no_skill(wanted) == pytest.approx(entropy([0.25, 0.5, 0.25]), rel=1e-12)
    assert KlDivergence().no_skill(wanted) == pytest.approx(entropy([0.25, 0.5, 0.25]) - math.log(2), rel=1e-9)
    assert KlDivergence().at_start(wanted) == pytest.approx(math.log(3) - math.log(2), rel=1e-12)


def test_several_labels_and_a_favoured_yes():
    target = torch.tensor([[1, 0], [0, 0], [0, 1], [0, 1]])
    plain = build("binary_cross_entropy", kind="multilabel")
    favoured = build("binary_cross_entropy", kind="multilabel", pos_weight=torch.tensor([3.0, 1.0]))

    assert plain.at_start(target) == pytest.approx(math.log(2), rel=1e-12)
    assert plain.no_skill(target) == pytest.approx((entropy([0.25, 0.75]) + math.log(2)) / 2, rel=1e-12)
    assert favoured.no_skill(target) == pytest.approx((1.5 * math.log(2) + math.log(2)) / 2, rel=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_begins_at_a_share_of_ln_c(gamma):
    many, two = (build("focal", kind=kind, gamma=gamma) for kind in ("multiclass", "binary"))
    weighted = build("focal", kind="binary", gamma=gamma, alpha=0.25)
    target = torch.tensor([1] + [0] * 9)

    p = 0.1
    usual = p * (1 - p) ** gamma * -math.log(p) + (1 - p) * p**gamma * -math.log(1 - p)

    assert many.at_start(LABELS) == pytest.approx((2 / 3) ** gamma * math.log(3), rel=1e-12)
    assert two.at_start(target) == pytest.approx(0.5**gamma * math.log(2), rel=1e-12)
    assert weighted.at_start(target) == pytest.approx(0.5**gamma * math.log(2) * (0.025 + 0.675), rel=1e-6)
    assert two.at_start(target, bias="data") == pytest.approx(usual, rel=1e-12)


def grid(value, low=-12.0, high=12.0):
    """The least value on a grid of constants, and that its neighbourhood is searched finely."""
    for _ in range(6):
        points = np.linspace(low, high, 401)
        found = [value(torch.tensor(point, dtype=F64)) for point in points]
        place = int(np.argmin(found))
        low, high = points[max(place - 1, 0)], points[min(place + 1, 400)]
    return min(found)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mse", {}),
        ("mae", {}),
        ("huber", {"delta": 0.7}),
        ("smooth_l1", {"beta": 0.3}),
        ("log_cosh", {}),
        ("quantile", {"quantile": 0.8}),
        ("quantile", {"quantile": 0.1}),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_constant_number_is_that_of_a_search(name, settings, weighted):
    loss = build(name, kind="regression", **settings)
    weight = torch.linspace(0.1, 2, len(NUMBERS), dtype=F64) if weighted else None

    searched = grid(lambda row: loss.at_start(NUMBERS, bias=row, weight=weight))

    assert loss.no_skill(NUMBERS, weight=weight) == pytest.approx(searched, rel=1e-8)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.5])
def test_the_best_constant_margin_is_that_of_a_search(power, share):
    loss = build("hinge", kind="binary", power=power, margin=1.5)
    focal = build("focal", kind="binary", gamma=2.0)
    target = (torch.arange(10) < round(10 * share)).long()

    assert loss.no_skill(target, outputs=1) == pytest.approx(
        grid(lambda row: loss.at_start(target, outputs=1, bias=row)), rel=1e-6
    )
    assert focal.no_skill(target) == pytest.approx(grid(lambda row: focal.at_start(target, bias=row)), rel=1e-8)


@pytest.mark.parametrize("counts", [(5, 3, 2), (6, 3, 1), (90, 9, 1), (1, 1, 1), (4, 4, 1), (100, 30, 29, 1)])
def test_the_best_constants_of_a_margin_loss_are_those_of_all_whole_margins(counts):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    loss = build("hinge", kind="multiclass", margin=0.5)

    levels = torch.cartesian_prod(*[torch.arange(4)] * len(counts)).double() * 0.5  # a linear programme's corners
    least = min(loss.at_start(labels, bias=row) for row in levels)

    assert loss.no_skill(labels) == pytest.approx(least, rel=1e-9)


def test_numbers_begin_at_mean_square_and_end_at_their_variance():
    both = torch.stack([NUMBERS, 2 * NUMBERS + 1], dim=1)
    loss = build("mse", kind="multi_regression")

    assert loss.at_start(both) == pytest.approx(float(both.square().mean()), rel=1e-12)
    assert loss.at_start(both, bias="data") == pytest.approx(float(both.var(0, correction=0).mean()), rel=1e-12)
    assert build("mae", kind="regression").no_skill(NUMBERS) == pytest.approx(
        float((NUMBERS - NUMBERS.median()).abs().mean()), rel=1e-12
    )
    assert build("poisson_nll", kind="regression").no_skill([0, 1, 2, 5]) == pytest.approx(2 * (1 - math.log(2)))


def test_gaps_count_nowhere():
    target = torch.stack([NUMBERS, NUMBERS], dim=1)
    holes = target.clone()
    holes[::2, 1] = math.nan
    left = holes[1::2, 1]

    for name, best in (("masked_mse", left.mean()), ("masked_mae", left.median())):
        loss, plain = (build(one, kind="multi_regression") for one in (name, name.removeprefix("masked_")))
        first = plain.no_skill(NUMBERS)
        second = plain.at_start(left, bias=best)
        assert loss.no_skill(holes) == pytest.approx((8 * first + 4 * second) / 12, rel=1e-12)
    assert build("masked_huber", kind="multi_regression").no_skill(target) == pytest.approx(
        build("huber", kind="multi_regression").no_skill(target), rel=1e-12
    )
    with pytest.raises(ModelError, match="masked_mse counts none of these targets"):
        build("masked_mse", kind="regression").at_start([math.nan, math.nan])


def test_mean_and_variance():
    loss = GaussianNll()
    variance = float(NUMBERS.var(correction=0))

    assert loss.at_start(NUMBERS) == pytest.approx(float(NUMBERS.square().mean()) / 2, rel=1e-12)
    assert loss.no_skill(NUMBERS) == pytest.approx((1 + math.log(variance)) / 2, rel=1e-8)
    assert loss.at_start(NUMBERS, bias="data") == pytest.approx((1 + math.log(variance)) / 2, rel=1e-12)


def test_pairs_begin_at_the_logarithm_of_the_choices():
    same = torch.ones(9, 2, 3)

    assert InfoNce().at_start(torch.zeros(9)) == pytest.approx(InfoNce()(same, None).value.item(), rel=1e-6)
    assert NtXent().at_start(torch.zeros(9)) == pytest.approx(NtXent()(same, None).value.item(), rel=1e-6)
    assert InfoNce().at_start(torch.zeros(9)) == math.log(9)


def test_a_student_begins_between_the_labels_and_the_teacher():
    labels, teacher = torch.tensor([0, 2, 1]), torch.tensor([[3.0, 0, 0], [0, 0, 3.0], [0, 3.0, 0]], dtype=F64)
    loss = Distillation(temperature=2.0, alpha=0.25)

    inner = entropy((teacher[0] / 2).softmax(0).tolist())
    expected = 0.25 * 4 * (math.log(3) - inner) + 0.75 * math.log(3)

    assert loss.at_start((labels, teacher)) == pytest.approx(expected, rel=1e-12)
    assert loss.at_start(packed(labels, teacher)) == pytest.approx(expected, rel=1e-12)
    assert loss.no_skill((labels, teacher)) == pytest.approx(expected, rel=1e-9)  # all classes are as frequent


def test_several_losses_begin_at_their_weighted_sum():
    target = torch.stack([NUMBERS[:8], (NUMBERS > 0).double()], dim=1)
    loss = MultiTask(
        {"number": build("mse", kind="regression"), "answer": nn.BCEWithLogitsLoss()}, weights={"answer": 3}
    )

    value = loss(torch.zeros(8, 2, dtype=F64), target).value.item()

    assert loss.at_start(target) == pytest.approx(value, rel=1e-12)
    assert loss.no_skill(target) == pytest.approx(
        float(NUMBERS.var(correction=0)) + 3 * entropy([5 / 8, 3 / 8]), rel=1e-9
    )


TORCHS = [
    (nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 6.0]), label_smoothing=0.1, ignore_index=1), LABELS, (3,)),
    (nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.0)), (LABELS > 0).double(), ()),
    (nn.MSELoss(), NUMBERS, ()),
    (nn.L1Loss(), NUMBERS, ()),
    (nn.SmoothL1Loss(beta=0.5), NUMBERS, ()),
    (nn.HuberLoss(delta=0.5), NUMBERS, ()),
    (nn.MultiMarginLoss(), LABELS, (3,)),
    (nn.PoissonNLLLoss(full=True), NUMBERS.abs(), ()),
]


@pytest.mark.parametrize(("module", "target", "row"), TORCHS)
def test_losses_of_torch_know_their_start_too(module, target, row):
    outputs = torch.zeros(len(target), *row, dtype=F64 if target.is_floating_point() else torch.float32)
    loss = adopt(module)

    assert loss.at_start(target) == pytest.approx(module(outputs, target).item(), rel=1e-6)
    assert loss.no_skill(target) <= loss.at_start(target)
    assert loss.skill(outputs, target) >= 1 - 1e-6


@pytest.mark.parametrize("module", [nn.MSELoss(reduction="sum"), nn.NLLLoss(), nn.KLDivLoss(reduction="batchmean")])
def test_a_loss_without_a_theory_says_so(module):
    with pytest.raises(ModelError, match="no theory tells what"):
        adopt(module).at_start(NUMBERS)


def test_skill_is_below_one_only_for_what_beats_the_constant():
    loss = build("cross_entropy", kind="multiclass")
    right = torch.eye(3)[LABELS] * 5

    assert loss.skill(right, LABELS) < 0.1
    assert loss.skill(torch.tensor(SHARES).log().expand(10, 3), LABELS) == pytest.approx(1.0, rel=1e-6)
    assert loss.skill(torch.zeros(10, 3), LABELS) > 1
    with pytest.raises(ModelError, match="above 0 was expected"):
        build("mse", kind="regression").skill(torch.zeros(3), torch.ones(3))


def test_wrong_questions_get_a_sentence():
    loss = build("cross_entropy", kind="multiclass")

    with pytest.raises(ModelError, match="holds class 2, classes 0 to 1"):
        loss.at_start(LABELS, outputs=2)
    with pytest.raises(ModelError, match="holds class -1"):
        loss.at_start([-1, 0])
    with pytest.raises(ModelError, match="'zero', 'data' or a tensor"):
        loss.at_start(LABELS, bias="prior")
    with pytest.raises(ModelError, match="the target is empty"):
        loss.at_start([])
    with pytest.raises(ModelError, match="counts none"):
        loss.at_start(torch.tensor([-100, -100]))


def test_skill_of_losses_of_several_outputs():
    generator = torch.Generator().manual_seed(0)
    views = torch.randn(9, 2, 4, generator=generator)
    labels, teacher = torch.tensor([0, 2, 1]), torch.tensor([[3.0, 0, 0], [0, 0, 3.0], [0, 3.0, 0]])
    both = MultiTask({"a": nn.MSELoss(), "b": nn.MSELoss()})
    numbers = torch.stack([NUMBERS, NUMBERS * 2], dim=1)

    assert InfoNce().skill(torch.ones(9, 2, 4), torch.zeros(9)) == pytest.approx(1.0, rel=1e-6)
    assert InfoNce().skill(views[:, :1].expand(9, 2, 4), torch.zeros(9)) < 0.5
    assert Distillation().skill((teacher, teacher), labels) < 0.5
    assert both.skill(numbers.mean(0).expand_as(numbers), numbers) == pytest.approx(1.0, rel=1e-9)
    with pytest.raises(ModelError, match="no target came"):
        InfoNce().skill(views, None)
