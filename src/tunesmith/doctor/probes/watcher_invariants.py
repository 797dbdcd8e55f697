"""What holds in every sound training loop, checked while one runs: modes, gradients, parameters, the first rate.

Counts alone are kept; a value is read off a device at the first updates and then now and then. Nothing is changed: hooks that give
nothing back, and versions of tensors instead of copies.

`facts()`, all may be absent:

* `closure`: the optimizer is stepped with a closure, which runs backward as often as it likes.
* `updates`, `backwards`, `windows`: optimizer steps; backward passes; gradients gathered from a cleared start; of the updates looked at.
* `made`: updates of the loop, looked at or not.
* `training_passes`, `asleep_passes`, `asleep_from`: passes with gradients, those of them in evaluation mode, the first of these.
* `judging_passes`, `judging_awake`: passes without gradients, or told to be evaluations, and those of them in training mode.
* `moody`: layers that act in one mode only (dropout, batch norm), as far as they or what they feed are trained.
* `kept`, `kept_of`: updates whose gradient began with all of the one before, of those looked at.
* `emptied`, `emptied_of`: updates that found no gradient though backward had left one, of those looked at.
* `parts`: by kind of fault (`outside`, `cut`, `unregistered`, `frozen`, `unused`): names, share of all weights, and the share of these
  that still look as drawn.
* `changed`: whether any weight changed. `rate_given`, `rate_first`: the rate before the loop began, and in the first update.
"""

import math
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer

from tunesmith.doctor.probes.watcher_peep import Peep, door, open_inside

FIRST = 8  # updates looked at one by one; assumption
EVERY = 64  # and then each so manieth; assumption: far below the price of an update
LOOKED_AT = 4096  # numbers of a tensor of which it is told whether they look as drawn; assumption
MANY = 1000  # numbers from which a normal draw is told by its deviation; assumption: fewer fit too many
FEW = 32  # numbers from which the form of a draw can be told; assumption
PLAIN = [(True, True)]  # the passes of a usual update: one, in training mode, with gradients
KOLMOGOROV = 1.36  # quantile of sqrt(n) times the distance, 5 % in the limit; Kolmogorov 1933


class Invariants:
    """Watches `model` and the `optimizers` that train it until `close`. `said` is called by the loop after each update it makes.

    With `told` somebody else calls `passed` at each pass of the model, and no hook is needed for it.
    """

    def __init__(self, model: nn.Module, optimizers: Sequence[Optimizer], *, told: bool = False) -> None:
        self._model = weakref.ref(model)
        self._optimizers = [weakref.ref(each) for each in optimizers]
        self._counts: dict[str, int] = dict.fromkeys(
            ("updates", "backwards", "windows", "training_passes", "asleep_passes", "judging_passes", "judging_awake"),
            0,
        )
        self.paused = False  # a question of ours, which is no pass of the loop
        self._asleep_from: int | None = None
        self._since: list[tuple[bool, bool]] = []  # (training mode, gradients) of the passes since the last update
        self._kept = self._emptied = self._looked = self._compared = 0
        self._closure = False  # the optimizer is stepped with one
        self._clear = False  # a backward pass began from nothing since the last update
        self._fresh = False  # a backward pass left something since the last update
        self._left: Tensor | None = None  # the gradient of the sentinel at the last update looked at
        self._carried: Tensor | None = None  # what of it a backward pass found
        self._versions = {name: each._version for name, each in model.named_parameters() if not each.is_inference()}
        self._ran: set[str] = set()
        self._taught: set[str] = set()
        groups = [group for one in optimizers for group in one.param_groups]
        self._rates = [group["lr"] for group in groups]
        self._planned = any("initial_lr" in group for group in groups)
        self._first_rates: list[Any] = []
        sentinel = _sentinel(optimizers)
        self._sentinel = None if sentinel is None else weakref.ref(sentinel)
        front, inner = door(model), open_inside(model)
        self._handles: list[Any] = []
        if front is not None and not told:
            self._handles.append(front.register_forward_pre_hook(Peep(self, "passed")))
        self._watching_layers = [
            each.register_forward_hook(Peep(self, "_layer", name))
            for name, each in (() if inner is None else inner.named_modules())
            if name and next(each.parameters(recurse=False), None) is not None
        ]
        self._made = 0  # updates that the loop told of
        self._steps = 0  # updates, by the loop or by the optimizer, whichever knows more
        self._near: list[Any] = []  # hooks of an update that is looked at
        self._listen()

    def said(self) -> None:
        """The loop has made an update, and passes until the next are not known yet to be of it."""
        if self._since == PLAIN:
            self._counts["training_passes"] += 1
        else:
            self._count(self._since, judging=False)
        if self._since:
            self._since = []
        self._made += 1

    def _listen(self) -> None:
        """Hooks around backward and update are on for updates that are looked at, and the one before.

        Asked at a pass of the model, never from within an update: torch walks over the hooks of an optimizer as it calls them.
        """
        if self._made >= FIRST and self._counts["updates"] and not (self._made + 1) % EVERY < 3:
            for handle in self._near:
                handle.remove()
            self._near = []
            self._left, self._clear, self._fresh, self._carried = None, False, False, None
            return
        if self._near:
            return
        sentinel = None if self._sentinel is None else self._sentinel()
        if sentinel is not None:
            self._near.append(sentinel.register_hook(Peep(self, "_backward")))  # type: ignore[no-untyped-call]
        for one in (one for reference in self._optimizers if (one := reference()) is not None):
            self._near.append(one.register_step_pre_hook(Peep(self, "_before")))
            self._near.append(one.register_step_post_hook(Peep(self, "_after")))

    def judged(self) -> None:
        """The loop has told a score of a held part: the passes since the last update were for it."""
        self._count(self._since, judging=True)
        self._since = []

    def facts(self) -> dict[str, Any]:
        """What was counted so far."""
        told: dict[str, Any] = dict(self._counts) | {"made": max(self._made, self._counts["updates"])}
        told["closure"] = self._closure
        model = self._model()
        if model is None:
            return told
        told["moody"] = moody(model)
        if self._asleep_from is not None:
            told["asleep_from"] = self._asleep_from
        if self._compared:
            told |= {"kept": self._kept, "kept_of": self._compared}
        if self._looked:
            told |= {"emptied": self._emptied, "emptied_of": self._looked}
        told["changed"] = any(
            each._version != self._versions.get(name, each._version) for name, each in model.named_parameters()
        )
        if self._first_rates and self._planned:
            told |= {"rate_given": float(self._rates[0]), "rate_first": float(self._first_rates[0])}
        told["parts"] = self._parts(model)
        return told

    def close(self) -> None:
        """Takes every hook away."""
        for handle in (*self._handles, *self._near, *self._watching_layers):
            handle.remove()
        self._handles, self._near, self._watching_layers = [], [], []

    # Hooks

    def passed(self, module: nn.Module, *_: Any) -> None:
        """A pass of the model begins."""
        if self.paused:
            return
        if torch.is_grad_enabled():
            self._listen()
        self._since.append((module.training, torch.is_grad_enabled()))
        if len(self._since) > 4096:  # a loop that never tells of an update
            del self._since[:2048]

    def _layer(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        if torch.is_grad_enabled():
            self._ran.add(name)

    def _backward(self, gradient: Tensor) -> None:
        self._counts["backwards"] += 1
        held = self._held()
        if held is None or not self._cheap(held) or not bool(held.count_nonzero()):
            self._counts["windows"] += held is None or self._cheap(held)
            self._clear = True
        elif self._left is not None and not self._clear:
            self._carried = held.detach().clone()
        if self._looks():
            self._fresh = self._fresh or bool(gradient.count_nonzero())

    def _before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not self._first_rates:
            self._first_rates = [group["lr"] for group in optimizer.param_groups]
        if not self._looks() or self._sentinel is None or optimizer is not self._holder():
            return
        if len(args) > 1 or kwargs.get("closure") is not None:  # the gradients come later, several times over
            self._closure = True
            self._note_taught()
            return
        held = self._held()
        if self._fresh:
            self._looked += 1
            self._emptied += held is None or not bool(held.count_nonzero())
        if self._left is not None and not self._clear and self._carried is not None:
            self._kept += bool(torch.equal(self._carried, self._left))
        self._compared += self._left is not None
        self._left = None if held is None or not bool(held.count_nonzero()) else held.detach().clone()
        self._note_taught()

    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if optimizer is not self._holder():
            return
        self._counts["updates"] += 1
        self._steps = max(self._steps, self._made) + 1
        self._clear, self._fresh, self._carried = False, False, None
        if not self._looks():
            self._left = None
        if self._watching_layers and self._steps >= FIRST:
            for handle in self._watching_layers:
                handle.remove()
            self._watching_layers = []

    def _looks(self) -> bool:
        return self._steps < FIRST or self._steps % EVERY < 2  # two in a row: one is held against the other

    def _cheap(self, held: Tensor) -> bool:
        return held.device.type == "cpu" or self._looks()

    def _holder(self) -> Optimizer | None:
        return self._optimizers[0]() if self._optimizers else None

    def _held(self) -> Tensor | None:
        """The gradient of the sentinel."""
        sentinel = None if self._sentinel is None else self._sentinel()
        return None if sentinel is None else sentinel.grad

    def _note_taught(self) -> None:
        model = self._model()
        if model is not None:
            self._taught |= {name for name, each in model.named_parameters() if each.grad is not None}

    def _count(self, passes: Iterable[tuple[bool, bool]], judging: bool) -> None:
        for awake, taught in passes:
            if judging or not taught:
                self._counts["judging_passes"] += 1
                self._counts["judging_awake"] += awake
                continue
            self._counts["training_passes"] += 1
            if not awake:
                self._counts["asleep_passes"] += 1
                if self._asleep_from is None:
                    self._asleep_from = self._counts["training_passes"]

    # Parameters

    def _parts(self, model: nn.Module) -> dict[str, dict[str, Any]]:
        if self._counts["updates"] < 2 and self._counts["backwards"] < FIRST:
            return {}
        optimizers = [one for reference in self._optimizers if (one := reference()) is not None]
        held = {id(each) for one in optimizers for group in one.param_groups for each in group["params"]}
        by_kind: dict[str, dict[str, Tensor]] = {}
        for name, each in model.named_parameters():
            layer = name.rpartition(".")[0]
            still = each._version == self._versions.get(name, each._version)
            if not each.requires_grad:
                kind = "frozen_held" if id(each) in held else "frozen"
            elif name in self._taught:
                kind = "outside" if id(each) not in held and still else ""
            else:
                kind = "cut" if layer in self._ran and self._taught else "unused"
            if kind:
                by_kind.setdefault(kind, {})[name] = each
        loose = dict(unregistered(model))
        if loose:
            by_kind["unregistered"] = loose
        total = sum(each.numel() for each in model.parameters()) + sum(each.numel() for each in loose.values())
        return {kind: _told(parts, total) for kind, parts in by_kind.items()}


def moody(model: nn.Module) -> list[str]:
    """Layers that act in training or in evaluation alone: dropout, and batch norms that are trained and keep statistics.

    >>> moody(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.0)))
    ['1']
    """
    found = []
    for name, each in model.named_modules():
        trained = any(one.requires_grad for one in each.parameters(recurse=False))
        if (
            (isinstance(each, _BatchNorm) and (trained or not each.affine) and each.track_running_stats)
            or (isinstance(each, _DropoutNd) and each.p > 0)
            or (getattr(each, "dropout", None).__class__ is float and each.dropout)
        ):
            found.append(name)
    return found


def unregistered(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters in plain lists, tuples and dictionaries of a module, which `parameters()` does not give."""
    known = {id(each) for each in model.parameters()}
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if attribute.startswith("_"):
                continue
            for place, each in _inside(value):
                if id(each) not in known and each.requires_grad:
                    yield ".".join(filter(None, (name, attribute, place))), each


def _inside(value: Any) -> Iterator[tuple[str, nn.Parameter]]:
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, each in items:
        if isinstance(each, nn.Parameter):
            yield str(key), each
        elif isinstance(each, nn.Module):
            yield from ((f"{key}.{inner}", one) for inner, one in each.named_parameters())


def as_drawn(parameter: Tensor) -> bool | None:
    """Whether the numbers still look like a draw of a usual initialiser; None where too few to tell.

    True for numbers all alike (norms, zero biases), even between symmetric bounds, or normal with mean 0 and the
    deviation of a usual rule. Trained weights are none of these: their tails grow and their mean moves.

    >>> as_drawn(torch.nn.init.uniform_(torch.empty(4096), -0.3, 0.3, generator=torch.Generator().manual_seed(0)))
    True
    >>> as_drawn(torch.randn(4096, generator=torch.Generator().manual_seed(0)) ** 3)
    False
    """
    flat = parameter.detach().flatten()
    flat = flat[: LOOKED_AT * 4 : 4] if len(flat) > 4 * LOOKED_AT else flat[:LOOKED_AT]
    flat = flat.double().cpu()
    if not len(flat) or not bool(torch.isfinite(flat).all()):
        return None
    if bool((flat == flat[0]).all()):
        return float(flat[0]) in (0.0, 1.0) if len(flat) > 1 else None
    if len(flat) < FEW:
        return None
    ordered, count = flat.sort().values, len(flat)
    bound = float(flat.abs().max()) * (1 + 1 / count)
    steps = torch.arange(1, count + 1, dtype=torch.float64) / count
    even = _distance((ordered + bound) / (2 * bound), steps)
    if even * math.sqrt(count) < KOLMOGOROV:
        return True
    fan_in = parameter[0].numel() if parameter.dim() > 1 else 0
    fan_out = parameter.numel() // max(1, parameter.shape[1]) if parameter.dim() > 1 else 0
    usual = [1.0, 0.02] if count >= MANY else []
    if fan_in and count >= MANY:  # He, LeCun, Glorot
        usual += [math.sqrt(2 / fan_in), math.sqrt(1 / fan_in), math.sqrt(2 / (fan_in + fan_out))]
    return any(
        _distance(0.5 * (1 + torch.erf(ordered / (scale * math.sqrt(2)))), steps) * math.sqrt(count) < KOLMOGOROV
        for scale in usual
    )


def _distance(expected: Tensor, steps: Tensor) -> float:
    return float(torch.maximum((steps - expected).abs(), (steps - 1 / len(steps) - expected).abs()).max())


def _told(parts: Mapping[str, Tensor], total: int) -> dict[str, Any]:
    drawn = {name: as_drawn(each) for name, each in parts.items()}
    count = sum(each.numel() for each in parts.values())
    judged = sum(each.numel() for name, each in parts.items() if drawn[name] is not None)
    fresh = sum(each.numel() for name, each in parts.items() if drawn[name])
    return {
        "names": list(parts)[:20],
        "count": len(parts),
        "share": count / max(1, total),
        "drawn": fresh / judged if judged else None,
    }


def _sentinel(optimizers: Sequence[Optimizer]) -> Tensor | None:
    """The smallest of the last parameters of the first optimizer: near the loss, and cheap to read."""
    held = [
        each for one in optimizers[:1] for group in one.param_groups for each in group["params"] if each.requires_grad
    ]
    return min(held[-3:], key=lambda each: each.numel(), default=None)
