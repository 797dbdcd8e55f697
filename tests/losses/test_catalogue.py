"""The members beyond the usual ones against torch, NumPy, scikit-learn and the papers' formulas written out."""

import math

import pytest
import torch
from sklearn.metrics import mean_pinball_loss
from torch import nn
from torch.nn import functional

from tunesmith.blocks.losses import adopt, build, couples_samples
from tunesmith.blocks.losses.distillation import Distillation, packed
from tunesmith.blocks.losses.gaussian_nll import GaussianNll
from tunesmith.blocks.losses.info_nce import InfoNce
from tunesmith.blocks.losses.kl_divergence import KlDivergence
from tunesmith.blocks.losses.multi_task import MultiTask
from tunesmith.blocks.losses.nt_xent import NtXent
from tunesmith.blocks.losses.triplet import Triplet
from tunesmith.records import ModelError, RecipeError

F64 = torch.float64
GENERATOR = torch.Generator().manual_seed(3)


def normal(*shape):
    return torch.randn(*shape, dtype=F64, generator=GENERATOR)


LABELS = torch.tensor([0, 3, 1, 1, 2, 3, 0])
LOGITS = 2 * normal(7, 4)
ANSWERS = (normal(7, 4) > 0).to(F64)
EACH = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=F64)


def focal_of_the_paper(chance, gamma, alpha=1.0):
    return -alpha * (1 - chance) ** gamma * chance.log()  # eq. 5


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_is_the_formula_of_the_paper(gamma):
    right = LOGITS.softmax(1).gather(1, LABELS[:, None]).squeeze(1)
    p = LOGITS.sigmoid()
    told = ANSWERS * focal_of_the_paper(p, gamma, 0.25) + (1 - ANSWERS) * focal_of_the_paper(1 - p, gamma, 0.75)

    classes = build("focal", kind="multiclass", gamma=gamma)(LOGITS, LABELS)
    listed = build("focal", kind="multiclass", gamma=gamma, alpha=EACH)(LOGITS, LABELS)
    labels = build("focal", kind="multilabel", gamma=gamma, alpha=0.25)(LOGITS, ANSWERS)

    assert classes.value.item() == pytest.approx(focal_of_the_paper(right, gamma).mean().item(), rel=1e-12)
    assert listed.value.item() == pytest.approx(
        (EACH[LABELS] * focal_of_the_paper(right, gamma)).mean().item(), rel=1e-12
    )
    assert labels.value.item() == pytest.approx(told.mean().item(), rel=1e-12)


def test_focal_with_gamma_0_is_cross_entropy():
    for kind, plain, target in (
        ("multiclass", "cross_entropy", LABELS),
        ("multilabel", "binary_cross_entropy", ANSWERS),
    ):
        for each in (None, EACH):
            focal, usual = (
                build("focal", kind=kind, gamma=0.0, class_weights=each),
                build(plain, kind=kind, class_weights=each),
            )
            assert focal(LOGITS, target).value.item() == pytest.approx(usual(LOGITS, target).value.item(), rel=1e-12)


def test_focal_by_the_count_of_yes_is_the_paper_and_by_all_values_is_torchvisions_operator():
    values = build("focal", kind="multilabel", alpha=0.25)(LOGITS, ANSWERS)
    positives = build("focal", kind="multilabel", alpha=0.25, normalise="positives")(LOGITS, ANSWERS)
    none = build("focal", kind="multilabel", normalise="positives")(LOGITS, torch.zeros(7, 4))

    assert float(values.weight) == 28
    assert float(positives.weight) == ANSWERS.sum()
    assert positives.sum.item() == values.sum.item()
    assert float(none.weight) == 0  # a training divides by 1 then


@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("size", [20.0, 100.0, 1e4])
def test_focal_is_finite_where_a_chance_is_0_or_1(gamma, size):
    logits = torch.tensor([size, -size, size, -size], requires_grad=True)
    two = torch.stack([torch.zeros(4), logits.detach()], 1).requires_grad_()
    target = torch.tensor([1, 0, 0, 1])

    for outputs in (logits, two):
        value = build("focal", kind="binary", gamma=gamma)(outputs, target).value
        (gradient,) = torch.autograd.grad(value, outputs)
        assert value.item() == pytest.approx(size / 2, rel=1e-5)
        assert bool(gradient.isfinite().all())
    classes = build("focal", kind="multiclass", gamma=gamma)(two, target).value
    (gradient,) = torch.autograd.grad(classes, two)
    assert classes.item() == pytest.approx(size / 2, rel=1e-5)
    assert bool(gradient.isfinite().all())


def test_focal_takes_classes_that_are_masked_out():
    for logits in ([[0.0, -math.inf]], [[0.0, -math.inf, 1.0]]):
        leaf = torch.tensor(logits, requires_grad=True)
        value = build("focal", kind="multiclass")(leaf, torch.tensor([0])).value
        (gradient,) = torch.autograd.grad(value, leaf)
        assert math.isfinite(value.item())
        assert bool(gradient.isfinite().all())


def test_a_sure_right_answer_costs_nothing():
    sure = torch.tensor([[1e4, -1e4]])

    for name, kind, outputs, target in (
        ("cross_entropy", "multiclass", sure, torch.tensor([0])),
        ("binary_cross_entropy", "multilabel", sure, torch.tensor([[1.0, 0.0]])),
        ("focal", "multiclass", sure, torch.tensor([0])),
        ("focal", "multilabel", sure, torch.tensor([[1.0, 0.0]])),
        ("hinge", "multiclass", sure, torch.tensor([0])),
    ):
        assert build(name, kind=kind)(outputs, target).value.item() == 0.0


def test_focal_takes_tokens_ignored_labels_and_layouts():
    logits, labels = normal(3, 5, 4), torch.randint(0, 4, (3, 5), generator=GENERATOR)
    labels[0, 2] = -100
    kept = labels != -100

    last = build("focal", kind="language")(logits, labels)
    second = build("focal", kind="multiclass")(logits.transpose(1, 2), labels)
    flat = build("focal", kind="multiclass")(logits[kept], labels[kept])

    assert last.value.item() == pytest.approx(flat.value.item(), rel=1e-12)
    assert second.value.item() == pytest.approx(flat.value.item(), rel=1e-12)
    assert float(last.weight) == 14


def test_settings_of_focal_that_cannot_be_get_a_sentence():
    for settings, words in (
        ({"gamma": -1.0}, "gamma = -1"),
        ({"alpha": 0.25}, "a list of one number a class"),
        ({"normalise": "positives"}, "where answers are yes or no"),
        ({"normalise": "sum"}, "normalise = 'sum'"),
    ):
        with pytest.raises(RecipeError, match=words):
            build("focal", kind="multiclass", **settings)
    with pytest.raises(RecipeError, match="a share between 0 and 1"):
        build("focal", kind="binary", alpha=2.0)
    with pytest.raises(ModelError, match="whole-number labels were expected"):
        build("focal", kind="multiclass")(LOGITS, LOGITS.softmax(1))


@pytest.mark.parametrize("power", [1, 2])
def test_hinge_is_torchs_multi_margin(power):
    loss = build("hinge", kind="multiclass", power=power, margin=0.7)
    weighted = build("hinge", kind="multiclass", power=power, class_weights=EACH)

    told = functional.multi_margin_loss(LOGITS, LABELS, p=power, weight=EACH, reduction="sum") / EACH[LABELS].sum()

    assert loss(LOGITS, LABELS).value.item() == pytest.approx(
        functional.multi_margin_loss(LOGITS, LABELS, p=power, margin=0.7).item(), rel=1e-12
    )
    assert weighted(LOGITS, LABELS).value.item() == pytest.approx(told.item(), rel=1e-12)


def test_hinge_of_a_single_answer():
    loss = build("hinge", kind="binary", margin=1.0)

    values = loss(torch.tensor([0.5, 0.5, 2.0, -3.0]), torch.tensor([1, 0, 1, 1]))

    assert values.sum.item() == 0.5 + 1.5 + 0.0 + 4.0


ERRORS = torch.tensor([-300.0, -2.0, -0.4, -1e-5, 0.0, 1e-3, 0.9, 1.1, 50.0], dtype=F64)


def test_log_cosh_near_and_far():
    loss = build("log_cosh", kind="regression")
    near = [error**2 / 2 - error**4 / 12 for error in ERRORS.tolist()]  # the series; cosh itself rounds to 1 there
    told = [math.log(math.cosh(e)) if abs(e) > 0.01 else small for e, small in zip(ERRORS.tolist(), near, strict=True)]

    values = [loss(error.reshape(1), torch.zeros(1)).value.item() for error in ERRORS]
    outputs = ERRORS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(outputs, torch.zeros(9)).sum, outputs)

    assert values == pytest.approx(told, rel=1e-12)
    assert torch.allclose(gradient, ERRORS.tanh(), rtol=1e-12)


def test_smooth_l1_is_huber_divided_by_its_bend():
    for beta in (0.2, 1.0, 3.0):
        smooth, huber = build("smooth_l1", kind="regression", beta=beta), build("huber", kind="regression", delta=beta)
        zero = torch.zeros(9)
        assert smooth(ERRORS, zero).value.item() == pytest.approx(
            functional.smooth_l1_loss(ERRORS, zero.double(), beta=beta).item(), rel=1e-14
        )
        assert smooth(ERRORS, zero).value.item() == pytest.approx(huber(ERRORS, zero).value.item() / beta, rel=1e-12)


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
def test_quantile_is_scikit_learns_pinball_loss(quantile):
    guess, truth = normal(20), normal(20)

    value = build("quantile", kind="regression", quantile=quantile)(guess, truth).value

    assert value.item() == pytest.approx(mean_pinball_loss(truth, guess, alpha=quantile), rel=1e-12)


@pytest.mark.parametrize("full", [False, True])
def test_counts_and_variances_are_those_of_torch(full):
    rates, counts = normal(20), torch.arange(20.0, dtype=F64) % 5
    mean, spread, truth = normal(20), normal(20), normal(20)

    poisson = build("poisson_nll", kind="regression", full=full)(rates, counts).value
    gaussian = GaussianNll(full=full)((mean, spread), truth).value
    halves = GaussianNll(full=full)(torch.stack([mean, spread], 1), truth).value

    assert poisson.item() == pytest.approx(functional.poisson_nll_loss(rates, counts, full=full).item(), rel=1e-12)
    told = functional.gaussian_nll_loss(mean, truth, spread.exp(), full=full).item()
    assert gaussian.item() == pytest.approx(told, rel=1e-12)
    assert halves.item() == pytest.approx(told, rel=1e-12)


def test_kl_divergence_is_torchs_with_batchmean_and_zero_shares_count_nothing():
    wanted = torch.tensor([[0.5, 0.5, 0.0, 0.0]] * 7, dtype=F64)

    value = KlDivergence()(LOGITS, wanted).value

    assert value.item() == pytest.approx(
        functional.kl_div(LOGITS.log_softmax(1), wanted, reduction="batchmean").item(), rel=1e-12
    )
    assert KlDivergence()(wanted.clamp(min=1e-30).log(), wanted).value.item() == pytest.approx(0.0, abs=1e-12)


def test_a_missing_number_reaches_neither_value_nor_gradient():
    outputs = normal(6, 3)
    outputs[1, 1] = math.nan  # what the net says there does not matter either
    target = normal(6, 3)
    target[1, 1] = target[4, 0] = target[5] = math.nan
    kept = ~target.isnan()

    for name, plain in (("mse", functional.mse_loss), ("mae", functional.l1_loss), ("huber", functional.huber_loss)):
        leaf = outputs.clone().requires_grad_()
        result = build(f"masked_{name}", kind="multi_regression")(leaf, target)
        (gradient,) = torch.autograd.grad(result.value, leaf)

        assert float(result.weight) == int(kept.sum())
        assert result.value.item() == pytest.approx(plain(outputs[kept], target[kept]).item(), rel=1e-12)
        assert torch.equal(gradient != 0, kept)
    nothing = build("masked_mse", kind="regression")(torch.zeros(2), torch.full((2,), math.nan))
    assert (nothing.sum.item(), float(nothing.weight)) == (0.0, 0.0)


def test_info_nce_is_the_formula_row_by_row_and_directions_can_differ():
    left, right = normal(6, 4), normal(6, 4)
    cosine = functional.cosine_similarity(left[:, None], right[None], dim=2) / 0.2

    def told(matrix):
        return -sum(math.log(math.exp(matrix[i, i]) / sum(math.exp(x) for x in matrix[i])) for i in range(6)) / 6

    one, both = (InfoNce(temperature=0.2, symmetric=way)((left, right), None).value.item() for way in (False, True))

    assert one == pytest.approx(told(cosine), rel=1e-12)
    assert both == pytest.approx((told(cosine) + told(cosine.T)) / 2, rel=1e-12)
    assert InfoNce(temperature=0.2)(torch.stack([left, right], 1), None).value.item() == pytest.approx(both)
    assert InfoNce(temperature=0.2)(left, right).value.item() == pytest.approx(both)


def test_nt_xent_is_the_sum_of_the_paper():
    left, right = normal(5, 4), normal(5, 4)
    views = torch.cat([left, right])
    cosine = functional.cosine_similarity(views[:, None], views[None], dim=2) / 0.5

    told = 0.0
    for i in range(10):
        partner = (i + 5) % 10
        told -= math.log(math.exp(cosine[i, partner]) / sum(math.exp(cosine[i, k]) for k in range(10) if k != i)) / 10

    assert NtXent()((left, right), None).value.item() == pytest.approx(told, rel=1e-12)


def test_only_losses_that_compare_samples_are_coupled():
    pair = torch.stack([normal(32, 4), normal(32, 4)], 1)
    triple = normal(32, 3, 4)

    assert InfoNce().couples
    assert NtXent().couples
    assert couples_samples(InfoNce(), pair, None) > 0.1
    assert couples_samples(NtXent(), pair, None) > 0.1
    assert couples_samples(Triplet(), triple, None) < 1e-12


def test_similarities_keep_full_precision_under_autocast():
    left, right = normal(32, 8).float(), normal(32, 8).float()
    plain = InfoNce(temperature=0.05)((left, right), None).value

    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = InfoNce(temperature=0.05)((left, right), None).value

    assert half.item() == plain.item()


@pytest.mark.parametrize(
    ("distance", "torchs"),
    [
        ("euclidean", nn.TripletMarginLoss(margin=0.3)),
        ("squared", nn.TripletMarginWithDistanceLoss(margin=0.3, distance_function=lambda a, b: (a - b).pow(2).sum(1))),
        (
            "cosine",
            nn.TripletMarginWithDistanceLoss(
                margin=0.3, distance_function=lambda a, b: 1 - functional.cosine_similarity(a, b)
            ),
        ),
    ],
)
def test_triplets_are_those_of_torch(distance, torchs):
    each = [normal(9, 4) for _ in range(3)]

    value = Triplet(margin=0.3, distance=distance)(each, None).value

    assert value.item() == pytest.approx(torchs(*each).item(), rel=1e-12)


def test_distillation_is_the_papers_sum_however_the_teacher_comes():
    teacher = 3 * normal(7, 4)
    loss = Distillation(temperature=3.0, alpha=0.7)
    soft = functional.kl_div((LOGITS / 3).log_softmax(1), (teacher / 3).softmax(1), reduction="batchmean")
    told = (0.7 * 9 * soft + 0.3 * functional.cross_entropy(LOGITS, LABELS)).item()

    for outputs, target in (
        ((LOGITS, teacher), LABELS),
        ({"logits": LOGITS, "teacher_logits": teacher}, LABELS),
        (LOGITS, (LABELS, teacher)),
        (LOGITS, packed(LABELS, teacher)),
    ):
        assert loss(outputs, target).value.item() == pytest.approx(told, rel=1e-12)
    leaf = teacher.clone().requires_grad_()
    assert loss((LOGITS.clone().requires_grad_(), leaf), LABELS).value.requires_grad
    loss((LOGITS.clone().requires_grad_(), leaf), LABELS).value.backward()
    assert leaf.grad is None
    with pytest.raises(ModelError, match="None for the teacher"):
        loss(LOGITS, LABELS)


PARTS = {"a": nn.MSELoss(), "b": nn.L1Loss()}
OUTPUTS, TARGET = normal(8, 2), 10 * normal(8, 2)


def parts():
    return functional.mse_loss(OUTPUTS[:, 0], TARGET[:, 0]), functional.l1_loss(OUTPUTS[:, 1], TARGET[:, 1])


def test_several_losses_are_weighed_and_told_apart():
    a, b = parts()
    loss = MultiTask(PARTS, weights={"b": 3.0})

    value = loss(OUTPUTS, TARGET).value

    assert value.item() == pytest.approx((a + 3 * b).item(), rel=1e-12)
    assert loss.parts == pytest.approx({"a": a.item(), "b": b.item()}, rel=1e-12)
    assert loss.weighted == pytest.approx({"a": a.item(), "b": 3 * b.item()}, rel=1e-12)


@pytest.mark.parametrize("form", ["tensor", "tuple", "mapping"])
def test_outputs_and_targets_of_several_losses_come_in_three_forms(form):
    def formed(values):
        if form == "tensor":
            return values
        return tuple(values.unbind(1)) if form == "tuple" else dict(zip("ab", values.unbind(1), strict=True))

    assert MultiTask(PARTS)(formed(OUTPUTS), formed(TARGET)).value.item() == pytest.approx(sum(parts()).item())


def test_the_first_batch_sets_equal_magnitudes_and_the_next_keeps_them():
    loss = MultiTask(PARTS, balance="start", weights={"b": 0.5})
    outputs = OUTPUTS.clone().requires_grad_()

    with torch.no_grad():
        loss(5 * OUTPUTS, TARGET)  # a look before the training sets nothing
    first = loss(outputs, TARGET).value
    second = loss(outputs, 2 * TARGET)
    a, b = (
        functional.mse_loss(OUTPUTS[:, 0], 2 * TARGET[:, 0]),
        functional.l1_loss(OUTPUTS[:, 1], 2 * TARGET[:, 1]),
    )

    assert first.item() == pytest.approx(1.5, rel=1e-6)
    assert second.value.item() == pytest.approx((a / parts()[0] + 0.5 * b / parts()[1]).item(), rel=1e-6)
    twin = MultiTask(PARTS, balance="start")
    twin.load_state_dict(loss.state_dict())
    assert torch.equal(twin.scale, loss.scale)


def test_learnt_weights_settle_where_the_likelihood_is_greatest():
    """For fixed L the minimum of exp(-s) L / 2 + s / 2 lies at s = log L (eq. 7), of exp(-s) L + s / 2 at log 2 L."""
    loss = MultiTask(
        {"number": nn.MSELoss(), "class": nn.CrossEntropyLoss()}, widths={"class": 4}, balance="uncertainty"
    )
    outputs = torch.cat([normal(7, 1), LOGITS], 1)
    target = torch.stack([normal(7), LABELS.double()], 1)
    search = torch.optim.LBFGS(loss.parameters(), max_iter=200, tolerance_grad=1e-9)

    def closure():
        search.zero_grad()
        value = loss(outputs, target).value
        value.backward()
        return value

    search.step(closure)

    number, classes = loss.parts["number"], loss.parts["class"]
    assert loss.log_variance.tolist() == pytest.approx([math.log(number), math.log(2 * classes)], abs=1e-4)


def test_several_losses_that_cannot_be_get_a_sentence():
    for make, words in (
        (lambda: MultiTask({}), "no losses"),
        (lambda: MultiTask(PARTS, balance="auto"), "balance = 'auto'"),
        (lambda: MultiTask(PARTS, weights={"c": 1.0}), "weights name 'c'"),
        (lambda: MultiTask(PARTS, weights={"a": -1.0}), "0 or more were expected"),
    ):
        with pytest.raises(RecipeError, match=words):
            make()
    with pytest.raises(ModelError, match="a sum over samples"):
        MultiTask({"a": nn.MSELoss(reduction="sum")})
    with pytest.raises(ModelError, match="have no 'b'"):
        MultiTask(PARTS)({"a": OUTPUTS[:, 0], "d": OUTPUTS[:, 1]}, TARGET)
    with pytest.raises(ModelError, match=r"2 columns were expected"):
        MultiTask(PARTS)(normal(8, 3), TARGET)


def test_a_loss_among_several_may_compare_samples_or_leave_gaps():
    gaps = MultiTask({"a": build("masked_mse", kind="regression"), "b": nn.MSELoss()})
    target = TARGET.clone()
    target[:, 0] = math.nan

    assert gaps.takes_missing
    assert MultiTask({"a": InfoNce(), "b": nn.MSELoss()}).couples
    assert gaps(OUTPUTS, target).value.item() == pytest.approx(functional.mse_loss(OUTPUTS[:, 1], TARGET[:, 1]).item())


def test_a_users_loss_that_gives_a_pair_sees_all_of_the_outputs_each_time():
    loss = adopt(lambda outputs, target: (outputs["a"].sum(), 2.0))

    loss({"a": torch.ones(3)}, torch.zeros(3))

    assert not loss.opaque
    assert loss.whole
