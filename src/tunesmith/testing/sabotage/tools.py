"""What sabotages share: what a program is, and how its model, data and optimizer are changed so that they still fit together."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tunesmith.blocks.optim import needs_closure
from tunesmith.records import Program
from tunesmith.testing.sabotage.catalogue import as_written
from tunesmith.testing.training import length, picked, tensors

Value = TypeVar("Value")
ACTIVATIONS = (nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
PARTS = ("train", "val", "test")


def at(strength: int, *values: Value) -> Value:
    """The value of a strength."""
    return values[strength - 1]


# What a program is


def inputs_of(program: Program) -> Any:
    return tensors(program.train)[0]


def target_of(program: Program) -> Tensor:
    return tensors(program.train)[1]


def outputs_of(program: Program, rows: int = 4) -> Tensor:
    """Outputs for a few rows, in evaluation mode; the model is left as it was."""
    was = program.model.training
    program.model.eval()
    try:
        with torch.no_grad():
            given: Tensor = program.model(picked(inputs_of(program), torch.arange(rows)))
            return given
    finally:
        program.model.train(was)


def is_floats(program: Program) -> bool:
    found = inputs_of(program)
    return isinstance(found, Tensor) and found.is_floating_point()


def is_table(program: Program) -> bool:
    """Rows of numbers, other than flattened pictures that are their own target."""
    return is_floats(program) and inputs_of(program).dim() == 2


def is_pictures(program: Program) -> bool:
    return is_floats(program) and inputs_of(program).dim() == 4


def is_series(program: Program) -> bool:
    """Sequences of numbers, (N, T, F)."""
    return is_floats(program) and inputs_of(program).dim() == 3


def is_tokens(program: Program) -> bool:
    found = inputs_of(program)
    return isinstance(found, Tensor) and found.dtype == torch.int64 and found.dim() == 2


def is_classes(program: Program) -> bool:
    """One class a row, and one output for each class."""
    target = target_of(program)
    if target.dtype != torch.int64 or target.dim() != 1 or not program.num_classes:
        return False
    return tuple(outputs_of(program).shape[1:]) == (program.num_classes,)


def is_numbers(program: Program) -> bool:
    """Targets that are numbers, with outputs of their shape."""
    target = target_of(program)
    if not target.is_floating_point() or bool(((target == 0) | (target == 1)).all()):
        return False
    return outputs_of(program).shape[1:] == target.shape[1:]


def is_yes_no(program: Program) -> bool:
    """Targets 0.0 and 1.0."""
    target = target_of(program)
    return target.is_floating_point() and bool(((target == 0) | (target == 1)).all())


def is_language(program: Program) -> bool:
    """Next tokens: targets of the shape of the inputs, none left out."""
    target = target_of(program)
    return is_tokens(program) and target.shape == inputs_of(program).shape and bool((target >= 0).all())


def has_cross_entropy(program: Program) -> bool:
    return isinstance(program.loss_fn, nn.CrossEntropyLoss) and is_classes(program)


def is_plainly_stepped(program: Program) -> bool:
    """No step or loop of its own, no accumulation: a step of one's own takes the place of the plain one."""
    closure = needs_closure(program.optimizer)
    return program.step is None and program.loop is None and program.accumulate == 1 and not closure


def has_plain_optimizer(program: Program) -> bool:
    return not needs_closure(program.optimizer)


def is_stack(program: Program) -> bool:
    """A `Sequential` that begins with a linear layer on rows of numbers, with hidden layers."""
    model = program.model
    return (
        isinstance(model, nn.Sequential)
        and type(model[0]) is nn.Linear
        and is_table(program)
        and len(linears(model)) >= 2
        and has_plain_optimizer(program)
    )


def every(*tests: Callable[[Program], bool]) -> Callable[[Program], bool]:
    return lambda program: all(test(program) for test in tests)


def either(*tests: Callable[[Program], bool]) -> Callable[[Program], bool]:
    return lambda program: any(test(program) for test in tests)


# Model


def linears(model: nn.Module) -> list[nn.Linear]:
    """The plain linear layers, in the order of the module tree."""
    return [
        each
        for each in model.modules()
        if type(each) is nn.Linear and not torch.nn.utils.parametrize.is_parametrized(each)
    ]


def weighted(model: nn.Module) -> list[nn.Module]:
    """Linear and convolution layers."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    return [
        each
        for each in model.modules()
        if isinstance(each, kinds) and not torch.nn.utils.parametrize.is_parametrized(each)
    ]


def last_linear(program: Program) -> nn.Linear | None:
    """The layer that gives the outputs, where the last one has their width."""
    found = linears(program.model)
    if not found:
        return None
    given = outputs_of(program)
    width = given.shape[-1] if given.dim() > 1 else 1
    return found[-1] if found[-1].out_features in (width, 1) else None


def has_last_linear(program: Program) -> bool:
    return last_linear(program) is not None


def put(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Another module in the place of `old`, wherever it stands."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if child is old:
                setattr(parent, name, new)


def after(program: Program, old: nn.Module, *added: nn.Module) -> Program:
    """Modules behind one of the model's."""
    put(program.model, old, nn.Sequential(old, *added))
    return program


def before(program: Program, old: nn.Module, *added: nn.Module) -> Program:
    """Modules in front of one of the model's."""
    put(program.model, old, nn.Sequential(*added, old))
    return program


def module_of(function: Callable[[Tensor], Tensor], name: str = "Transform") -> nn.Module:
    """A module without weights that computes a function."""

    as_written("apply")(function)

    @as_written(name)
    class Made(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    return Made()


@as_written("Net")
class Around(nn.Module):
    """A model inside a forward of one's own."""

    def __init__(
        self,
        net: nn.Module,
        first: Callable[[Tensor], Tensor] | None = None,
        last: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        for each in (first, last):
            if hasattr(each, "__code__"):
                as_written("apply")(each)
        self._first, self._last = first, last

    def forward(self, x: Tensor) -> Tensor:
        x = x if self._first is None else self._first(x)
        out: Tensor = self.net(x)
        return out if self._last is None else self._last(out)


def new_linear(program: Program, old: nn.Linear, new: nn.Linear) -> Program:
    """Another linear layer in the place of one, known to the optimizer."""
    new = new.to(old.weight.dtype)
    put(program.model, old, new)
    return refitted(program)


def refitted(program: Program) -> Program:
    """The optimizer over the parameters that the model has now: those gone are dropped, new ones join the first group."""
    groups = program.optimizer.param_groups
    wanted = [each for each in program.model.parameters() if each.requires_grad]
    ids = {id(each) for each in wanted}
    for group in groups:
        group["params"] = [each for each in group["params"] if id(each) in ids]
    held = {id(each) for group in groups for each in group["params"]}
    groups[0]["params"] = [*groups[0]["params"], *(each for each in wanted if id(each) not in held)]
    return program


def has_first_linear(program: Program) -> bool:
    """A linear layer that takes the rows as they come, so that a column can be added."""
    found = linears(program.model)
    return (
        is_table(program) and bool(found) and found[0].in_features == inputs_of(program).shape[1] and is_stack(program)
    )


def widened(program: Program, columns: int) -> Program:
    """The first layer with room for more columns."""
    first = linears(program.model)[0]
    return new_linear(program, first, nn.Linear(first.in_features + columns, first.out_features))


# Data


def changed(
    program: Program, change: Callable[[Any, Tensor, str], tuple[Any, Tensor]], parts: tuple[str, ...] = PARTS
) -> Program:
    """`change(inputs, target, part)` carried out on parts; a loader stays a loader of the same kind."""
    for part in parts:
        data = getattr(program, part)
        if data is not None:
            inputs, target = tensors(data)
            setattr(program, part, like(data, *change(inputs, target, part)))
    return program


def on_inputs(program: Program, change: Callable[[Tensor], Tensor], parts: tuple[str, ...] = PARTS) -> Program:
    """The inputs of parts changed; where a program's target is its input, the target goes with it."""

    def both(inputs: Any, target: Tensor, part: str) -> tuple[Any, Tensor]:
        new = change(inputs)
        return new, new if target is inputs else target

    return changed(program, both, parts)


def on_target(program: Program, change: Callable[[Tensor], Tensor], parts: tuple[str, ...] = PARTS) -> Program:
    return changed(program, lambda inputs, target, part: (inputs, change(target)), parts)


def like(data: Any, inputs: Any, target: Tensor, *, shuffle: bool | None = None) -> Any:
    """Rows in the form in which the part came."""
    if isinstance(data, tuple):
        return inputs, target
    held = inputs if isinstance(inputs, tuple) else (inputs,)
    shuffled = isinstance(data.sampler, torch.utils.data.RandomSampler) if shuffle is None else shuffle
    return DataLoader(
        TensorDataset(*held, target), batch_size=data.batch_size, shuffle=shuffled, generator=data.generator
    )


def rebatched(program: Program, batch_size: int) -> Program:
    """Another batch size, in the loader too."""
    program.batch_size = batch_size
    data = program.train
    if not isinstance(data, tuple):
        program.train = DataLoader(data.dataset, batch_size=batch_size, shuffle=True, generator=data.generator)
    return program


def rows(count: int, share: float) -> Tensor:
    """A share of the rows at random, at least one."""
    return torch.randperm(count)[: max(1, round(share * count))]


def row_count(program: Program) -> int:
    return length(inputs_of(program))


# Optimizer and schedule


def scaled_rate(program: Program, factor: float) -> Program:
    """Another rate, for the schedule too."""
    for group in program.optimizer.param_groups:
        for name in ("lr", "initial_lr", "max_lr", "min_lr"):
            if name in group:
                group[name] *= factor
    if program.scheduler is not None and hasattr(program.scheduler, "base_lrs"):
        program.scheduler.base_lrs = [rate * factor for rate in program.scheduler.base_lrs]
    return program


def settings(program: Program, **values: Any) -> Program:
    """Other settings in all groups of the optimizer."""
    for group in program.optimizer.param_groups:
        group.update(values)
    program.optimizer.defaults.update(values)
    return program


def at_full_rate(program: Program) -> Program:
    """The optimizer without its schedule, at the rate the schedule begins from."""
    for group in program.optimizer.param_groups:
        group["lr"] = group.pop("max_lr", group.get("initial_lr", group["lr"]))
        for name in ("initial_lr", "min_lr"):
            group.pop(name, None)
    program.scheduler = None
    return program


def updates(program: Program) -> int:
    """Updates of an epoch."""
    batch = program.batch_size * program.accumulate
    return max(1, -(-row_count(program) // batch))


def hidden(model: nn.Module) -> Iterator[nn.Module]:
    """Activation modules."""
    yield from (each for each in model.modules() if isinstance(each, ACTIVATIONS))
