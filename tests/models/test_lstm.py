import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tunesmith.blocks.models.lstm import BidirectionalLSTM


def reference(layer, inputs, width):
    """torch's own LSTM with the same weights; its gates stand as input, forget, cell, output."""
    theirs = nn.LSTM(inputs, width, bidirectional=True, batch_first=True).double()
    with torch.no_grad():
        for suffix, ours in (("", layer.onward), ("_reverse", layer.backward)):
            for name, value in (
                ("weight_ih", ours.inputs.weight),
                ("weight_hh", ours.recurrent.weight),
                ("bias_ih", ours.inputs.bias),
            ):
                enter, forget, leave, cell = value.chunk(4)
                getattr(theirs, f"{name}_l0{suffix}").copy_(torch.cat([enter, forget, cell, leave]))
            getattr(theirs, f"bias_hh_l0{suffix}").zero_()
    return theirs


def test_it_agrees_with_torch_on_packed_texts():
    torch.manual_seed(0)
    layer = BidirectionalLSTM(3, 4).double()
    x, lengths = torch.randn(5, 6, 3, dtype=torch.float64), torch.tensor([6, 1, 4, 2, 6])
    mask = torch.arange(6) < lengths[:, None]

    found = layer(x, mask)

    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(layer, 3, 4)(packed)[0], batch_first=True)
    assert torch.allclose(found[mask], expected[mask], atol=1e-12)


def test_what_stands_behind_the_mask_has_no_say():
    torch.manual_seed(0)
    layer = BidirectionalLSTM(3, 4).double()
    x, mask = torch.randn(2, 5, 3, dtype=torch.float64), torch.arange(5) < torch.tensor([[3], [5]])

    changed = x.clone()
    changed[0, 3:] = 1e3

    assert torch.equal(layer(x, mask)[mask], layer(changed, mask)[mask])


def test_forget_gates_start_open_and_the_state_turns_without_growing():
    torch.manual_seed(0)
    layer = BidirectionalLSTM(3, 4)

    layer.onward.initialise()

    assert layer.onward.inputs.bias.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8
    for gate in layer.onward.recurrent.weight.chunk(4):
        assert torch.allclose(gate @ gate.T, torch.eye(4), atol=1e-6)
