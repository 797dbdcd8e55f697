"""Optimizers of K nets at once: a handful of operations on weights (K, P), with settings of each trial as (K, 1).

Each is torch's optimizer of that name, operation by operation. Legend: p weights, g gradients, lr the rate of the step.
Factors that depend on the step are worked out in double precision for many steps at once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tunesmith.records import UnknownName, did_you_mean
from tunesmith.training.batched.trial import BatchedTrial

Columns = tuple[Tensor, ...]  # settings of one step, (K, 1) each


class StackedOptimizer:
    """Steps weights in place. Abstract: `moments` (what it keeps, each like the weights), `columns`, `step`.

    `decays` is 1 for the entries that decay, (1, P), or None where all do.
    """

    moments: tuple[str, ...] = ()

    def __init__(self, trials: Sequence[BatchedTrial], weights: Tensor, decays: Tensor | None = None) -> None:
        self.trials = tuple(trials)
        self.decays = decays
        self.kept = {name: torch.zeros_like(weights) for name in self.moments}
        self.like = weights.new_empty(0)
        self._settle()

    def keep(self, kept: Sequence[int]) -> None:
        """Leaves these trials alone."""
        self.trials = tuple(self.trials[k] for k in kept)
        self.kept = {name: value[list(kept)] for name, value in self.kept.items()}
        self._settle()

    def _settle(self) -> None:
        """What does not change from step to step."""
        self.decay = self.column([trial.weight_decay for trial in self.trials])
        self.decaying = any(trial.weight_decay for trial in self.trials)
        self.scratch = self.like.new_empty(0)

    def column(self, values: Sequence[float]) -> Tensor:
        """Settings of the trials, (K, 1)."""
        return torch.tensor(values, dtype=torch.float64).to(self.like).view(-1, 1)

    def prepare(self, first: int, steps: int) -> list[Columns]:
        """The columns of each of `steps` steps from `first` on."""
        rates = torch.tensor(
            [[trial.lr * trial.schedule(step) for trial in self.trials] for step in range(first, first + steps)],
            dtype=torch.float64,
        )
        done = torch.arange(first + 1, first + steps + 1, dtype=torch.float64).unsqueeze(1)
        tables = [table.to(self.like).unsqueeze(-1).unbind(0) for table in self.columns(rates, done)]
        return list(zip(*tables, strict=True))

    def columns(self, rates: Tensor, done: Tensor) -> Sequence[Tensor]:
        """Settings by step and trial (S, K), of rates (S, K) and the number of each step from 1, (S, 1)."""
        raise NotImplementedError

    def step(self, p: Tensor, g: Tensor, columns: Columns) -> None:
        """One step; g may be written over."""
        raise NotImplementedError

    def values(self, name: str) -> Tensor:
        """A setting of all trials in double precision, (1, K)."""
        return torch.tensor([[getattr(trial, name) for trial in self.trials]], dtype=torch.float64)

    def _decayed(self, p: Tensor, g: Tensor) -> None:
        """g ← g + λ p."""
        if self.decaying:
            g.addcmul_(p, self.decay if self.decays is None else self.decay * self.decays)

    def _scratch(self, p: Tensor) -> Tensor:
        if self.scratch.shape != p.shape:
            self.scratch = torch.empty_like(p)
        return self.scratch


class SGD(StackedOptimizer):
    """b ← μ b + g, p ← p - lr b; with Nesterov p ← p - lr (g + μ b). Sutskever et al., ICML 2013, as torch has it."""

    nesterov = False

    def __init__(self, trials: Sequence[BatchedTrial], weights: Tensor, decays: Tensor | None = None) -> None:
        self.moments = ("momentum",) if any(trial.momentum for trial in trials) else ()
        super().__init__(trials, weights, decays)

    def _settle(self) -> None:
        super()._settle()
        self.momentum = self.column([trial.momentum for trial in self.trials])

    def columns(self, rates: Tensor, done: Tensor) -> Sequence[Tensor]:
        return (-rates,)

    def step(self, p: Tensor, g: Tensor, columns: Columns) -> None:
        self._decayed(p, g)
        if self.kept:
            memory = self.kept["momentum"].mul_(self.momentum).add_(g)
            g = g.addcmul_(memory, self.momentum) if self.nesterov else memory
        p.addcmul_(g, columns[0])


class Nesterov(SGD):
    """`SGD` with Nesterov's momentum."""

    nesterov = True


class Adam(StackedOptimizer):
    """m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g², p ← p - lr m̂ / (√v̂ + ε). arXiv:1412.6980, algorithm 1.

    With s = √(1 - β₂ᵗ) the step is lr s / (1 - β₁ᵗ) m / (√v + ε s).
    """

    moments = ("first", "second")

    def _settle(self) -> None:
        super()._settle()
        self.first = self.column([1 - trial.beta1 for trial in self.trials])
        self.second = self.column([1 - trial.beta2 for trial in self.trials])

    def columns(self, rates: Tensor, done: Tensor) -> Sequence[Tensor]:
        root = (1 - self.values("beta2") ** done).sqrt()
        return -rates * root / (1 - self.values("beta1") ** done), self.values("eps") * root

    def step(self, p: Tensor, g: Tensor, columns: Columns) -> None:
        self._decayed(p, g)
        rate, eps = columns[:2]
        first, second, scratch = self.kept["first"], self.kept["second"], self._scratch(p)
        first.lerp_(g, self.first)
        second.lerp_(torch.mul(g, g, out=scratch), self.second)
        torch.sqrt(second, out=scratch).add_(eps)
        p.addcmul_(torch.div(first, scratch, out=scratch), rate)


class AdamW(Adam):
    """`Adam` with p ← p (1 - lr λ) before the step in place of λ p in the gradient. arXiv:1711.05101, algorithm 2."""

    def columns(self, rates: Tensor, done: Tensor) -> Sequence[Tensor]:
        decay = rates * self.values("weight_decay")
        return (*super().columns(rates, done), 1 - decay if self.decays is None else -decay)

    def _decayed(self, p: Tensor, g: Tensor) -> None:
        """Not in the gradient."""

    def step(self, p: Tensor, g: Tensor, columns: Columns) -> None:
        if self.decaying:
            p.mul_(columns[2] if self.decays is None else columns[2] * self.decays + 1)
        super().step(p, g, columns)


class RMSprop(StackedOptimizer):
    """v ← α v + (1 - α) g², b ← μ b + g / (√v + ε), p ← p - lr b. Tieleman & Hinton, lecture 6.5, 2012, as torch has it."""

    def __init__(self, trials: Sequence[BatchedTrial], weights: Tensor, decays: Tensor | None = None) -> None:
        self.moments = ("second", "momentum") if any(trial.momentum for trial in trials) else ("second",)
        super().__init__(trials, weights, decays)

    def _settle(self) -> None:
        super()._settle()
        self.second = self.column([1 - trial.alpha for trial in self.trials])
        self.momentum = self.column([trial.momentum for trial in self.trials])
        self.eps = self.column([trial.eps for trial in self.trials])

    def columns(self, rates: Tensor, done: Tensor) -> Sequence[Tensor]:
        return (-rates,)

    def step(self, p: Tensor, g: Tensor, columns: Columns) -> None:
        self._decayed(p, g)
        second, scratch = self.kept["second"], self._scratch(p)
        second.lerp_(torch.mul(g, g, out=scratch), self.second)
        torch.sqrt(second, out=scratch).add_(self.eps)
        change = torch.div(g, scratch, out=scratch)
        if "momentum" in self.kept:
            change = self.kept["momentum"].mul_(self.momentum).add_(change)
        p.addcmul_(change, columns[0])


OPTIMIZERS: dict[str, type[StackedOptimizer]] = {
    "sgd": SGD,
    "nesterov": Nesterov,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
}


def optimizer_of(name: str) -> type[StackedOptimizer]:
    """The stacked optimizer of a name. Raises `UnknownName` for a name of none."""
    if name not in OPTIMIZERS:
        raise UnknownName(f"no stacked optimizer called {name!r}{did_you_mean(name, OPTIMIZERS)}")
    return OPTIMIZERS[name]


class Clip:
    """g ← g min(1, limit / (|g| + 1e-6)), the norm over all weights of each trial, as torch's `clip_grad_norm_`.

    Source: Pascanu et al., arXiv:1211.5063, algorithm 1.
    """

    def __init__(self, trials: Sequence[BatchedTrial], like: Tensor) -> None:
        limits = [torch.inf if trial.clip_norm is None else trial.clip_norm for trial in trials]
        self.limits = torch.tensor(limits, dtype=torch.float64).to(like).view(-1, 1)
        self.clips = any(trial.clip_norm is not None for trial in trials)

    def __call__(self, g: Tensor) -> None:
        if self.clips:
            norms = torch.linalg.vector_norm(g, dim=1, keepdim=True)
            g.mul_((self.limits / (norms + 1e-6)).clamp_(max=1.0))
