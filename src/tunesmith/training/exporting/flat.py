"""A model as tracers want it: inputs one after the other, one tensor out, loops over text in a form that keeps its length open."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from tunesmith.blocks.models.lstm import BidirectionalLSTM
from tunesmith.training.batch import outputs_of
from tunesmith.training.exporting.subject import Subject


class Flat(nn.Module):
    """`flat(numbers, categories)` for `model({"numbers": numbers, "categories": categories})`.

    `room` more tokens of padding change nothing, and make the shortest text as long as the longest n-gram.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...], room: int) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.room = room

    def forward(self, *inputs: Tensor) -> Tensor:
        named = dict(zip(self.names, inputs, strict=True))
        if self.room:
            named["tokens"] = nn.functional.pad(named["tokens"], (0, self.room))
        return outputs_of(self.model(named if len(named) > 1 else next(iter(named.values()))))


class Looped(nn.Module):
    """The layer with its recurrence as a loop that TorchScript keeps."""

    def __init__(self, layer: BidirectionalLSTM) -> None:
        super().__init__()
        self.onward = layer.onward
        self.backward = layer.backward
        self.width = layer.width

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        given = torch.stack([self.onward.inputs(x), self.backward.inputs(x.flip(1))])
        moves = torch.stack([mask, mask.flip(1)]).unsqueeze(-1).to(x.dtype)
        weight = torch.stack([self.onward.recurrent.weight, self.backward.recurrent.weight]).transpose(1, 2)
        state = torch.zeros([2, x.size(0), self.width], dtype=x.dtype, device=x.device)
        cell = state
        states: list[Tensor] = []
        for place in range(x.size(1)):
            state, cell = step(
                given[:, :, place] + torch.bmm(state, weight), state, cell, moves[:, :, place], self.width
            )
            states.append(state)
        both = torch.stack(states, 2)
        return torch.cat([both[0], both[1].flip(1)], -1)


def step(gates: Tensor, state: Tensor, cell: Tensor, move: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The equations of `blocks/models/lstm.py` for one place."""
    enter = gates[..., :width].sigmoid()
    forget = gates[..., width : 2 * width].sigmoid()
    leave = gates[..., 2 * width : 3 * width].sigmoid()
    new_cell = forget * cell + enter * gates[..., 3 * width :].tanh()
    new_state = leave * new_cell.tanh()
    return torch.lerp(state, new_state, move), torch.lerp(cell, new_cell, move)


class Scanned(nn.Module):
    """The layer with its recurrence as a scan, which a graph keeps as one operation."""

    def __init__(self, layer: BidirectionalLSTM) -> None:
        super().__init__()
        self.onward = layer.onward
        self.backward = layer.backward
        self.width = layer.width

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        from torch._higher_order_ops.scan import scan  # torch has no public name for it yet

        given = torch.stack([self.onward.inputs(x), self.backward.inputs(x.flip(1))]).permute(2, 0, 1, 3)
        moves = torch.stack([mask, mask.flip(1)]).permute(2, 0, 1).unsqueeze(-1).to(x.dtype)
        weight = torch.stack([self.onward.recurrent.weight, self.backward.recurrent.weight]).transpose(1, 2)

        def move_on(
            carried: tuple[Tensor, Tensor], here: tuple[Tensor, Tensor]
        ) -> tuple[tuple[Tensor, Tensor], Tensor]:
            state, cell = step(here[0] + torch.bmm(carried[0], weight), *carried, here[1], self.width)
            return (state, cell), state.clone()

        start = (x.new_zeros(2, x.shape[0], self.width), x.new_zeros(2, x.shape[0], self.width))
        _, states = scan(move_on, start, (given, moves), dim=0)
        return torch.cat([states[:, 0].transpose(0, 1), states[:, 1].transpose(0, 1).flip(1)], -1)


def flat(subject: Subject, recurrence: Callable[[BidirectionalLSTM], nn.Module]) -> Flat:
    """The subject's model for a tracer, with each loop over text as `recurrence` writes it."""
    model = copy.deepcopy(subject.model)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, BidirectionalLSTM):
                setattr(module, name, recurrence(child))
    longest = getattr(model, "longest", 1) if subject.built_in else 1
    return Flat(model, subject.inputs, longest - 1).eval()


def program_of(subject: Subject) -> ExportedProgram:
    """The model as one graph, for any number of rows and, of text, any number of tokens."""
    rows, tokens = Dim("batch", min=1), Dim("length", min=1)
    open_ = tuple(
        {0: rows, 1: tokens} if name == "tokens" and subject.built_in else {0: rows} for name in subject.inputs
    )
    with torch.no_grad():
        return torch.export.export(flat(subject, Scanned), tuple(subject.samples[0].values()), dynamic_shapes=(open_,))
