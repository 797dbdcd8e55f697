"""A user's losses: torch's own over uneven micro-batches, others as they can be taken."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from tunesmith.blocks.losses import Reduced, adopt, build
from tunesmith.blocks.losses.adopt import FUNCTIONS
from tunesmith.records import ModelError

F64 = torch.float64
ROWS, CLASSES = 23, 5
PARTS = (7, 1, 12, 3)
GENERATOR = torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, dtype=F64, generator=GENERATOR)


OUTPUTS = normal(ROWS, CLASSES)
NUMBERS = normal(ROWS, CLASSES)
LABELS = torch.randint(0, CLASSES, (ROWS,), generator=GENERATOR)
HOLES = LABELS.where(torch.arange(ROWS) % 4 != 1, -100)
SMALL = LABELS.where(torch.arange(ROWS) % 4 != 1, 2)
YES = (NUMBERS > 0).to(F64)
EACH = torch.tensor([0.5, 2.0, 1.0, 3.0, 0.1], dtype=F64)
SHARES = NUMBERS.softmax(1)
SETS = torch.where(torch.arange(CLASSES) < 2, torch.stack([LABELS, (LABELS + 1) % CLASSES]).T[:, [0, 1, 0, 1, 0]], -1)

CASES = {
    "ce": (nn.CrossEntropyLoss(), OUTPUTS, LABELS),
    "ce_weight": (nn.CrossEntropyLoss(EACH), OUTPUTS, LABELS),
    "ce_ignore": (nn.CrossEntropyLoss(), OUTPUTS, HOLES),
    "ce_ignore_own": (nn.CrossEntropyLoss(EACH, ignore_index=2), OUTPUTS, SMALL),
    "ce_all": (nn.CrossEntropyLoss(EACH, label_smoothing=0.1), OUTPUTS, HOLES),
    "ce_probabilities": (nn.CrossEntropyLoss(EACH, label_smoothing=0.1), OUTPUTS, SHARES),
    "ce_tokens": (nn.CrossEntropyLoss(EACH), normal(ROWS, CLASSES, 6), HOLES[:, None].repeat(1, 6)),
    "ce_sum": (nn.CrossEntropyLoss(EACH, reduction="sum"), OUTPUTS, HOLES),
    "nll": (nn.NLLLoss(EACH), OUTPUTS.log_softmax(1), HOLES),
    "mse": (nn.MSELoss(), OUTPUTS, NUMBERS),
    "mse_sum": (nn.MSELoss(reduction="sum"), OUTPUTS, NUMBERS),
    "l1": (nn.L1Loss(), OUTPUTS, NUMBERS),
    "smooth_l1": (nn.SmoothL1Loss(beta=0.3), OUTPUTS, NUMBERS),
    "huber": (nn.HuberLoss(delta=0.4), OUTPUTS, NUMBERS),
    "bce": (nn.BCELoss(EACH), OUTPUTS.sigmoid(), YES),
    "bce_logits": (nn.BCEWithLogitsLoss(weight=EACH, pos_weight=EACH.flip(0)), OUTPUTS, YES),
    "kl_batchmean": (nn.KLDivLoss(reduction="batchmean"), OUTPUTS.log_softmax(1), SHARES),
    "kl_log_target": (nn.KLDivLoss(reduction="batchmean", log_target=True), OUTPUTS.log_softmax(1), SHARES.log()),
    "poisson": (nn.PoissonNLLLoss(full=True), OUTPUTS, NUMBERS.exp().round()),
    "soft_margin": (nn.SoftMarginLoss(), OUTPUTS, 2 * YES - 1),
    "hinge": (nn.HingeEmbeddingLoss(0.5), OUTPUTS, 2 * YES - 1),
    "multilabel_soft_margin": (nn.MultiLabelSoftMarginLoss(EACH), OUTPUTS, YES),
    "multilabel_margin": (nn.MultiLabelMarginLoss(), OUTPUTS, SETS),
    "multi_margin": (nn.MultiMarginLoss(weight=EACH, margin=0.7), OUTPUTS, LABELS),
    "function": (functional.cross_entropy, OUTPUTS, HOLES),
    "partial": (partial(functional.cross_entropy, weight=EACH, label_smoothing=0.2), OUTPUTS, HOLES),
}


def value_and_gradient(reduceds, leaf, additive):
    total, weight = sum(part.sum for part in reduceds), sum(part.weight for part in reduceds)
    value = total if additive else total / weight
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:reduction")
def test_micro_batches_of_uneven_size_make_torchs_loss_of_the_big_batch(case):
    torchs, outputs, target = CASES[case]
    leaf = outputs.clone().requires_grad_()
    loss = adopt(torchs)
    official = torchs(leaf, target)

    pieces = [loss(o, t) for o, t in zip(leaf.split(PARTS), target.split(PARTS), strict=True)]
    value, gradient = value_and_gradient(pieces, leaf, loss.additive)

    assert not loss.opaque
    assert value.item() == pytest.approx(official.item(), rel=1e-12)
    expected = torch.autograd.grad(official, leaf)[0]
    assert (gradient - expected).norm() <= 1e-12 * expected.norm()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:reduction")
def test_whole_number_sample_weights_act_like_repeated_rows(case):
    torchs, outputs, target = CASES[case]
    times = torch.arange(ROWS) % 3
    loss = adopt(torchs)

    weighted = loss(outputs, target, times.to(F64))
    repeated = loss(outputs.repeat_interleave(times, 0), target.repeat_interleave(times, 0))

    assert weighted.value.item() == pytest.approx(repeated.value.item(), rel=1e-12)
    assert weighted.sum.item() / repeated.sum.item() == pytest.approx(
        float(weighted.weight) / float(repeated.weight), rel=1e-12
    )


def test_kl_mean_over_elements_is_that_of_torch():
    given = OUTPUTS.log_softmax(1)

    value = adopt(nn.KLDivLoss(reduction="mean"))(given, SHARES).value

    with pytest.warns(UserWarning, match="batchmean"):
        assert value.item() == pytest.approx(functional.kl_div(given, SHARES).item(), rel=1e-13)


def test_every_function_of_torch_is_recognised_and_keywords_it_does_not_know_are_left_alone():
    assert not any(adopt(function).opaque for function in FUNCTIONS)
    assert adopt(lambda outputs, target: functional.mse_loss(outputs, target)).opaque


def test_reduction_none_is_the_mean_of_the_values():
    loss = adopt(nn.MSELoss(reduction="none"))

    assert loss(OUTPUTS, NUMBERS).value.item() == pytest.approx(functional.mse_loss(OUTPUTS, NUMBERS).item(), rel=1e-14)
    assert not loss.additive


def test_a_column_meets_a_vector_where_torch_would_broadcast():
    loss = adopt(nn.MSELoss())

    value = loss(OUTPUTS[:, :1], NUMBERS[:, 0]).value

    assert value.item() == pytest.approx(functional.mse_loss(OUTPUTS[:, 0], NUMBERS[:, 0]).item(), rel=1e-14)
    with pytest.raises(ModelError, match=r"\(23, 5\).*\(23,\)"):
        loss(OUTPUTS, NUMBERS[:, 0])


def test_labels_of_the_wrong_shape_are_refused():
    with pytest.raises(ModelError, match=r"CrossEntropyLoss got outputs of shape \(23, 5\).*\(22,\)"):
        adopt(nn.CrossEntropyLoss())(OUTPUTS, LABELS[1:])
    with pytest.raises(ModelError, match=r"\(23,\)"):
        adopt(nn.CrossEntropyLoss())(OUTPUTS[:, 0], LABELS)


def test_a_subclass_that_computes_something_else_is_opaque_and_one_that_does_not_is_exact():
    class Doubled(nn.MSELoss):
        def forward(self, input, target):
            return 2 * super().forward(input, target)

    class Renamed(nn.MSELoss):
        pass

    doubled = adopt(Doubled())

    assert doubled.opaque
    assert doubled(OUTPUTS, NUMBERS).value.item() == pytest.approx(2 * functional.mse_loss(OUTPUTS, NUMBERS).item())
    assert not adopt(Renamed()).opaque


def test_an_opaque_loss_is_a_mean_over_samples_and_the_original_is_kept():
    def mine(outputs, target):
        return ((outputs - target) ** 2).mean()

    loss = adopt(mine)
    result = loss(OUTPUTS.float(), NUMBERS.float())

    assert loss.opaque
    assert loss.name == "mine"
    assert loss.source is mine
    assert result.weight == ROWS


def test_a_pair_is_taken_as_sum_and_weight():
    def tokens(outputs, target):
        kept = target != -100
        return functional.cross_entropy(outputs, target, reduction="sum"), kept.sum()

    loss = adopt(tokens)
    pieces = [loss(o, t) for o, t in zip(OUTPUTS.split(PARTS), HOLES.split(PARTS), strict=True)]
    value = sum(piece.sum for piece in pieces) / sum(piece.weight for piece in pieces)

    assert not loss.opaque
    assert value.item() == pytest.approx(functional.cross_entropy(OUTPUTS, HOLES).item(), rel=1e-14)


def test_sample_weights_reach_a_loss_that_takes_them_and_stop_one_that_does_not():
    def narrow(outputs, target):
        return outputs.mean()

    def weighted(outputs, target, sample_weight=None):
        each = torch.ones(len(target)) if sample_weight is None else sample_weight
        return (each * (outputs - target).abs()).sum() / each.sum()

    each = torch.arange(4.0)
    result = adopt(weighted)(torch.zeros(4), torch.arange(4.0), each)

    assert result == Reduced(torch.tensor(14.0), torch.tensor(6.0))
    with pytest.raises(ModelError, match="carry sample weights, but the loss 'narrow' takes none"):
        adopt(narrow)(torch.zeros(4), torch.zeros(4), each)


def test_outputs_and_targets_may_be_nested():
    def joint(outputs, target):
        return (outputs["a"] - target[0]).mean()

    assert adopt(joint)({"a": torch.ones(3)}, (torch.zeros(3), None)).weight == 3.0


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda o: o.sum(1), r"a tensor of shape \(23,\), one number was expected; return its mean"),
        (lambda o: o.sum().item(), "returned a float, a tensor was expected"),
        (lambda o: o.sum().detach(), "without a gradient"),
        (lambda o: {"loss": o.sum()}, "returned a dict"),
        (lambda o: (o.sum(), o.sum(1)), r"\(23,\) as the weight"),
        (lambda o: (o.sum(), "23"), "a str as the weight"),
    ],
)
def test_what_cannot_be_learned_from_is_named(returned, words):
    outputs = OUTPUTS.clone().requires_grad_()

    with pytest.raises(ModelError, match=words):
        adopt(lambda o, t: returned(o))(outputs, NUMBERS)


def test_without_gradients_a_loss_may_be_evaluated():
    with torch.no_grad():
        result = adopt(lambda o, t: (o - t).mean())(OUTPUTS, OUTPUTS)

    assert result.value.item() == 0.0


def test_what_is_no_loss_is_named():
    with pytest.raises(ModelError, match="a callable loss"):
        adopt("mse")
    with pytest.raises(ModelError, match=r"an instance such as nn\.MSELoss"):
        adopt(nn.MSELoss)


def test_an_element_weight_that_belongs_to_one_fixed_batch_is_refused_for_another():
    loss = adopt(nn.BCEWithLogitsLoss(weight=torch.ones(ROWS, 1, dtype=F64)))

    assert math.isfinite(loss(OUTPUTS, YES).value)
    with pytest.raises(ModelError, match="give the weights of samples as sample weights"):
        loss(OUTPUTS[:7], YES[:7])


def test_our_own_losses_pass_through():
    loss = build("mse", kind="regression")

    assert adopt(loss) is loss
