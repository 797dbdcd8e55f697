"""The built-in losses against torch's own means, and over uneven micro-batches."""

import pytest
import torch
from torch.nn import functional

from tunesmith.blocks.losses import BY_KIND, LOSSES, build
from tunesmith.records import ModelError, RecipeError, UnknownName

F64 = torch.float64
LABELS = torch.tensor([0, 3, 1, 1, 2, 3, 0])
LOGITS = torch.randn(7, 4, dtype=F64, generator=torch.Generator().manual_seed(1))
EACH = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=F64)
SAMPLES = torch.tensor([1.0, 0.0, 2.0, 0.5, 4.0, 1.0, 0.25], dtype=F64)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("each", [None, EACH])
def test_cross_entropy_is_that_of_torch(smoothing, each):
    loss = build("cross_entropy", kind="multiclass", class_weights=each, label_smoothing=smoothing)

    value = loss(LOGITS, LABELS).value

    assert value.item() == pytest.approx(
        functional.cross_entropy(LOGITS, LABELS, each, label_smoothing=smoothing).item(), rel=1e-14
    )


def test_sample_weights_act_like_repeated_rows_also_beside_class_weights():
    times = torch.tensor([1, 0, 2, 3, 4, 1, 2])
    loss = build("cross_entropy", kind="multiclass", class_weights=EACH)

    weighted = loss(LOGITS, LABELS, times.to(F64)).value
    repeated = loss(LOGITS.repeat_interleave(times, 0), LABELS.repeat_interleave(times)).value

    assert weighted.item() == pytest.approx(repeated.item(), rel=1e-14)


def test_ignored_labels_count_in_neither_sum_nor_weight():
    labels = LABELS.clone()
    labels[2:4] = -100

    plain, weighted = (
        build("cross_entropy", kind="multiclass", class_weights=each)(LOGITS, labels) for each in (None, EACH)
    )

    assert float(plain.weight) == 5
    assert plain.value.item() == pytest.approx(functional.cross_entropy(LOGITS, labels).item(), rel=1e-14)
    assert weighted.value.item() == pytest.approx(functional.cross_entropy(LOGITS, labels, EACH).item(), rel=1e-14)


def test_without_an_ignored_label_the_number_minus_100_is_an_error_not_a_gap():
    labels = LABELS.clone()
    labels[2] = -100
    loss = build("cross_entropy", kind="multiclass", ignore_index=None)

    assert loss(LOGITS, LABELS).weight == 7.0
    with pytest.raises(IndexError):
        loss(LOGITS, labels)


def test_tokens_in_both_layouts_give_one_value_even_when_length_equals_classes():
    logits = torch.randn(3, 4, 4, dtype=F64, generator=torch.Generator().manual_seed(2))  # (N, L, C)
    labels = torch.tensor([[0, 1, 2, -100], [3, 3, -100, -100], [1, 0, 2, 3]])

    last = build("cross_entropy", kind="language")(logits, labels)
    second = build("cross_entropy", kind="multiclass")(logits.transpose(1, 2), labels)

    assert torch.equal(last.value, second.value)
    assert last.value.item() == pytest.approx(
        functional.cross_entropy(logits.reshape(12, 4), labels.reshape(12)).item(), rel=1e-14
    )


def test_a_weight_per_token_and_one_per_row_agree():
    logits = torch.randn(3, 5, 4, dtype=F64, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([[0, 1, 2, -100, 1], [3, 3, -100, -100, 0], [1, 0, 2, 3, 3]])
    rows = torch.tensor([0.5, 2.0, 1.0], dtype=F64)
    loss = build("cross_entropy", kind="language")

    by_row, by_token = loss(logits, labels, rows), loss(logits, labels, rows[:, None].expand(3, 5))

    assert by_row == by_token
    assert float(by_row.weight) == 0.5 * 4 + 2.0 * 3 + 1.0 * 5


def test_probabilities_as_target():
    target = LOGITS.flip(0).softmax(1)

    value = build("cross_entropy", kind="multiclass", class_weights=EACH)(LOGITS, target).value

    assert value.item() == pytest.approx(functional.cross_entropy(LOGITS, target, EACH).item(), rel=1e-14)


def test_binary_cross_entropy_of_one_logit_equals_cross_entropy_of_two():
    labels = torch.tensor([0, 1, 1, 0, 1, 0, 0])
    two = LOGITS[:, :2]
    one = two[:, 1] - two[:, 0]
    each = torch.tensor([0.5, 3.0], dtype=F64)

    wanted = build("cross_entropy", kind="binary", class_weights=each, label_smoothing=0.2)(two, labels, SAMPLES).value
    plain = functional.cross_entropy(two, labels, each)

    for outputs in (one, one[:, None], two):
        loss = build("binary_cross_entropy", kind="binary", class_weights=each)
        assert loss(outputs, labels).value.item() == pytest.approx(plain.item(), rel=1e-13)
    assert torch.isfinite(wanted)


def test_smoothed_binary_cross_entropy_is_the_smoothed_cross_entropy_of_two():
    labels = torch.tensor([0, 1, 1, 0, 1, 0, 0])
    two = LOGITS[:, :2]

    value = build("binary_cross_entropy", kind="binary", label_smoothing=0.2)(two, labels, SAMPLES).value

    assert value.item() == pytest.approx(
        build("cross_entropy", kind="binary", label_smoothing=0.2)(two, labels, SAMPLES).value.item(), rel=1e-13
    )


def test_multilabel_with_pos_weight_is_that_of_torch_and_label_weights_are_divided_out():
    target = (LOGITS.flip(0) > 0).to(torch.float32)

    favoured = build("binary_cross_entropy", kind="multilabel", pos_weight=EACH)(LOGITS, target).value
    even = build("binary_cross_entropy", kind="multilabel", class_weights=torch.full((4,), 7.0))(LOGITS, target).value

    expected = functional.binary_cross_entropy_with_logits(LOGITS, target.double(), pos_weight=EACH)
    assert favoured.item() == pytest.approx(expected.item(), rel=1e-14)
    assert even.item() == pytest.approx(
        functional.binary_cross_entropy_with_logits(LOGITS, target.double()).item(), rel=1e-13
    )


@pytest.mark.parametrize(
    ("name", "torchs"), [("mse", functional.mse_loss), ("mae", functional.l1_loss), ("huber", functional.huber_loss)]
)
@pytest.mark.parametrize("shapes", [((7,), (7,)), ((7, 1), (7,)), ((7,), (7, 1)), ((7, 3), (7, 3))])
def test_regression_losses_are_those_of_torch_and_columns_meet_vectors(name, torchs, shapes):
    generator = torch.Generator().manual_seed(4)
    outputs, target = (2 * torch.randn(shape, dtype=F64, generator=generator) for shape in shapes)
    loss = build(name, kind="regression")

    value, weighted = loss(outputs, target).value, loss(outputs, target, torch.full((7,), 3.0)).value

    expected = torchs(outputs.reshape(7, -1), target.reshape(7, -1)).item()
    assert value.item() == pytest.approx(expected, rel=1e-14)
    assert weighted.item() == pytest.approx(expected, rel=1e-14)


def test_half_precision_outputs_are_summed_in_single_precision():
    outputs, target = torch.zeros(100_000, dtype=torch.float16), torch.ones(100_000)

    result = build("mse", kind="regression")(outputs, target)

    assert result.sum.dtype == torch.float32
    assert result.value.item() == 1.0


@pytest.mark.parametrize(
    ("name", "kind", "outputs", "target"),
    [
        ("mse", "regression", (7, 2), (7,)),
        ("mse", "regression", (7, 1), (5,)),
        ("binary_cross_entropy", "multilabel", (7, 4), (7, 3)),
        ("cross_entropy", "multiclass", (7, 4), (6,)),
        ("cross_entropy", "multiclass", (7, 5, 4), (7, 5)),
        ("cross_entropy", "binary", (7, 1), (7,)),
        ("cross_entropy", "binary", (7,), (7,)),
    ],
)
def test_other_shapes_are_refused_with_the_shapes_named(name, kind, outputs, target):
    labels = torch.zeros(target, dtype=torch.int64 if name == "cross_entropy" else torch.float32)

    with pytest.raises(ModelError) as refusal:
        build(name, kind=kind)(torch.zeros(outputs), labels)

    assert str(outputs) in str(refusal.value)


def test_weights_of_another_length_are_refused():
    with pytest.raises(ModelError, match=r"weights of shape \(6,\).*\(7,\)"):
        build("mse", kind="regression")(torch.zeros(7), torch.zeros(7), torch.ones(6))


def test_names_and_settings_that_do_not_fit_get_a_sentence():
    with pytest.raises(UnknownName, match="cross_entropy"):
        build("cross_entropi", kind="multiclass")
    with pytest.raises(RecipeError, match=r"does not fit a regression task.*'mse'"):
        build("cross_entropy", kind="regression")
    with pytest.raises(RecipeError, match="'mse' takes no class_weights"):
        build("mse", kind="regression", class_weights=EACH)
    with pytest.raises(RecipeError, match="delta = 0"):
        build("huber", kind="regression", delta=0.0)


def test_auto_goes_by_the_kind():
    assert build("auto", kind="multilabel").name == "binary_cross_entropy"
    assert build("auto", kind="binary").name == "cross_entropy"
    assert build("auto", kind="multi_regression").name == "mse"
    assert set(BY_KIND.values()) <= set(LOSSES)
