import numpy as np
import pytest
import torch

from tunesmith.blocks.layers.attention import SelfAttention
from tunesmith.blocks.layers.rotary import as_halves, as_neighbours, rotary_angles, rotated
from tunesmith.blocks.layers.segments import places_within, segment_mask


def softmax(x):
    share = np.exp(x - x.max(-1, keepdims=True))
    return share / share.sum(-1, keepdims=True)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (4, 1)])
def test_attention_is_its_formula_head_by_head(heads, kv_heads, causal):
    torch.manual_seed(0)
    part = SelfAttention(8, heads, kv_heads, causal=causal, bias=True).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    held = {name: value.detach().numpy() for name, value in part.named_parameters()}

    found = part(x).detach().numpy()

    query, key, value = (
        x.numpy() @ held[f"{name}.weight"].T + held[f"{name}.bias"] for name in ("query", "key", "value")
    )
    seen = np.zeros((2, 5, 8))
    for head in range(heads):
        mine, shared = slice(2 * head, 2 * head + 2), head // (heads // kv_heads)
        theirs = slice(2 * shared, 2 * shared + 2)
        score = query[..., mine] @ key[..., theirs].transpose(0, 2, 1) / np.sqrt(2)
        if causal:
            score = np.where(np.tri(5, dtype=bool), score, -np.inf)
        seen[..., mine] = softmax(score) @ value[..., theirs]
    np.testing.assert_allclose(found, seen @ held["join.weight"].T + held["join.bias"], atol=1e-12)


def test_rotary_positions_turn_complex_numbers():
    x = torch.randn(1, 1, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    place = torch.arange(6)

    found = rotated(x, rotary_angles(place, 8, 100.0, torch.float64))

    turned = torch.complex(x[0, 0, :, :4], x[0, 0, :, 4:]).numpy() * np.exp(
        1j * place.numpy()[:, None] * 100.0 ** (-np.arange(4) / 4)
    )
    np.testing.assert_allclose(found[0, 0, :, :4], turned.real, atol=1e-12)
    np.testing.assert_allclose(found[0, 0, :, 4:], turned.imag, atol=1e-12)


def test_products_of_queries_and_keys_depend_on_their_distance_alone():
    query, key = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def product(one, other):
        angles = [rotary_angles(torch.tensor([place]), 8, 10_000.0, torch.float64) for place in (one, other)]
        return (rotated(query, angles[0]) * rotated(key, angles[1])).sum().item()

    assert product(7, 3) == pytest.approx(product(104, 100), abs=1e-12)
    assert product(7, 3) != pytest.approx(product(8, 3), abs=1e-3)


def test_weights_turn_to_halves_and_back():
    weight = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))

    assert torch.equal(as_neighbours(as_halves(weight, 3), 3), weight)
    assert not torch.equal(as_halves(weight, 3), weight)


def test_a_place_sees_its_own_segment_and_counts_within_it():
    segments = torch.tensor([[0, 0, 1, 1, 1, 2], [3, 3, 3, 4, 4, 4]])

    seen = segment_mask(segments, causal=True)[:, 0]

    for row, numbers in enumerate(segments.tolist()):
        for place, number in enumerate(numbers):
            own = [other for other in range(place + 1) if numbers[other] == number]
            assert seen[row, place].nonzero().flatten().tolist() == own
            assert places_within(segments)[row, place] == len(own) - 1
    assert torch.equal(segment_mask(segments, causal=False), segment_mask(segments, causal=False).transpose(-1, -2))
