"""Averages of the weights that are evaluated in their place: exponential, equal (SWA), and those an optimizer keeps itself.

Polyak & Juditsky (1992); the ramp of the exponential one is that of TensorFlow's ExponentialMovingAverage; equal
averages of the end of a run: Izmailov et al., arXiv:1803.05407, algorithm 1.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunesmith.blocks.optim.switching import evaluated
from tunesmith.records import ModelError, RecipeError

Weights = dict[str, Tensor]
Lists = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]


@runtime_checkable
class Average(Protocol):
    """Weights that are evaluated in place of those that are trained. Its state has them under "weights"."""

    def update(self, model: nn.Module) -> None:
        """Takes in the weights as they are after an update."""

    def in_place_of(self, model: nn.Module) -> AbstractContextManager[None]:
        """The model holds the average inside the block, and its own weights again, bit for bit, after it."""

    def take_buffers(self, model: nn.Module) -> None:
        """Keeps the buffers of a model that holds the average: batch-norm statistics estimated for it."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


class WeightAverage:
    """a ← d a + (1 - d) w after each update, d = min(decay, (1 + t) / (10 + t)) with t updates averaged before.

    Parameters are averaged, buffers (batch-norm statistics, counters) are those of the latest weights.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = model.weight.data.fill_(0.0)
    >>> average = WeightAverage(model, decay=0.5)
    >>> _ = model.weight.data.fill_(1.0)
    >>> average.update(model)  # d = min(0.5, 1 / 10)
    >>> round(average.weights["weight"].item(), 6)
    0.9
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights: Weights = {name: value.detach().clone() for name, value in _tensors(model).items()}
        self._lists: Lists | None = None

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the weights as they are after an update."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        if self._lists is None:
            self._lists = _paired(self.weights, model)
        averaged, live, kept, buffers = self._lists
        torch._foreach_lerp_(averaged, live, 1 - decay)
        if kept:
            torch._foreach_copy_(kept, buffers)

    def in_place_of(self, model: nn.Module) -> AbstractContextManager[None]:
        """The model holds the average inside the block, and its own weights again, bit for bit, after it."""
        return _replaced(model, self.weights)

    def take_buffers(self, model: nn.Module) -> None:
        """Keeps the buffers of a model that holds the average, until the next update."""
        _keep_buffers(model, self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The average and how many updates it has seen."""
        return {"weights": dict(self.weights), "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Puts an average back."""
        self.updates = int(state_dict["updates"])
        _copy_into(self.weights, state_dict["weights"])


class EqualAverage:
    """a ← a + (w - a) / n for the n-th weights taken: stochastic weight averaging, in the last part of a run.

    Weights are taken after update `start` and each `every` updates (those that `every` divides); before the first, the
    trained weights stand for the average. Buffers are those of the latest weights: estimate the batch-norm statistics
    anew (`reestimate_norms`).
    Source: arXiv:1803.05407, algorithm 1.
    Use: with a rate that stays fairly high over the last quarter of a run; not with a schedule that decays to 0, after
    which the averaged weights are nearly one.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> average = EqualAverage(model, start=2, every=1)
    >>> for value in (9.0, 1.0, 2.0, 6.0):
    ...     _ = model.weight.data.fill_(value)
    ...     average.update(model)
    >>> average.weights["weight"].item(), average.taken
    (3.0, 3)
    """

    def __init__(self, model: nn.Module, start: int, every: int = 1) -> None:
        if start < 0 or every < 1:
            raise RecipeError(f"an equal average got start {start} and every {every}; give start >= 0 and every >= 1")
        self.start, self.every = start, every
        self.updates = self.taken = 0
        self.model = model
        self.weights: Weights = {name: value.detach().clone() for name, value in _tensors(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the weights as they are after an update, where it is time."""
        self.updates += 1
        if self.updates < self.start or self.updates % self.every:
            return
        self.taken += 1
        averaged, live, kept, buffers = _paired(self.weights, model)
        torch._foreach_lerp_(averaged, live, 1 / self.taken)
        if kept:
            torch._foreach_copy_(kept, buffers)

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """The model holds the average inside the block, once there is one, and its own weights after it."""
        with _replaced(model, self.weights if self.taken else {}):
            yield

    def take_buffers(self, model: nn.Module) -> None:
        """Keeps the buffers of a model that holds the average, until the next weights are taken."""
        if self.taken:
            _keep_buffers(model, self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The average, or the trained weights before there is one, and the counts."""
        held = self.weights if self.taken else {name: value.detach() for name, value in _tensors(self.model).items()}
        return {"weights": dict(held), "updates": self.updates, "taken": self.taken}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Puts an average back."""
        self.updates, self.taken = int(state_dict["updates"]), int(state_dict["taken"])
        _copy_into(self.weights, state_dict["weights"])


class OwnAverage:
    """The weights that an optimizer with `train()` and `eval()` wants evaluated (schedule-free, lookahead).

    Nobody else has to call the two: from here on the optimizer is in training mode, and the model holds the evaluated
    weights inside `in_place_of` and in the state alone. A checkpoint holds both.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self.buffers: Weights = {}  # estimated for the evaluated weights
        with torch.no_grad():
            optimizer.train()  # type: ignore[attr-defined]

    def update(self, model: nn.Module) -> None:
        """Nothing: the optimizer has averaged."""

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """The model holds the evaluated weights inside the block, and its own, bit for bit, after it."""
        if model is not self.model:
            raise ModelError("the optimizer's own average belongs to the model that it trains; evaluate that one")
        held = _tensors(model)
        own = {name: held[name].detach().clone() for name in self.buffers}
        with evaluated(self.optimizer):
            _copy_into(held, self.buffers)
            try:
                yield
            finally:
                _copy_into(held, own)

    def take_buffers(self, model: nn.Module) -> None:
        """Keeps the buffers of a model that holds the evaluated weights, until the next estimate."""
        self.buffers = {
            name: value.detach().clone() for name, value in model.named_buffers() if name in _tensors(model)
        }

    def state_dict(self) -> dict[str, Any]:
        """The evaluated weights, and which of their buffers were estimated for them."""
        with self.in_place_of(self.model):
            weights = {name: value.detach().clone() for name, value in _tensors(self.model).items()}
        return {"weights": weights, "estimated": sorted(self.buffers)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the estimated buffers back; the weights are in the optimizer's own state."""
        self.buffers = {name: state_dict["weights"][name].detach().clone() for name in state_dict["estimated"]}
        live = _tensors(self.model)
        self.buffers = {name: value.to(live[name].device) for name, value in self.buffers.items()}


def estimated_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The layers whose running statistics follow the batches: batch norms in training mode that track them."""
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training and module.running_mean is not None
    ]


@torch.no_grad()
def reestimate_norms(model: nn.Module, batches: Iterable[Any], rows: Callable[[Any], int] | None = None) -> int:
    """The running statistics of every batch norm as the mean over all `batches`, at the weights the model holds now.

    Each batch is given to the model as it is, and weighs by its rows: `rows(batch)`, or the length of its first tensor.
    Batch norms compute on the batch, everything else is in evaluation mode (dropout is off); modes and momenta are put
    back as they were. Norms in evaluation mode stay as they are. Returns the number of layers. With batches of one size it
    is torch's `swa_utils.update_bn` without dropout. Raises `RecipeError` where there is no batch; the statistics are then
    as they were.
    Source: arXiv:1803.05407, algorithm 1, last line.
    """
    layers = estimated_norms(model)
    if not layers:
        return 0
    modes = [(module, module.training) for module in model.modules()]
    momenta = [(layer, layer.momentum) for layer in layers]
    seen = 0
    try:
        model.eval()
        for batch in batches:
            if not seen:
                for layer in layers:
                    layer.reset_running_stats()
                    layer.training = True
            count = _rows(batch) if rows is None else rows(batch)
            seen += count
            for layer in layers:
                layer.momentum = count / seen
            model(batch)
    finally:
        for module, mode in modes:
            module.training = mode
        for layer, momentum in momenta:
            layer.momentum = momentum
    if not seen:
        raise RecipeError("reestimate_norms got no batch; give the batches of the training rows")
    return len(layers)


def _rows(batch: Any) -> int:
    while not isinstance(batch, Tensor):
        batch = next(iter(batch.values() if isinstance(batch, dict) else batch))
    return len(batch)


def _tensors(model: nn.Module) -> Weights:
    return {name: value for name, value in model.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}


def _paired(weights: Weights, model: nn.Module) -> Lists:
    """Averaged parameters beside the live ones, then everything else beside its live value."""
    live = _tensors(model)
    trained = {name for name, parameter in model.named_parameters() if parameter.is_floating_point()}
    smooth = [name for name in weights if name in trained]
    rest = [name for name in weights if name not in trained]
    return (
        [weights[name] for name in smooth],
        [live[name].detach() for name in smooth],
        [weights[name] for name in rest],
        [live[name].detach() for name in rest],
    )


@contextmanager
def _replaced(model: nn.Module, weights: Weights) -> Iterator[None]:
    own = {name: value.detach().clone() for name, value in _tensors(model).items()}
    try:
        _copy_into(_tensors(model), weights)
        yield
    finally:
        _copy_into(_tensors(model), own)


def _keep_buffers(model: nn.Module, weights: Weights) -> None:
    buffers = {name: value for name, value in model.named_buffers() if name in weights}
    _copy_into({name: weights[name] for name in buffers}, buffers)


@torch.no_grad()
def _copy_into(weights: Weights, values: Weights) -> None:
    for name, value in values.items():
        weights[name].copy_(value)
