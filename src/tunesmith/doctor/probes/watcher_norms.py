"""Batch norms of a live training: whether what they keep describes what they are given, and of how many numbers it is made.

`facts()` holds, under `norms`, by layer: `momentum` (None is a plain average), `per_channel` (numbers of a batch behind one mean),
`gap_mean` and `gap_spread` (median over channels of the distance between kept and present means, in deviations, and of the
absolute logarithm of kept over present variance; of the last batches looked at), `updates`, `keeps` (running statistics at all).
"""

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunesmith.doctor.probes.watcher_peep import Peep, due, open_inside

LOOKS = 16  # the last so many are kept; assumption


class Norms:
    """Sees the batch norms of a live training until `close`; hooks are on for the updates looked at alone."""

    def __init__(self, model: nn.Module) -> None:
        inner = open_inside(model)
        found = {} if inner is None else dict(inner.named_modules())
        self._layers = {name: weakref.ref(each) for name, each in found.items() if isinstance(each, _BatchNorm)}
        self._handles: list[Any] = []
        self._updates = 0
        self._gaps: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in self._layers}
        self._rows: dict[str, list[int]] = {name: [] for name in self._layers}
        self._attach()

    def seen(self) -> None:
        """After an update."""
        self._updates += 1
        if not due(self._updates + 1):
            self.close()
        elif not self._handles:
            self._attach()

    def passed_over(self, updates: int) -> None:
        """After so many updates that were not looked at, before another one."""
        self._updates += updates

    def close(self) -> None:
        """Takes every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def facts(self) -> dict[str, Any]:
        """What was seen so far, under `norms`."""
        told = {
            name: self._told(name, layer)
            for name, each in self._layers.items()
            if (layer := each()) is not None and self._rows[name]
        }
        return {"norms": told} if told else {}

    def _attach(self) -> None:
        layers = [(name, layer) for name, each in self._layers.items() if (layer := each()) is not None]
        self._handles = [layer.register_forward_pre_hook(Peep(self, "_look", name)) for name, layer in layers]

    def _look(self, name: str, module: Any, args: Any) -> None:
        if not torch.is_grad_enabled() or not args or not isinstance(args[0], Tensor):
            return
        given = args[0].detach()
        axes = [axis for axis in range(given.dim()) if axis != 1]
        self._rows[name] = [*self._rows[name][-LOOKS:], given.numel() // max(1, given.shape[1])]
        kept_mean, kept_variance = module.running_mean, module.running_var
        if kept_mean is None or kept_variance is None or self._rows[name][-1] < 2:
            return
        with torch.no_grad():
            variance, mean = torch.var_mean(given.to(kept_mean.dtype), axes, correction=0)
            varied = variance > module.eps
            far = ((kept_mean - mean).abs() / (variance + module.eps).sqrt())[varied]
            wide = ((kept_variance + module.eps) / (variance + module.eps)).log().abs()[varied]
            if len(far):
                self._gaps[name] = [*self._gaps[name][-LOOKS:], (far.median(), wide.median())]

    def _told(self, name: str, layer: _BatchNorm) -> dict[str, Any]:
        late = self._gaps[name][len(self._gaps[name]) // 2 :]
        told: dict[str, Any] = {
            "momentum": layer.momentum,
            "updates": self._updates,
            "keeps": layer.running_mean is not None,
            "per_channel": sorted(self._rows[name])[len(self._rows[name]) // 2] if self._rows[name] else 0,
        }
        if late:
            told["gap_mean"] = float(torch.stack([one for one, _ in late]).float().median())
            told["gap_spread"] = float(torch.stack([one for _, one in late]).float().median())
        return told
