"""Faults of the model: its start, its activations, its build."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.records import Program
from tunesmith.testing.sabotage.catalogue import as_written, sabotage
from tunesmith.testing.sabotage.inputs import is_supervised
from tunesmith.testing.sabotage.tools import (
    ACTIVATIONS,
    NORMS,
    Around,
    after,
    at,
    before,
    every,
    has_plain_optimizer,
    hidden,
    inputs_of,
    is_classes,
    is_floats,
    is_stack,
    is_table,
    linears,
    module_of,
    outputs_of,
    put,
    refitted,
    weighted,
)


def is_bare(program: Program) -> bool:
    """No normalisation takes the scale of the weights out again."""
    return not any(isinstance(each, NORMS) for each in program.model.modules())


def is_layered(program: Program) -> bool:
    """At least two plain layers with weights, none of them inside a ready-made transformer layer or tied."""
    model = program.model
    if any(isinstance(each, nn.TransformerEncoderLayer) for each in model.modules()):
        return False
    tied = sum(1 for _ in model.named_parameters(remove_duplicate=False)) != sum(1 for _ in model.named_parameters())
    return len(weighted(model)) >= 2 and not tied


def learns_all(program: Program) -> bool:
    return all(each.requires_grad for each in program.model.parameters())


plain_start = every(is_layered, is_bare, learns_all, is_supervised)


def _tail(model: nn.Sequential) -> list[nn.Module]:
    """What stands behind the last linear layer."""
    last = max(place for place, each in enumerate(model) if type(each) is nn.Linear)
    return list(model)[last + 1 :]


def restacked(program: Program, widths: list[int], activation: type[nn.Module]) -> Program:
    """The same inputs and outputs, with other hidden layers between."""
    model = program.model
    layers: list[nn.Module] = []
    sizes = [inputs_of(program).shape[1], *widths]
    for size, width in zip(sizes, widths, strict=False):
        layers += [nn.Linear(size, width), activation()]
    tail = _tail(model)
    layers += [nn.Linear(sizes[-1], linears(model)[-1].out_features), *tail]
    program.model = nn.Sequential(*layers).to(inputs_of(program).dtype)
    return refitted(program)


# Start


@sabotage("same_weights", "init.symmetric", "init.bad_scale", mechanism="init", fits=plain_start)
def same_weights(program: Program, strength: int) -> Program:
    """All weights of the layers before the last alike: small, middling, zero everywhere."""
    layers = weighted(program.model)
    with torch.no_grad():
        for layer in layers if strength == 3 else layers[:-1]:
            for parameter in layer.parameters():
                parameter.fill_(at(strength, 0.01, 0.1, 0.0))
    return program


@sabotage("same_units", "init.symmetric", mechanism="init", fits=plain_start)
def same_units(program: Program, strength: int) -> Program:
    """Units that start alike: those of the first layer, of all but the last, of all layers."""
    layers = weighted(program.model)
    with torch.no_grad():
        for layer in at(strength, layers[:1], layers[:-1], layers):
            for parameter in layer.parameters():
                parameter.copy_(parameter[:1].expand_as(parameter).clone())
    return program


def _scaled(program: Program, layers: list[nn.Module], factor: float) -> Program:
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(factor)  # type: ignore[operator]
    return program


@sabotage("weights_too_large", "init.bad_scale", "act.saturated", mechanism="init", fits=plain_start)
def weights_too_large(program: Program, strength: int) -> Program:
    """Weights 3, 10, 30 times too large."""
    return _scaled(program, weighted(program.model), at(strength, 3.0, 10.0, 30.0))


@sabotage("weights_too_small", "init.bad_scale", "grad.vanishing", mechanism="init", fits=plain_start)
def weights_too_small(program: Program, strength: int) -> Program:
    """Weights 10, 100, 10,000 times too small."""
    return _scaled(program, weighted(program.model), at(strength, 0.1, 0.01, 1e-4))


@sabotage(
    "confident_from_the_start", "init.bad_scale", mechanism="init", fits=every(is_layered, learns_all, is_supervised)
)
def confident_from_the_start(program: Program, strength: int) -> Program:
    """The last layer's weights far too large: the first loss is far above that of a guess."""
    return _scaled(program, weighted(program.model)[-1:], at(strength, 10.0, 100.0, 1000.0))


@sabotage(
    "units_asleep",
    "act.dead_relu",
    "init.bad_scale",
    mechanism="init",
    fits=every(plain_start, lambda program: any(isinstance(each, nn.ReLU) for each in hidden(program.model))),
)
def units_asleep(program: Program, strength: int) -> Program:
    """Biases so low that units are off for every row."""
    with torch.no_grad():
        for layer in weighted(program.model)[:-1]:
            if layer.bias is not None:
                layer.bias.fill_(at(strength, -1.0, -3.0, -10.0))  # type: ignore[operator]
    return program


# Activations


@sabotage(
    "deep_sigmoids",
    "act.unsuitable",
    "grad.vanishing",
    "init.bad_scale",
    mechanism="activation",
    fits=every(is_stack, is_supervised),
)
def deep_sigmoids(program: Program, strength: int) -> Program:
    """Sigmoids four, eight, sixteen layers deep."""
    width = linears(program.model)[0].out_features
    return restacked(program, [width] * at(strength, 4, 8, 16), nn.Sigmoid)


@sabotage(
    "deep_relus",
    "act.unsuitable",
    "grad.vanishing",
    "init.bad_scale",
    mechanism="activation",
    fits=every(is_stack, is_supervised),
)
def deep_relus(program: Program, strength: int) -> Program:
    """Plain layers ten, twenty, thirty deep, with nothing that leads around them."""
    width = linears(program.model)[0].out_features
    return restacked(program, [width] * at(strength, 10, 20, 30), nn.ReLU)


@sabotage(
    "pinned_tanhs",
    "act.saturated",
    "init.bad_scale",
    "act.unsuitable",
    mechanism="activation",
    fits=every(is_stack, is_supervised),
)
def pinned_tanhs(program: Program, strength: int) -> Program:
    """Four layers of tanh with weights that pin them at their ends."""
    width = linears(program.model)[0].out_features
    restacked(program, [width] * 4, nn.Tanh)
    return _scaled(program, weighted(program.model)[:-1], at(strength, 5.0, 20.0, 100.0))


@sabotage(
    "hard_steps",
    "act.unsuitable",
    "grad.vanishing",
    mechanism="activation",
    fits=every(lambda program: any(hidden(program.model)), is_supervised, learns_all),
)
def hard_steps(program: Program, strength: int) -> Program:
    """Hidden units without a slope to learn by: nearly everywhere, then everywhere."""

    def step(h: Tensor) -> Tensor:
        soft = torch.sigmoid(at(strength, 30.0, 300.0, 1.0) * h)
        return soft if strength < 3 else (h > 0).to(h.dtype) + 0 * h

    for each in list(hidden(program.model)):
        put(program.model, each, module_of(step, "Gate"))
    return program


@sabotage(
    "nothing_between_layers", "model.missing_nonlinearity", mechanism="model", fits=every(is_stack, is_supervised)
)
def nothing_between_layers(program: Program, strength: int) -> Program:
    """Linear layers with nothing between them: behind the first, behind all but the last, everywhere."""
    found = [each for each in program.model if isinstance(each, ACTIVATIONS)]
    gone = at(strength, found[:1], found[:-1] or found, found)
    program.model = nn.Sequential(*(each for each in program.model if not any(each is other for other in gone)))
    return program


@sabotage("narrow_neck", "model.too_small", mechanism="model", fits=every(is_stack, is_supervised))
def narrow_neck(program: Program, strength: int) -> Program:
    """Hidden layers of four, two, one unit."""
    return restacked(program, [at(strength, 4, 2, 1)] * 2, nn.ReLU)


@sabotage(
    "short_model",
    "model.too_small",
    "model.missing_nonlinearity",
    "fit.underfit",
    mechanism="model",
    fits=every(is_stack, is_supervised),
    visible=False,
)
def short_model(program: Program, strength: int) -> Program:
    """No hidden layer at all, on the features, on half, on one in ten of them."""
    kept = torch.randperm(inputs_of(program).shape[1])[
        : max(1, round(at(strength, 1.0, 0.5, 0.1) * inputs_of(program).shape[1]))
    ]
    mask = torch.zeros(inputs_of(program).shape[1], dtype=inputs_of(program).dtype)
    mask[kept] = 1.0
    restacked(program, [], nn.ReLU)
    return before(program, linears(program.model)[0], module_of(lambda x: x * mask))


# Rows that see each other


def _last_hidden(program: Program) -> nn.Module:
    return linears(program.model)[-1]


def has_hidden_linear(program: Program) -> bool:
    """A last linear layer on one vector a row."""
    found = linears(program.model)
    return bool(found) and is_supervised(program) and outputs_of(program).dim() <= 2 and found[-1].in_features > 1


@sabotage("softmax_over_rows", "model.batch_leak", mechanism="model", fits=has_hidden_linear, invariant=True)
def softmax_over_rows(program: Program, strength: int) -> Program:
    """Features weighed by a softmax along the batch: a little, half, wholly."""
    share = at(strength, 0.1, 0.5, 1.0)

    def weigh(h: Tensor) -> Tensor:
        return (1 - share) * h + share * h * torch.softmax(h, dim=0) * len(h)

    return before(program, _last_hidden(program), module_of(weigh))


@sabotage(
    "spread_of_the_batch",
    "model.batch_leak",
    "model.bad_normalization",
    mechanism="model",
    fits=has_hidden_linear,
    invariant=True,
)
def spread_of_the_batch(program: Program, strength: int) -> Program:
    """Features centred and scaled by those of the batch at hand, in judging too."""

    def own(h: Tensor) -> Tensor:
        centred = h - h.mean(0)
        return at(
            strength, centred, centred / (h.std(0, correction=0) + 1e-3), (h - h.amax(0)) / (h.std(correction=0) + 1e-3)
        )

    return before(program, _last_hidden(program), module_of(own))


@sabotage(
    "turned_by_view",
    "model.batch_leak",
    mechanism="model",
    fits=every(is_floats, lambda program: inputs_of(program).dim() in (2, 3), is_supervised),
    invariant=True,
)
def turned_by_view(program: Program, strength: int) -> Program:
    """Axes exchanged and brought back by a change of shape, which mixes the rows: on some features, on half, on all."""
    share = at(strength, 0.2, 0.5, 1.0)

    def turn(x: Tensor) -> Tensor:
        mixed = x.transpose(0, 1).reshape(x.shape)
        kept = round((1 - share) * x.shape[1])
        return torch.cat([x[:, :kept], mixed[:, kept:]], 1)

    program.model = Around(program.model, first=turn)
    return program


@sabotage("neighbours_added", "model.batch_leak", mechanism="model", fits=has_hidden_linear, invariant=True)
def neighbours_added(program: Program, strength: int) -> Program:
    """Features of the row before in the batch are added."""
    share = at(strength, 0.1, 0.5, 1.0)
    return before(program, _last_hidden(program), module_of(lambda h: h + share * h.roll(1, 0)))


# Parts that do not learn


def _cut(program: Program, strength: int) -> nn.Module:
    """A layer in the first part, in the middle, the last but one."""
    layers = weighted(program.model)
    return layers[at(strength, 0, (len(layers) - 1) // 2, len(layers) - 2)]


@sabotage(
    "cut_off_by_detach",
    "optim.unregistered_params",
    mechanism="model",
    fits=every(is_layered, learns_all, is_supervised),
    invariant=True,
)
def cut_off_by_detach(program: Program, strength: int) -> Program:
    """The gradient is cut behind one of the layers."""
    return after(program, _cut(program, strength), module_of(lambda h: h.detach()))


@sabotage(
    "computed_without_graph",
    "optim.unregistered_params",
    mechanism="model",
    fits=every(is_layered, learns_all, is_supervised),
    invariant=True,
)
def computed_without_graph(program: Program, strength: int) -> Program:
    """One of the layers is computed without a graph; with it what lies before."""

    @as_written("Block")
    class Held(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                out: Tensor = self.layer(x)
            return out

    layer = _cut(program, strength)
    put(program.model, layer, Held(layer))
    return program


@sabotage(
    "frozen_by_mistake",
    "optim.unregistered_params",
    mechanism="model",
    fits=every(is_layered, learns_all, is_supervised, has_plain_optimizer),
)
def frozen_by_mistake(program: Program, strength: int) -> Program:
    """Layers that were never trained do not ask for a gradient: the first, half, all but the last."""
    layers = weighted(program.model)
    for layer in layers[: at(strength, 1, max(1, len(layers) // 2), len(layers) - 1)]:
        layer.requires_grad_(False)
    return program


@sabotage(
    "layers_in_a_list",
    "optim.unregistered_params",
    mechanism="model",
    fits=every(is_layered, learns_all, is_supervised, has_plain_optimizer),
    invariant=True,
)
def layers_in_a_list(program: Program, strength: int) -> Program:
    """Layers kept in a plain list, which the module does not know of: the first, half, all but the last."""

    @as_written("Stage")
    class Stage(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.layers = [layer]

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x)
            return x

    layers = weighted(program.model)
    for layer in layers[: at(strength, 1, max(1, len(layers) // 2), len(layers) - 1)]:
        put(program.model, layer, Stage(layer))
    return refitted(program)


@sabotage(
    "layer_after_optimizer",
    "optim.unregistered_params",
    mechanism="optimizer",
    fits=every(is_layered, learns_all, is_supervised, has_plain_optimizer),
    invariant=True,
)
def layer_after_optimizer(program: Program, strength: int) -> Program:
    """Layers made anew when the optimizer held the old ones: the last, half, all."""
    layers = weighted(program.model)
    count = at(strength, 1, max(1, len(layers) // 2), len(layers))
    for layer in layers[-count:]:
        for name, parameter in list(layer.named_parameters(recurse=False)):
            setattr(layer, name, nn.Parameter(parameter.detach() + 0.01 * torch.randn_like(parameter)))
    return program


# Normalisation


def has_batch_norm(program: Program) -> bool:
    return any(isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d) for each in program.model.modules())


@sabotage(
    "statistics_never_move",
    "model.bad_normalization",
    "model.train_eval_mode",
    mechanism="normalisation",
    fits=has_batch_norm,
)
def statistics_never_move(program: Program, strength: int) -> Program:
    """Running statistics that hardly, or never, follow the data."""
    for each in program.model.modules():
        if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d):
            each.momentum = at(strength, 1e-3, 1e-4, 0.0)
    return program


@sabotage(
    "statistics_of_few_rows",
    "model.bad_normalization",
    "batch.too_small",
    mechanism="normalisation",
    fits=every(has_batch_norm, is_floats),
)
def statistics_of_few_rows(program: Program, strength: int) -> Program:
    """Running statistics that are those of the last, small batch."""
    from tunesmith.testing.sabotage.tools import rebatched

    for each in program.model.modules():
        if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d):
            each.momentum = 1.0
    return rebatched(program, at(strength, 16, 6, 3))


@sabotage(
    "one_row_a_batch",
    "batch.too_small",
    "model.bad_normalization",
    "run.crash",
    mechanism="normalisation",
    fits=every(has_batch_norm, is_supervised),
)
def one_row_a_batch(program: Program, strength: int) -> Program:
    """Statistics of a batch of four, of two, of one row."""
    from tunesmith.testing.sabotage.tools import rebatched

    return rebatched(program, at(strength, 4, 2, 1))


@sabotage(
    "micro_batches_with_statistics",
    "batch.coupled_loss",
    "model.bad_normalization",
    "batch.too_small",
    mechanism="normalisation",
    fits=every(
        has_batch_norm, lambda program: program.accumulate == 1 and program.step is None and program.loop is None
    ),
)
def micro_batches_with_statistics(program: Program, strength: int) -> Program:
    """A batch gathered from small ones, each with statistics of its own."""
    from tunesmith.testing.sabotage.tools import rebatched

    small = at(strength, 8, 4, 2)
    program.accumulate = max(2, program.batch_size // small)
    return rebatched(program, small)


@sabotage(
    "normalised_across_features",
    "model.bad_normalization",
    mechanism="normalisation",
    fits=every(is_table, is_classes, is_stack),
)
def normalised_across_features(program: Program, strength: int) -> Program:
    """The inputs of a row brought to one spread, which takes out what sets rows apart: one statistic, two, only signs."""

    def level(x: Tensor) -> Tensor:
        if strength == 3:
            return torch.sign(x - x.mean(1, keepdim=True))
        return x / x.norm(dim=1, keepdim=True) if strength == 1 else functional.layer_norm(x, x.shape[1:])

    return before(program, linears(program.model)[0], module_of(level))
