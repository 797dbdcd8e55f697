"""Constant outputs and their loss: what theory expects before anything is learnt, and the best without looking at inputs.

The bias set from the data is log n_c, log n_pos - log n_neg, or the mean: Karpathy, A Recipe for Training Neural Networks
(2019), "init well". All is computed in float64 on the CPU, on the targets that are given.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from tunesmith.blocks.losses.loss import spread
from tunesmith.records import ModelError

RAREST = 1e-12  # least share of a class that has no rows: its logit is finite, and H(prior) exact to 1e-10


class Start(Protocol):
    """A family of targets, and what constant outputs look like for it."""

    def cases(self, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Targets and weights that the loss is evaluated on; equal targets may stand together, with one weight."""

    def zero(self, target: Tensor, outputs: int | None) -> Tensor:
        """One sample's outputs, all 0."""

    def usual(self, target: Tensor, weight: Tensor, outputs: int | None) -> Tensor:
        """One sample's outputs, as a final bias is set from the data."""

    def spread(self, row: Tensor, target: Tensor) -> Tensor:
        """The same outputs for each of the targets."""


class Classes:
    """Labels of any layout, or rows of probabilities (N, C), (N, C, …), (N, L, C)."""

    def __init__(self, width: int | None = None, ignore_index: int | None = None, class_dim: int = 1) -> None:
        self.width = width
        self.ignore_index = ignore_index
        self.class_dim = class_dim

    def cases(self, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        if target.is_floating_point() and target.dim() > 1 and target.shape[-1] > 1:
            rows = target.double().movedim(self.class_dim if target.dim() > 2 else -1, -1)
            each = _each(weight, rows[..., 0]).flatten()
            return rows.reshape(-1, rows.shape[-1]), each
        if target.dim() > 1 and target.shape[-1] == 1:
            target = target.squeeze(-1)
        each, labels = _each(weight, target.double()).flatten(), target.long().flatten()
        if self.ignore_index is not None:
            each, labels = each[labels != self.ignore_index], labels[labels != self.ignore_index]
        if len(labels) and int(labels.min()) < 0:
            raise ModelError(f"the target holds class {int(labels.min())}, whole numbers from 0 on were expected")
        distinct = labels.bincount().nonzero().squeeze(1)
        return distinct, labels.bincount(each)[distinct]

    def zero(self, target: Tensor, outputs: int | None) -> Tensor:
        return torch.zeros(self._width(target, outputs), dtype=torch.float64)

    def usual(self, target: Tensor, weight: Tensor, outputs: int | None) -> Tensor:
        return log_shares(self.counts(target, weight, outputs))

    def spread(self, row: Tensor, target: Tensor) -> Tensor:
        return row.expand(len(target), -1)

    def counts(self, target: Tensor, weight: Tensor, outputs: int | None) -> Tensor:
        """Rows of each class, by their weights."""
        if target.is_floating_point():
            return weight @ target
        return torch.zeros(self._width(target, outputs), dtype=torch.float64).index_add_(0, target, weight)

    def _width(self, target: Tensor, outputs: int | None) -> int:
        if target.is_floating_point():
            return target.shape[1]
        highest = int(target.max()) if len(target) else 0
        width = outputs or self.width or max(highest + 1, 2)
        if highest >= width:
            raise ModelError(f"the target holds class {highest}, classes 0 to {width - 1} were expected; set outputs")
        return width


class Answers:
    """Yes or no: (N,) or (N, 1) for one question, (N, K) for several; answers in between count as shares."""

    def cases(self, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        answers = target.double()
        answers = answers.squeeze(-1) if answers.dim() > 1 and answers.shape[-1] == 1 else answers
        return answers, _each(weight, answers)

    def zero(self, target: Tensor, outputs: int | None) -> Tensor:
        return torch.zeros(target.shape[1:], dtype=torch.float64)

    def usual(self, target: Tensor, weight: Tensor, outputs: int | None) -> Tensor:
        return log_odds((weight * target).sum(0), (weight * (1 - target)).sum(0))

    def spread(self, row: Tensor, target: Tensor) -> Tensor:
        return row.expand_as(target)


class Numbers:
    """Values (N,), (N, 1) or (N, K); NaN is missing. `link` turns a mean into an output: the logarithm for rates."""

    def __init__(self, link: Callable[[Tensor], Tensor] | None = None) -> None:
        self.link = link

    def cases(self, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        values = target.double()
        values = values.squeeze(-1) if values.dim() > 1 and values.shape[-1] == 1 else values
        return values, _each(weight, values)

    def zero(self, target: Tensor, outputs: int | None) -> Tensor:
        return torch.zeros(target.shape[1:], dtype=torch.float64)

    def usual(self, target: Tensor, weight: Tensor, outputs: int | None) -> Tensor:
        mean = weighted_mean(target, weight)
        return mean if self.link is None else self.link(mean)

    def spread(self, row: Tensor, target: Tensor) -> Tensor:
        return row.expand_as(target)


def weighted_mean(target: Tensor, weight: Tensor) -> Tensor:
    """Of each column, over what is there."""
    kept = weight * ~target.isnan()
    return (kept * target.nan_to_num()).sum(0) / kept.sum(0).clamp(min=torch.finfo(torch.float64).tiny)


def weighted_quantile(target: Tensor, weight: Tensor, share: float) -> Tensor:
    """The least value of each column below or at which `share` of the weight lies: it minimises the pinball loss."""
    columns = target.reshape(len(target), -1)
    weights = weight.reshape(len(weight), -1)
    found = []
    for values, each in zip(columns.T, weights.T, strict=True):
        kept = ~values.isnan()
        ordered, order = values[kept].sort()
        through = each[kept][order].cumsum(0)
        place = int(torch.searchsorted(through, share * through[-1] * (1 - 1e-12))) if len(through) else 0
        found.append(ordered[min(place, len(ordered) - 1)] if len(ordered) else torch.zeros((), dtype=torch.float64))
    return torch.stack(found).reshape(target.shape[1:])


def log_shares(counts: Tensor) -> Tensor:
    """log n_c / n."""
    return (counts / counts.sum()).clamp(min=RAREST).log()


def log_odds(yes: Tensor, no: Tensor) -> Tensor:
    """log n_yes / n_no."""
    share = (yes / (yes + no)).clamp(RAREST, 1 - RAREST)
    return share.log() - (-share).log1p()


def minimised(value: Callable[[Tensor], Tensor], *rows: Tensor, steps: int = 500) -> Tensor:
    """The best row by L-BFGS in float64 from each of `rows`, for losses without a closed form."""
    found = [_descended(value, row, steps) for row in rows]
    return min(found, key=lambda row: float(value(row)))


def _descended(value: Callable[[Tensor], Tensor], row: Tensor, steps: int) -> Tensor:
    point = row.clone().requires_grad_()
    search = torch.optim.LBFGS(
        [point], max_iter=steps, tolerance_grad=1e-13, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        point.grad = None
        result = value(point)
        torch.autograd.backward(result)
        return result

    with torch.enable_grad():
        search.step(closure)  # type: ignore[no-untyped-call]
    return point.detach()


def as_target(given: Any) -> Tensor:
    """Targets of any kind of array as a tensor on the CPU."""
    if given is None:
        raise ModelError(
            "no target came, one for each sample was expected; where it is not used its rows tell how many"
        )
    target = torch.as_tensor(given).detach().cpu()
    if not target.numel():
        raise ModelError("the target is empty; give the targets of at least one sample")
    return target


def _each(weight: Tensor | None, values: Tensor) -> Tensor:
    if weight is None:
        return torch.ones_like(values)
    return spread(torch.as_tensor(weight).cpu(), values, "the start")
