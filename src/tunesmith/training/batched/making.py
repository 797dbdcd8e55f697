"""A group from trials, data and settings: the nets as their seeds initialise them, stacked, and everything checked."""

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import DataError, ModelError, RecipeError
from tunesmith.training.batched.batches import held, sizes
from tunesmith.training.batched.group import Group
from tunesmith.training.batched.layers import Stack, build
from tunesmith.training.batched.losses import module_of
from tunesmith.training.batched.rows import Rows, check_alike, constants, counters, trainable
from tunesmith.training.batched.trial import BatchedTrial, check_ids


def train_batched(
    make_model: Callable[[], nn.Module],
    trials: Sequence[BatchedTrial],
    X: Any,
    y: Any,
    *,
    loss: str | nn.Module,
    batch_size: int,
    epochs: int | None = None,
    steps: int | None = None,
    val: tuple[Any, Any] | None = None,
    optimizer: str = "adamw",
    decays: Collection[str] | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    device: str | torch.device = "cpu",
) -> Group:
    """A group that trains as it is iterated over: after each epoch a record for each trial.

    A trial is initialised by `torch.manual_seed(seed)` and `make_model()`; its dropout goes on from there. Its epochs are in
    the order of `torch.randperm(rows, generator=g)` with `g` seeded alike. `loss` is a name ("cross_entropy",
    "binary_cross_entropy" of logits, "mse", "mae", "huber", "smooth_l1") or torch's module; `optimizer` "sgd", "nesterov",
    "adam", "adamw" or "rmsprop"; `decays` names the parameters that decay, all where it is None. Give `epochs` or `steps`.

    Raises `ModelError` for nets that differ or hold a layer that cannot be stacked, `DataError` for data that do not fit
    the net, `RecipeError` for settings out of range.
    """
    check_ids(trials)
    if batch_size < 1:
        raise RecipeError(f"batch_size is {batch_size}; expected at least 1, try 32")
    if (epochs is None) == (steps is None):
        raise RecipeError(f"epochs is {epochs} and steps is {steps}; give one of them")
    place = torch.device(device)
    nets, generators = made(make_model, trials, place)
    like = next(iter(trainable(nets[0]).values())).detach()
    data = held(X, y, like)
    wanted = sizes(len(data.x), batch_size, drop_last=drop_last)
    if not wanted:
        raise DataError(
            f"{len(data.x)} rows make no whole batch of {batch_size}; take a smaller batch_size, or drop_last=False"
        )
    length = int(steps if steps is not None else len(wanted) * (epochs or 0))
    if length < 1:
        raise RecipeError(f"the training has {length} updates; expected at least 1, raise epochs or steps")
    weights = Rows.of([trainable(net) for net in nets], like)
    stack = Stack(weights, Rows.of([constants(net) for net in nets], like), counted(nets), generators)
    with torch.no_grad():
        net = build(nets, "", stack)
    return Group(
        trials=trials,
        make_model=make_model,
        names=tuple(nets[0].state_dict()),
        net=net,
        stack=stack,
        data=data,
        val=None if val is None else held(*val, like),
        loss=copy.deepcopy(module_of(loss)).to(like.device, like.dtype),
        wanted=wanted,
        steps=length,
        optimizer=optimizer,
        decays=decays,
        shuffle=shuffle,
    )


def made(
    make_model: Callable[[], nn.Module], trials: Sequence[BatchedTrial], device: torch.device
) -> tuple[list[nn.Module], list[torch.Generator]]:
    """The net of each trial as its seed initialises it, and the generator that its dropout goes on with.

    The global generator is left as it was. Raises `ModelError` where the nets differ, or one holds nothing to train.
    """
    nets, generators = [], []
    for trial in trials:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(trial.seed)
            nets.append((trial.model or make_model)().to(device))
            generator = torch.Generator(device).manual_seed(trial.seed)
            if device.type == "cpu":
                generator.set_state(torch.get_rng_state())
            generators.append(generator)
    if not trainable(nets[0]):
        raise ModelError("the net has no parameters to train; give it a layer with weights, or set requires_grad")
    check_alike(nets, [trial.id for trial in trials])
    check_single(nets[0])
    return nets, generators


def check_single(net: nn.Module) -> None:
    """Raises `ModelError` where one parameter or buffer has two names, or they are of several types: a stack has rows of one."""
    kinds = {str(value.dtype) for value in (trainable(net) | constants(net)).values()}
    if len(kinds) > 1:
        raise ModelError(
            f"the net holds {' and '.join(sorted(kinds))}; a group takes nets of one type, call .float() or .double() on it"
        )
    names: dict[int, str] = {}
    for name, value in (*net.named_parameters(remove_duplicate=False), *net.named_buffers(remove_duplicate=False)):
        if id(value) in names:
            raise ModelError(
                f"{name} is the same tensor as {names[id(value)]}; shared weights have no stacked form, train these trials one "
                "after the other"
            )
        names[id(value)] = name


def counted(nets: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Buffers of whole numbers, which all nets have alike."""
    found = {name: value.clone() for name, value in counters(nets[0]).items()}
    for net in nets[1:]:
        for name, value in counters(net).items():
            if not torch.equal(value, found[name]):
                raise ModelError(
                    f"the buffer {name} differs between nets of one group; it holds whole numbers, which all share"
                )
    return found
