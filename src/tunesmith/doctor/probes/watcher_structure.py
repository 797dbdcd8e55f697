"""What a net is made of, as a live training shows it: start weights, units that are alike, linear layers in a row, the optimizer's settings.

`facts()` holds, all of which may be absent:

* `alike`: names of weights whose units began alike, by whether they are still alike now.
* `gains`: by layer of weights, root mean square at the start times the square root of the inputs of a unit (He: 1.41, Glorot: about 1);
  `gains_now`: the same by now.
* `chains`: pairs of linear layers with nothing between them: `first`, `second`, numbers in, between and out.
* `widths`: by plain linear layer, numbers in and out.
* `begins`: the class of the first layer with weights, or norm, tables left out. `weighted`: how many layers have weights.
* `settings`: of the optimizer: `name`, and the largest `lr`, `momentum`, `eps`, `weight_decay`, `betas` of its groups.
* `dropout`: the largest share that is dropped.
"""

import math
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.optim import Optimizer

from tunesmith.doctor.probes.watcher_peep import Peep, door, open_inside

MOST = 512  # layers of a net that are looked at; assumption
ALIKE = 1e-4  # spread between units over their length; assumption: rounding of many updates
FIRST = (nn.Embedding, nn.RNNBase, nn.LayerNorm, nn.GroupNorm, nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase)
HAND_ON = (nn.Dropout, nn.Identity, nn.Flatten)  # layers that leave a linear chain one


class Structure:
    """Looks at a model before its first update, at its first training pass, and when it is asked."""

    def __init__(self, model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
        self._model = weakref.ref(model)
        self._optimizers = [weakref.ref(each) for each in optimizers]
        self._alike = {name for name, each in _weights(model) if _same_units(each)}
        self._gains = _gains(model)
        self._weighted = sum(
            any(each.dim() > 1 for each in one.parameters(recurse=False)) and not isinstance(one, nn.Embedding)
            for one in model.modules()
        )
        self._made: dict[int, tuple[str, nn.Linear]] = {}  # by id of an output tensor: who made it
        self._kept: list[Any] = []  # keeps the tensors of one pass alive, so that no id is given twice
        self._chains: list[dict[str, Any]] = []
        self._begins: str | None = None
        front, inner = door(model), open_inside(model)
        kinds = (nn.Linear, *HAND_ON, *FIRST)
        watched = [] if inner is None else [one for one in inner.named_modules() if isinstance(one[1], kinds)][:MOST]
        self._handles = [each.register_forward_hook(Peep(self, "_look", name)) for name, each in watched]
        if front is not None:
            self._handles.append(front.register_forward_hook(Peep(self, "_through")))

    def close(self) -> None:
        """Takes every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._kept, self._made = [], [], {}

    def facts(self) -> dict[str, Any]:
        """What was seen so far."""
        told: dict[str, Any] = {
            "gains": self._gains,
            "chains": self._chains,
            "settings": self._settings(),
            "weighted": self._weighted,
        }
        if self._begins is not None:
            told["begins"] = self._begins
        model = self._model()
        if model is not None:
            if self._alike:
                told["alike"] = {name: _same_units(each) for name, each in _weights(model) if name in self._alike}
            told["gains_now"] = _gains(model)
            modules = list(model.named_modules())
            told["dropout"] = max([each.p for _, each in modules if isinstance(each, _DropoutNd)], default=0.0)
            told["widths"] = {
                name: [one.in_features, one.out_features] for name, one in modules if type(one) is nn.Linear
            }
        return told

    def _look(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        if not torch.is_grad_enabled() or not args:
            return
        if self._begins is None and not isinstance(module, (nn.Embedding, *HAND_ON)):
            self._begins = type(module).__name__
        if not isinstance(output, Tensor) or isinstance(module, FIRST):
            return
        before = self._made.get(id(args[0]))
        self._kept += [args[0], output]
        if isinstance(module, nn.Linear):
            if before is not None:
                first = before[1]
                self._chains.append(
                    {
                        "first": before[0],
                        "second": name,
                        "sizes": [first.in_features, first.out_features, module.out_features],
                    }
                )
            self._made[id(output)] = (name, module)
        elif before is not None:
            self._made[id(output)] = before

    def _through(self, module: nn.Module, args: Any, output: Any) -> None:
        if torch.is_grad_enabled():
            self.close()

    def _settings(self) -> dict[str, Any]:
        optimizers = [one for reference in self._optimizers if (one := reference()) is not None]
        if not optimizers:
            return {}
        groups = [group for one in optimizers for group in one.param_groups]
        told: dict[str, Any] = {"name": type(optimizers[0]).__name__}
        for name in ("lr", "momentum", "eps", "weight_decay"):
            values = [float(group[name]) for group in groups if isinstance(group.get(name), int | float)]
            if values:
                told[name] = max(values)
        if "betas" in groups[0]:
            told["betas"] = [float(each) for each in groups[0]["betas"]]
        return told


def _weights(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Weights of layers with more than one unit; those of norms and tables are none."""
    return [
        (f"{name}.weight" if name else "weight", each.weight)
        for name, each in model.named_modules()
        if isinstance(getattr(each, "weight", None), Tensor)
        and each.weight.dim() > 1
        and len(each.weight) > 1
        and not isinstance(each, nn.Embedding)
    ][:MOST]


def _gains(model: nn.Module) -> dict[str, float]:
    return {
        name: float(torch.linalg.vector_norm(each.detach(), dtype=torch.promote_types(each.dtype, torch.float32)))
        / math.sqrt(len(each))
        for name, each in _weights(model)
    }


@torch.no_grad()
def _same_units(weight: Tensor) -> bool:
    """Whether all units (first axis) hold the same numbers.

    >>> _same_units(torch.ones(3, 2)), _same_units(torch.tensor([[1.0, 2.0], [1.0, 2.5]]))
    (True, False)
    """
    flat = weight.detach().flatten(1).float()
    return bool((flat - flat[0]).abs().max() <= ALIKE * flat.abs().max())
