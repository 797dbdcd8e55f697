"""Several losses at once, of one magnitude. Learnt weights: Kendall et al., arXiv:1705.07115, eq. 7 and 10."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.adopt import adopt
from tunesmith.blocks.losses.loss import Loss, Reduced
from tunesmith.blocks.losses.member import NUMBER_KINDS
from tunesmith.records import ModelError, RecipeError, did_you_mean

Balance = Literal["fixed", "start", "uncertainty"]
BALANCES = ("fixed", "start", "uncertainty")


@LOSSES.add("multi_task")
class MultiTask(nn.Module):
    """Σ_k c_k L_k over the named losses, each the mean it has alone. `balance` says what c_k is:

    "fixed": `weights`, 1 where none is given. "start": `weights` / L_k of the first batch trained on, so that all parts
    begin alike; kept from then on. "uncertainty": learnt, exp(-s_k) L_k + s_k / 2 for classes (eq. 10) and half of the
    first term for numbers (eq. 7), with s_k = log σ_k² from 0 on; a training gives s to its optimizer without weight
    decay. The sum may fall below 0. Equal size is not equal worth: compare with fixed weights.

    Outputs: a mapping by name, a tuple in the order of the losses, or one tensor whose columns are divided by `widths` (1
    each); targets likewise with `target_widths`. A column of a tensor of floats becomes labels for a loss of labels. A
    model that returns a tensor or a tuple trains through `Task(loss=MultiTask(…))`, and is judged by the loss.

    `parts` holds the value of each loss in the last call, unweighted; a training records them as `loss.part`. Divided by
    the samples, so micro-batches add up exactly where every part counts every sample; a part with gaps (ignored labels,
    NaN, class weights) is averaged within each micro-batch.

    At start: Σ c_k times that of each part; with balance "start" the sum of the weights.
    Use: several targets on one body; watch each part beside the sum.

    >>> both = MultiTask({"price": nn.MSELoss(), "sold": nn.BCEWithLogitsLoss()}, weights={"sold": 2.0})
    >>> round(float(both(torch.zeros(2, 2), torch.tensor([[1.0, 1.0], [3.0, 0.0]])).value), 4)  # 5 + 2 ln 2
    6.3863
    """

    name = "multi_task"
    kinds: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[tuple[str, ...]] = ("weights", "balance", "widths", "target_widths")
    opaque = additive = labels = False
    whole = True
    scored = False
    factors: Tensor
    scale: Tensor

    def __init__(
        self,
        losses: Mapping[str, Callable[..., Any]],
        *,
        weights: Mapping[str, float] | None = None,
        balance: Balance = "fixed",
        widths: Mapping[str, int] | None = None,
        target_widths: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        if not losses:
            raise RecipeError("multi_task got no losses, at least one by name was expected")
        if balance not in BALANCES:
            raise RecipeError(f"multi_task got balance = {balance!r}, one of {', '.join(BALANCES)} was expected")
        for given, what in ((weights, "weights"), (widths, "widths"), (target_widths, "target_widths")):
            for name in given or ():
                if name not in losses:
                    raise RecipeError(f"multi_task: {what} name {name!r}, which is no loss{did_you_mean(name, losses)}")
        self.balance = balance
        self.given = dict(losses)
        self.modules_given = nn.ModuleList(loss for loss in losses.values() if isinstance(loss, nn.Module))
        self.widths = {name: (widths or {}).get(name, 1) for name in losses}
        self.target_widths = {name: (target_widths or {}).get(name, 1) for name in losses}
        self.register_buffer("factors", torch.tensor([float((weights or {}).get(name, 1.0)) for name in losses]))
        if not bool((self.factors >= 0).all() & self.factors.isfinite().all()):
            raise RecipeError(f"multi_task got the weights {dict(weights or {})}, numbers of 0 or more were expected")
        self.register_buffer("scale", torch.full((len(losses),), math.nan if balance == "start" else 1.0))
        if balance == "uncertainty":
            self.log_variance = nn.Parameter(torch.zeros(len(losses)))
        self.latest: Tensor | None = None
        self._adopt()

    def _adopt(self) -> None:
        self.losses: dict[str, Loss] = {name: adopt(loss) for name, loss in self.given.items()}
        summed = [name for name, loss in self.losses.items() if loss.additive]
        if summed:
            raise ModelError(
                f"multi_task: {summed[0]!r} is a sum over samples (reduction='sum'), a mean was expected; its size would "
                "change with the batch"
            )
        numbers = [set(getattr(loss, "kinds", ())) & set(NUMBER_KINDS) for loss in self.losses.values()]
        names = [loss.name.lower() for loss in self.losses.values()]
        known = ("mseloss", "l1loss", "smoothl1loss", "huberloss")
        self._halves = [0.5 if kinds or name in known else 1.0 for kinds, name in zip(numbers, names, strict=True)]

    def _apply(self, *arguments: Any, **settings: Any) -> "MultiTask":
        super()._apply(*arguments, **settings)  # type: ignore[no-untyped-call]
        self._adopt()  # the tensors inside the losses have moved
        return self

    @property
    def couples(self) -> bool:
        return any(loss.couples for loss in self.losses.values())

    @property
    def takes_missing(self) -> bool:
        return any(getattr(loss, "takes_missing", False) for loss in self.losses.values())

    @property
    def parts(self) -> dict[str, float]:
        """The unweighted loss of each part in the last call."""
        if self.latest is None:
            return {}
        return dict(zip(self.losses, self.latest.tolist(), strict=True))

    @property
    def weighted(self) -> dict[str, float]:
        """What each part gave to the sum of the last call, without the s / 2 of learnt weights."""
        if self.latest is None:
            return {}
        with torch.no_grad():
            return dict(zip(self.losses, (self._shares(self.latest) * self.latest).tolist(), strict=True))

    def forward(self, outputs: Any, target: Any, weight: Tensor | None = None) -> Reduced:
        heads = self._parted(outputs, self.widths, "outputs")
        truths = self._parted(target, self.target_widths, "target")
        values, rows = [], 0
        for (name, loss), head, truth in zip(self.losses.items(), heads, truths, strict=True):
            truth = self._labelled(name, loss, truth)
            part = loss(head, truth, weight)
            values.append(part.sum / _positive(part.weight))
            rows = rows or len(truth if isinstance(truth, Tensor) else head)
        each = torch.stack([value.to(values[0].device) for value in values])
        self._begin(each.detach())
        self.latest = each.detach()
        total = (self._shares(each) * each).sum()
        if self.balance == "uncertainty":
            total = total + 0.5 * self.log_variance.to(each).sum()
        count: Tensor | float = float(rows) if weight is None else weight.sum() * (rows / weight.numel())
        return Reduced(total * count, count)

    def _begin(self, each: Tensor) -> None:
        """The first batch that is trained on sets the scale."""
        if self.balance == "start" and torch.is_grad_enabled() and bool(self.scale.isnan().any()):
            if not bool((each.isfinite() & (each > 0)).all()):
                found = dict(zip(self.losses, each.tolist(), strict=True))
                raise ModelError(f"multi_task: the first batch has the losses {found}, numbers above 0 were expected")
            self.scale.copy_(each)

    def _shares(self, each: Tensor) -> Tensor:
        if self.balance == "uncertainty":
            halves = torch.tensor(self._halves, device=each.device, dtype=each.dtype)
            return self.factors.to(each) * halves * (-self.log_variance.to(each)).exp()
        scale = torch.where(self.scale.isnan(), each.detach().to(self.scale), self.scale)
        return (self.factors / scale).to(each)

    def _parted(self, nest: Any, widths: Mapping[str, int], what: str) -> Sequence[Any]:
        if isinstance(nest, Mapping):
            missing = [name for name in self.losses if name not in nest]
            if missing:
                raise ModelError(
                    f"multi_task: the {what} have no {missing[0]!r}{did_you_mean(missing[0], map(str, nest))}"
                )
            return [nest[name] for name in self.losses]
        if isinstance(nest, list | tuple) and len(nest) == len(self.losses):
            return nest
        if isinstance(nest, Tensor) and nest.dim() == 2 and nest.shape[1] == sum(widths.values()):
            parts = torch.split(nest, list(widths.values()), dim=1)
            return [part.squeeze(1) if part.shape[1] == 1 else part for part in parts]
        came = f"a tensor of shape {tuple(nest.shape)}" if isinstance(nest, Tensor) else f"a {type(nest).__name__}"
        raise ModelError(
            f"multi_task got {came} as {what} for the losses {', '.join(self.losses)}, a mapping, a tuple of "
            f"{len(self.losses)} or {sum(widths.values())} columns were expected; set widths and target_widths"
        )

    def _labelled(self, name: str, loss: Loss, truth: Any) -> Any:
        if not getattr(loss, "labels", False) or not isinstance(truth, Tensor) or not truth.is_floating_point():
            return truth
        return truth.long() if truth.dim() == 1 else truth

    def at_start(
        self, target: Any, *, outputs: int | Tensor | None = None, bias: Any = "zero", weight: Tensor | None = None
    ) -> float:
        """Σ c_k times what each part expects of its own column of the target; `widths` tell the classes."""
        values = self._expected("at_start", target, bias=bias, weight=weight)
        if self.balance == "start" and bool(self.scale.isnan().any()):
            return float(self.factors.sum())
        with torch.no_grad():
            extra = 0.5 * float(self.log_variance.sum()) if self.balance == "uncertainty" else 0.0
            return float((self._shares(values) * values).sum()) + extra

    def skill(self, outputs: Any, target: Any, weight: Tensor | None = None) -> float:
        """Loss / no-skill loss, by the weights as they are."""
        with torch.no_grad():
            return float(self(outputs, target, weight).value) / self.no_skill(target, weight=weight)

    def no_skill(self, target: Any, *, outputs: int | Tensor | None = None, weight: Tensor | None = None) -> float:
        """Σ c_k times the least that constants reach for each part."""
        values = self._expected("no_skill", target, weight=weight)
        with torch.no_grad():
            extra = 0.5 * float(self.log_variance.sum()) if self.balance == "uncertainty" else 0.0
            return float((self._shares(values) * values).sum()) + extra

    def _expected(self, question: str, target: Any, **about: Any) -> Tensor:
        found = []
        truths: Iterable[Any] = self._parted(target, self.target_widths, "target")
        for (name, loss), truth in zip(self.losses.items(), truths, strict=True):
            if not hasattr(loss, question):
                raise ModelError(f"multi_task: no theory tells what {name!r} ({loss.name}) is at the start")
            truth = self._labelled(name, loss, truth)
            found.append(getattr(loss, question)(truth, outputs=self._classes(name, loss), **about))
        return torch.tensor(found, dtype=torch.float64)

    def _classes(self, name: str, loss: Loss) -> int | None:
        return self.widths[name] if getattr(loss, "labels", False) and self.widths[name] > 1 else None


def _positive(weight: Tensor | float) -> Tensor | float:
    """A part that counts nothing in this batch gives 0, not NaN."""
    if isinstance(weight, Tensor):
        return torch.where(weight > 0, weight, torch.ones_like(weight))
    return weight if weight > 0 else 1.0
