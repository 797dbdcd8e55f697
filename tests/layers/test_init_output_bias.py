"""The last bias from the data: the first loss is that of the best constant."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tunesmith.blocks.layers import output_bias_from, set_output_bias
from tunesmith.records import DataError, ModelError, UnknownName

X = torch.randn(40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
RNG = np.random.default_rng(0)


def entropy(probabilities):
    return -sum(p * math.log(p) for p in probabilities if p)


def net(outputs, *last):
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, outputs), *last).double()


@pytest.mark.parametrize("form", [list, np.asarray, torch.tensor, lambda y: torch.tensor(y, dtype=torch.bfloat16)])
def test_log_odds_of_labels_in_any_form(form):
    labels = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]

    assert output_bias_from(form(labels), "binary").tolist() == pytest.approx([math.log(2 / 9)])


def test_log_priors_are_exact_where_all_classes_are_seen():
    bias = output_bias_from([0, 1, 1, 2, 2, 2, 2, 2], "multiclass")

    assert bias.tolist() == pytest.approx([math.log(1 / 8), math.log(2 / 8), math.log(5 / 8)])
    assert bias.exp().sum().item() == pytest.approx(1)


def test_classes_never_seen_count_half_a_row():
    bias = output_bias_from([0, 0, 2], "multiclass", classes=4)

    assert bias.exp().tolist() == pytest.approx([2 / 4, 0.5 / 4, 1 / 4, 0.5 / 4])


def test_rows_of_one_class_only_give_a_finite_bias():
    assert output_bias_from(np.ones(50), "binary").tolist() == pytest.approx([math.log(100)])
    assert output_bias_from(np.zeros(50, int), "binary").tolist() == pytest.approx([-math.log(100)])
    assert output_bias_from(np.zeros(9, int), "multiclass").tolist() == [0.0]


def test_each_label_has_its_own_odds():
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]])

    assert output_bias_from(labels, "multilabel").tolist() == pytest.approx(
        [math.log(3), math.log(1 / 3), math.log(0.5 / 4)]
    )


def test_a_regression_starts_at_the_mean_of_each_column():
    targets = RNG.normal(50.0, 3.0, (30, 2))

    assert output_bias_from(targets, "multi_regression").tolist() == pytest.approx(targets.mean(0).tolist())
    assert output_bias_from(targets[:, 0], "regression").tolist() == pytest.approx([targets[:, 0].mean()])


def test_probabilities_tokens_and_ignored_labels():
    soft = np.array([[0.9, 0.1], [0.5, 0.5]])

    assert output_bias_from(soft, "multiclass").exp().tolist() == pytest.approx([0.7, 0.3])
    tokens = torch.tensor([[0, 1, -100], [1, 1, -100]])
    assert output_bias_from(tokens, "language", classes=2).exp().tolist() == pytest.approx([1 / 4, 3 / 4])
    assert output_bias_from([0.25, 0.75], "binary").tolist() == pytest.approx([0.0])


def test_rows_may_count_more_or_less():
    bias = output_bias_from([0, 1, 1], "multiclass", weight=[4.0, 1.0, 1.0])

    assert bias.exp().tolist() == pytest.approx([4 / 6, 2 / 6])
    assert output_bias_from([1.0, 5.0], "regression", weight=[3, 1]).tolist() == [2.0]


@pytest.mark.parametrize(
    ("targets", "kind"),
    [
        ([0, 1, 1], "binary"),
        ([True, False], "binary"),
        ([0, 1, 2], "multiclass"),
        ([[0, 1], [1, 1]], "multilabel"),
        ([0.5, 1.5], "regression"),
        ([[0.5, 2.0], [1.5, 3.0]], "multi_regression"),
    ],
)
def test_the_kind_may_be_guessed(targets, kind):
    assert torch.equal(output_bias_from(targets), output_bias_from(targets, kind))


@pytest.mark.parametrize(
    ("targets", "given", "match"),
    [
        ([], {}, "there are no targets"),
        ([0, 3], {"kind": "multiclass", "classes": 3}, "a target is class 3, but there are 3 classes"),
        ([0.5, 1.5], {"kind": "multiclass"}, "these are neither"),
        ([0, 2], {"kind": "binary"}, r"binary labels lie in 0\.\.1, but they hold 0 to 2"),
        ([1.0, math.nan], {"kind": "regression"}, "1 targets are not finite"),
        ([-100, -100], {"kind": "language"}, "all targets are ignored"),
        (["cat", "dog"], {}, "have no mean"),
        ([0, 1], {"kind": "binary", "weight": [1.0]}, "weight must hold 2 finite numbers"),
        ([[0, 1], [1, 0]], {"kind": "binary"}, "did you mean kind='multilabel'"),
    ],
)
def test_targets_that_say_nothing_are_told(targets, given, match):
    with pytest.raises(DataError, match=match):
        output_bias_from(targets, **given)


def test_an_unknown_kind_is_told():
    with pytest.raises(UnknownName, match="did you mean 'regression'"):
        output_bias_from([1.0], "regresion")


@pytest.mark.parametrize("batch", [X, None])
def test_the_first_loss_is_the_entropy_of_the_prior(batch):
    labels = torch.arange(40) % 8 // 3  # 3 : 3 : 2
    model = net(3)

    name = set_output_bias(model, labels, kind="multiclass", batch=batch, weights="zero")

    assert name == "2"
    assert F.cross_entropy(model(X), labels).item() == pytest.approx(entropy([3 / 8, 3 / 8, 2 / 8]), rel=1e-12)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_binary_task_has_one_output_or_two(outputs):
    labels = (torch.arange(40) % 10 == 0).long()
    model = net(outputs)

    set_output_bias(model, labels, kind="binary", weights="zero")

    logits = model(X)
    one = F.binary_cross_entropy_with_logits(logits[:, 0], labels.double())
    loss = one if outputs == 1 else F.cross_entropy(logits, labels)
    assert loss.item() == pytest.approx(entropy([0.1, 0.9]), rel=1e-12)


def test_the_first_squared_error_is_the_variance_of_the_target():
    target = torch.from_numpy(RNG.normal(50, 3, 40))
    model = net(1, nn.Flatten(0))

    set_output_bias(model, target, kind="regression", batch=X, weights="zero")

    assert F.mse_loss(model(X), target).item() == pytest.approx(target.var(unbiased=False).item(), rel=1e-9)


def test_weights_are_kept_unless_asked():
    model = net(3)
    before = model[2].weight.clone()

    set_output_bias(model, [0.1, 0.2, 0.3])

    assert torch.equal(before, model[2].weight)
    assert model[2].bias.tolist() == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Softmax(1), nn.LogSoftmax(1), nn.Identity(), nn.Flatten(1)])
@pytest.mark.parametrize("batch", [X, None])
def test_a_link_function_may_stand_behind_the_last_layer(last, batch):
    assert set_output_bias(net(3, last), [1.0, 2.0, 3.0], batch=batch) == "2"


@pytest.mark.parametrize(
    "last", [nn.ReLU(), nn.Tanh(), nn.LayerNorm(3), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3))]
)
@pytest.mark.parametrize("batch", [X, None])
def test_what_hides_the_bias_is_told(last, batch):
    with pytest.raises(ModelError, match="stands between 2 and the output"):
        set_output_bias(net(3, last), [1.0, 2.0, 3.0], batch=batch)


def test_a_convolution_under_a_mean_is_a_last_layer():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = torch.randn(4, 2, 6, 6)
    before = model(x)

    assert set_output_bias(model, model[0].bias.detach() + 5, batch=x) == "0"
    torch.testing.assert_close(model(x), before + 5)
    assert set_output_bias(model, torch.zeros(3)) == "0"


class Several(nn.Module):
    def __init__(self, tied=False, bias=True):
        super().__init__()
        self.table, self.wide, self.deep = nn.Embedding(6, 6), nn.Linear(6, 6), nn.Linear(6, 6, bias=bias)
        if tied:
            self.deep.weight = self.table.weight
        self.tied = tied

    def forward(self, x):
        x = self.table(torch.arange(6)) + x
        return self.deep(x) if self.tied else self.wide(x) + self.deep(x)


def test_several_last_layers_must_be_named():
    model, x, bias = Several(), torch.randn(6, 6), torch.arange(6.0)

    with pytest.raises(ModelError, match="several layers \\(wide, deep\\); name the one"):
        set_output_bias(model, bias, batch=x)
    assert set_output_bias(model, bias, layer="wide") == "wide"
    assert torch.equal(model.wide.bias, bias)
    with pytest.raises(UnknownName, match="no layer called 'wid'; did you mean 'wide'"):
        set_output_bias(model, bias, layer="wid")


def test_a_tied_weight_is_not_set_to_zero():
    model = Several(tied=True)

    with pytest.raises(ModelError, match="also that of table and cannot be set to 0"):
        set_output_bias(model, torch.zeros(6), batch=torch.randn(6, 6), weights="zero")
    assert set_output_bias(model, torch.ones(6), batch=torch.randn(6, 6)) == "deep"


def test_what_cannot_be_set_is_told():
    with pytest.raises(ModelError, match="output layer deep has no bias; make it with bias=True"):
        set_output_bias(Several(tied=True, bias=False), torch.zeros(6), batch=torch.randn(6, 6))
    with pytest.raises(ModelError, match="the bias has 2 numbers, but 2 gives 3 outputs"):
        set_output_bias(net(3), [0.0, 1.0])
    with pytest.raises(ModelError, match="1 values that are not finite"):
        set_output_bias(net(2), [0.0, math.inf])
    with pytest.raises(ModelError, match="no layer with weights was found"):
        set_output_bias(nn.ReLU(), [0.0])
    with pytest.raises(ModelError, match="weights = 'small'; expected 'keep' or 'zero'"):
        set_output_bias(net(1), [0.0], weights="small")
    with pytest.raises(ModelError, match="is frozen"):
        set_output_bias(net(1).requires_grad_(False), [0.0])


def test_the_logits_of_a_result_are_meant():
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.value = nn.Linear(6, 5), nn.Linear(5, 2), nn.Linear(5, 1)

        def forward(self, x):
            hidden = torch.tanh(self.body(x))
            return {"value": self.value(hidden), "logits": self.head(hidden)}

    assert set_output_bias(Wrapped(), [0.0, 1.0], batch=X.float()) == "head"


def test_a_shift_is_added():
    model = net(1)

    set_output_bias(model, [1, 0, 0, 0], kind="multilabel", shift=[math.log(3)])

    assert model[2].bias.item() == pytest.approx(0.0, abs=1e-12)
