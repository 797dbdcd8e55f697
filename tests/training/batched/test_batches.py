import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.training.batched import batches as module
from tunesmith.training.batched.batches import Data, batches, orders, sizes


@given(rows=st.integers(1, 40), size=st.integers(1, 15), trials=st.integers(1, 4), drop_last=st.booleans())
def test_each_trial_sees_every_row_once_in_its_order(rows, size, trials, drop_last):
    held = Data(torch.arange(rows * 2).view(rows, 2), torch.arange(rows))
    order = orders(rows, [torch.Generator().manual_seed(k) for k in range(trials)], shuffle=True)
    wanted = sizes(rows, size, drop_last=drop_last)

    found = list(batches(held, order, wanted))

    assert [x.shape for x, _ in found] == [(trials, n, 2) for n in wanted]
    if found:
        assert torch.equal(torch.cat([y for _, y in found], 1), order[:, : sum(wanted)])
        assert torch.equal(torch.cat([x for x, _ in found], 1), held.x[order[:, : sum(wanted)]])


@pytest.mark.parametrize("limit", [1, 100, 10**6])
def test_what_is_gathered_at_once_changes_nothing(limit, monkeypatch):
    held = Data(torch.randn(23, 3), torch.arange(23))
    order = orders(23, [torch.Generator().manual_seed(k) for k in range(2)], shuffle=True)
    expected = list(batches(held, order, sizes(23, 5, drop_last=False)))

    monkeypatch.setattr(module, "GATHERED_BYTES", limit)
    found = list(batches(held, order, sizes(23, 5, drop_last=False)))

    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
        assert one[0].is_contiguous()


def test_an_order_is_that_of_randperm():
    (found,) = orders(9, [torch.Generator().manual_seed(4)], shuffle=True)

    assert torch.equal(found, torch.randperm(9, generator=torch.Generator().manual_seed(4)))
