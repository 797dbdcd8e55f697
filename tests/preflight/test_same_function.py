import pytest
import torch
from torch import nn
from torch.nn import functional

from tunesmith.doctor.preflight.same_function import DifferentFunction, same_function
from tunesmith.records import ModelError

SHAPES = [(3, 4), (1, 7), (5, 1)]


def rows(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes or SHAPES]


class Attention(nn.Module):
    """One head, by the formula softmax(Q K' / sqrt d) V, or by torch's fused kernel; `slip` is a mistake in it."""

    def __init__(self, fused, slip=""):
        super().__init__()
        self.qkv, self.fused, self.slip = nn.Linear(8, 24), fused, slip

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.fused:
            masked = self.slip == "mask"
            return functional.scaled_dot_product_attention(q, k, v, is_causal=masked)
        weights = (q @ k.transpose(-1, -2) / 8**0.5).softmax(-1)
        return (weights.detach() if self.slip == "detached" else weights) @ v


def test_a_fused_kernel_gives_the_formula():
    found = same_function(Attention(True), Attention(False), rows((2, 5, 8), (1, 1, 8), (3, 9, 8)))

    assert (found.calls, found.outputs, found.gradients) == (
        3,
        3,
        9,
    )  # by the input, the weight and the bias of each call
    assert found.double
    assert found.apart < 1


def test_what_differs_is_named_with_its_place():
    with pytest.raises(
        DifferentFunction, match=r"output of call 1 on inputs of shape \(2, 5, 8\) differs in .* first at \[0, 0, 0\]"
    ):
        same_function(Attention(True, "mask"), Attention(False), rows((2, 5, 8)))


def test_a_difference_in_one_number_is_placed():
    def off(x):
        return x + torch.eye(3, 4)[:3, :4] * (torch.arange(3)[:, None] == 2) * 1e-3

    with pytest.raises(DifferentFunction, match=r"1 of 12 numbers: first at \[2, 2\]"):
        same_function(off, lambda x: x + 0, rows((3, 4)))


def test_equal_outputs_with_other_gradients_are_found():
    with pytest.raises(DifferentFunction, match="the gradient by input 0 in call 1"):
        same_function(Attention(False, "detached"), Attention(False), rows((2, 5, 8)))


def test_a_gradient_that_is_missing():
    with pytest.raises(DifferentFunction, match="has a gradient in the plain version and none in the fast one"):
        same_function(lambda x: x.detach() * 2, lambda x: x * 2, rows())


@pytest.mark.parametrize(
    ("fast", "words"),
    [
        (lambda x: x.sum(-1, keepdim=True), "has shape"),
        (lambda x: (x.sum(-1), 1), "is a tuple of 2 in the fast version"),
        (lambda x: {"out": x}, "with 'out'"),
        (lambda x: x.sum(-1).round().long(), "is torch.int64 in the fast version"),
        (lambda x: x.mul_(2).sum(-1) / 2, "changes its input 0 in place"),
        (lambda x: x.no_such_thing, "the fast version raises"),
    ],
)
def test_other_differences(fast, words):
    with pytest.raises(DifferentFunction, match=words):
        same_function(fast, lambda x: x.sum(-1), rows())


def test_the_second_of_several_shapes_is_named():
    """One row is broadcast: right for the first shape alone."""
    with pytest.raises(DifferentFunction, match=r"call 2 on inputs of shape \(4, 3\)"):
        same_function(lambda x: x - x[:1], lambda x: x - x.mean(0), rows((1, 3), (4, 3)))


def test_rounding_of_single_precision_is_no_difference_where_double_is_not_taken():
    def single(x):
        return (x.float() * 3).sum(-1)

    found = same_function(single, lambda x: 3 * x.sum(-1), rows((40, 50)), rtol=1e-4, atol=1e-4)

    assert not found.double


def test_random_numbers_are_the_same_for_both():
    before = torch.random.get_rng_state()

    same_function(lambda x: functional.dropout(x, 0.5), lambda x: functional.dropout(x, 0.5), rows())

    assert torch.equal(before, torch.random.get_rng_state())


def test_whole_numbers_and_named_arguments():
    words = torch.tensor([[0, 2], [1, 1]])

    found = same_function(
        lambda words, table: table[words],
        lambda words, table: functional.embedding(words, table),
        {"words": words, "table": torch.randn(3, 4)},
    )

    assert found.gradients == 1


def test_the_modules_given_stay_as_they_are():
    fast, plain = Attention(True), Attention(False)
    was = [each.clone() for each in fast.parameters()]

    same_function(fast, plain, rows((2, 5, 8)))

    assert all(torch.equal(one, other) for one, other in zip(was, fast.parameters(), strict=True))
    assert next(fast.parameters()).dtype == torch.float32


def test_nothing_to_compare():
    with pytest.raises(ModelError, match="no inputs"):
        same_function(torch.relu, torch.relu, [])


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
def test_the_tolerance_decides(gap):
    def compare():
        return same_function(lambda x: x + gap, lambda x: x, [torch.zeros(2)], rtol=0.0, atol=1e-7)

    if gap > 1e-7:
        with pytest.raises(DifferentFunction):
            compare()
    else:
        assert compare().apart == pytest.approx(gap / 1e-7)
