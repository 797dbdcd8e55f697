"""A loss as a black box: what it computes is found by asking it. A tool of the checks.

Nothing is read from its name. It is called on outputs made for the purpose, and its answers tell whether it is one of the known
losses (up to a factor, whose size is the reduction and whose sign the direction), whether it normalises its outputs itself or
wants probabilities, whether it uses the target, and whether rows see each other. What cannot be decided is "" or None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.doctor.preflight.seeing import Seen, quiet

CLOSE = 1e-4  # relative; assumption: far above rounding in float32, far below any difference that is looked for
PROBES = 3  # random outputs that a statement is tried on; assumption
DESCENT = (
    300  # steps of Adam on free outputs; measured: tests/preflight/test_loss_probe.py, cross entropy ends below .01
)
ASKED = (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError, AssertionError, ArithmeticError)
CLASS_LOSSES = ("cross_entropy", "nll")
YES_NO_LOSSES = ("bce_logits", "bce")
NUMBER_LOSSES = ("mse", "mae", "smooth_l1")


@dataclass(frozen=True, slots=True)
class Known:
    """`loss = factor * name(outputs, target)`, with the mean of the known loss: factor 1 is the mean, N the sum, negative flipped."""

    name: str  # "cross_entropy", "nll", "bce_logits", "bce", "mse", "mae", "smooth_l1"; "" where it is none of them
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Descent:
    """Free outputs after the loss was minimised over them."""

    outputs: Tensor
    loss: float
    before: float
    broke: bool = False  # the loss became non-finite on the way


class LossProbe:
    """A loss with the arguments of one call of it. `loss(outputs, target, *more, **named)` gives one number.

    >>> seen = Seen(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))
    >>> probe = LossProbe(lambda outputs, target: -functional.cross_entropy(outputs, target, reduction="sum"), seen)
    >>> probe.known.name, round(probe.known.factor, 3)
    ('cross_entropy', -4.0)
    """

    def __init__(self, loss: Callable[..., Any], seen: Seen, *, seed: int = 0) -> None:
        self.loss = loss
        self.seen = seen
        self.seed = seed
        self._kept: dict[str, Any] = {}

    # Asking

    @property
    def outputs(self) -> Tensor | None:
        """The outputs, where they are one floating tensor with rows."""
        tensor = self.seen.tensor
        return tensor if tensor is not None and tensor.dim() > 0 else None

    @property
    def target(self) -> Tensor | None:
        return self.seen.target if isinstance(self.seen.target, Tensor) and self.seen.target.dim() > 0 else None

    @property
    def rows(self) -> int:
        """Rows of the call; 0 where outputs and target do not agree about them."""
        if self.outputs is None or self.target is None or len(self.outputs) != len(self.target):
            return 0
        return len(self.target)

    def ask(self, outputs: Any, target: Any = None, places: Tensor | None = None) -> Tensor:
        """The loss as one number with its graph. `places` says which rows `outputs` and `target` are, for what else is given."""
        more, named = self.seen.more, self.seen.named
        if places is not None:
            more = tuple(self._rows(one, places) for one in more)
            named = {name: self._rows(one, places) for name, one in named.items()}
        value = self.loss(outputs, self.seen.target if target is None else target, *more, **named)
        if isinstance(value, tuple) and len(value) == 2:
            value = value[0] / value[1]
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise TypeError("the loss gives no single number")
        return value.reshape(())

    def _rows(self, one: Any, places: Tensor) -> Any:
        return one[places] if isinstance(one, Tensor) and one.dim() and len(one) == self.rows else one

    def value(self, outputs: Any, target: Any = None, places: Tensor | None = None) -> float | None:
        """The loss as a number; None where it raises."""
        try:
            with quiet(), torch.no_grad():
                return float(self.ask(outputs, target, places))
        except ASKED:
            return None

    @property
    def deterministic(self) -> bool:
        """Whether two calls give the same number. Nothing else can be said of a loss that draws random numbers."""
        found: bool = self.kept(
            "deterministic", lambda: self._same(self.value(self.seen.outputs), self.value(self.seen.outputs))
        )
        return found

    @staticmethod
    def _same(one: float | None, other: float | None, tolerance: float = CLOSE) -> bool:
        if one is None or other is None:
            return False
        if one != one and other != other:
            return True
        return one == other or abs(one - other) <= tolerance * max(abs(one), abs(other), 1e-6)

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def noise(self, place: int, scale: float = 1.0) -> Tensor:
        """Normal numbers in the shape of the outputs, the same for the same place."""
        assert self.outputs is not None
        made = torch.randn(self.outputs.shape, generator=torch.Generator().manual_seed(self.seed + place))
        return (scale * made).to(self.outputs)

    def probable(self, place: int) -> Tensor:
        """Numbers between 0.05 and 0.95 in the shape of the outputs: every known loss takes them."""
        return 0.05 + 0.9 * torch.sigmoid(2 * self.noise(place))

    # What it is

    @property
    def class_axis(self) -> int | None:
        """The axis of the outputs that holds the classes, where the target holds one label for each of the rest."""
        if self.outputs is None or self.target is None or self.target.is_floating_point():
            return None
        shape, labels = tuple(self.outputs.shape), tuple(self.target.shape)
        labels = labels[:-1] if len(labels) == len(shape) > 1 and labels[-1] == 1 else labels
        if len(shape) != len(labels) + 1:
            return None
        for axis in (1, len(shape) - 1):
            if axis < len(shape) and shape[:axis] + shape[axis + 1 :] == labels:
                return axis
        return None

    @property
    def known(self) -> Known:
        """Which of the known losses it is a multiple of."""
        found: Known = self.kept("known", self._known)
        return found

    def _known(self) -> Known:
        if not self.rows or not self.deterministic:
            return Known("")
        for name, candidate in _candidates(self):
            factor = self.factor_of(candidate)
            if factor is not None:
                return Known(name, factor)
        return Known("")

    def factor_of(self, candidate: Callable[[Tensor], Tensor]) -> float | None:
        """The loss as a multiple of a function of the outputs, on outputs of all kinds; None where it is none."""
        draws = [self.probable(place) for place in range(PROBES)] + [self.noise(place, 3.0) for place in range(PROBES)]
        own = self.kept("own", lambda: [self.value(each) for each in draws])
        if any(value is None for value in own[:PROBES]):
            return None
        return _factor(own, [_valued(candidate, each) for each in draws], PROBES)

    @property
    def needs(self) -> str:
        """What it takes its outputs for: "logits", "probabilities", "log_probabilities", "numbers"; "" where it cannot be told."""
        found: str = self.kept("needs", self._needs)
        return found

    def _needs(self) -> str:
        by_name = {
            "cross_entropy": "logits",
            "bce_logits": "logits",
            "nll": "log_probabilities",
            "bce": "probabilities",
        }
        if self.known.name:
            return by_name.get(self.known.name, "numbers")
        if not self.rows or not self.deterministic:
            return ""
        if self.class_axis is not None and self.shift_invariant():
            return "logits"
        return "probabilities" if self._only_probabilities() or self._logarithm() else ""

    def _only_probabilities(self) -> bool:
        """It is finite on probabilities, and raises or is not finite on numbers below 0 and on numbers above 1."""
        inside = [self.simplex(place) for place in range(PROBES)]
        small = [
            0.2 * self.probable(place) for place in range(PROBES)
        ]  # just outside: farther off anything may overflow
        outside = [*(-each for each in small), *(1.0 + each for each in small)]
        return all(_finite(self.value(each)) for each in inside) and not any(
            _finite(self.value(each)) for each in outside
        )

    def _logarithm(self) -> bool:
        """It takes the logarithm of its outputs: half of them all costs a constant, a quarter twice that."""
        steps = []
        for place in range(PROBES):
            values = [self.value(self.simplex(place) * share) for share in (1.0, 0.5, 0.25)]
            if not all(_finite(value) for value in values):
                return False
            one, half, quarter = (float(value or 0.0) for value in values)
            if half <= one or not self._same(quarter - half, half - one, 0.01):
                return False
            steps.append(half - one)
        return max(steps) - min(steps) <= 0.01 * max(steps)

    def simplex(self, place: int) -> Tensor:
        """Probabilities: rows that sum to 1 over the classes, or numbers between 0 and 1 where there is no such axis."""
        axis = self.class_axis
        wide = axis is not None and self.outputs is not None and self.outputs.shape[axis] > 1
        return torch.softmax(self.noise(place), axis) if wide and axis is not None else self.probable(place)

    def shift_invariant(self) -> bool:
        """Whether a constant added to all classes of a row changes nothing, as under a softmax."""
        axis = self.class_axis
        if axis is None or self.outputs is None or self.outputs.shape[axis] < 2:
            return False
        for place in range(PROBES):
            outputs = self.probable(place)
            shift = 3.0 * self.noise(place + 50).select(axis, 0).unsqueeze(axis)
            if not self._same(self.value(outputs), self.value(outputs + shift), 1e-3):
                return False
        return self.uses_outputs()

    def uses_outputs(self) -> bool:
        """Whether other outputs give another loss."""
        values = [self.value(self.probable(place)) for place in range(PROBES)]
        return not all(self._same(values[0], value) for value in values[1:])

    # Rows

    @property
    def uses_target(self) -> bool | None:
        """Whether another target gives another loss; None where that cannot be told."""
        found: bool | None = self.kept("uses_target", self._uses_target)
        return found

    def _uses_target(self) -> bool | None:
        target = self.target
        if not self.rows or target is None or not self.deterministic or bool((target == target[:1]).all()):
            return None
        for place in range(PROBES):
            outputs = self.probable(place)
            here = self.value(outputs)
            if here is None:
                return None
            for other in self._other_targets(place):
                there = self.value(outputs, other)
                if there is None or not self._same(here, there, 1e-6):
                    return None if there is None else True
        return False

    def _other_targets(self, place: int) -> list[Tensor]:
        """The targets of other rows, and the first row's for all."""
        assert self.target is not None
        mixed = torch.randperm(self.rows, generator=torch.Generator().manual_seed(place)).to(self.target.device)
        return [self.target[mixed], self.target[:1].expand_as(self.target).contiguous()]

    @property
    def couples(self) -> bool | None:
        """Whether rows are compared with each other: the pull on one row turns when other rows' outputs change."""
        found: bool | None = self.kept("couples", self._couples)
        return found

    def _couples(self) -> bool | None:
        if self.rows < 2 or not self.deterministic:
            return None
        for place in range(PROBES):
            outputs, others = self.noise(place, 2.0), self.noise(place + 20, 2.0)
            if not (_finite(self.value(outputs)) and _finite(self.value(others))):
                outputs, others = self.probable(place), self.probable(place + 20)
            kept = max(1, self.rows // 4)
            others = torch.cat([outputs[:kept], others[kept:]])
            one, two = self.pull(outputs), self.pull(others)
            if one is None or two is None:
                return None
            here, there = one[:kept].reshape(kept, -1), two[:kept].reshape(kept, -1)
            length = here.norm(dim=1) * there.norm(dim=1)
            along = (here * there).sum(1)
            felt = length > 0
            if bool((along[felt] < (1 - 1e-3) * length[felt]).any()) or bool((here[~felt] != there[~felt]).any()):
                return True
        return False

    def pull(self, outputs: Tensor, target: Tensor | None = None) -> Tensor | None:
        """The gradient of the loss with respect to outputs; None where there is none."""
        free = outputs.detach().clone().requires_grad_()
        try:
            with quiet(), torch.enable_grad():
                loss = self.ask(free, target)
                return torch.autograd.grad(loss, free)[0].detach() if loss.requires_grad else None
        except ASKED:
            return None

    def _part(self, outputs: Tensor, places: Tensor) -> float | None:
        assert self.target is not None
        return self.value(outputs[places], self.target[places.to(self.target.device)], places)

    @property
    def growth(self) -> float | None:
        """How often the loss doubles when every row is there twice: 0 for a mean, 1 for a sum, -1 for a mean divided again."""
        found: float | None = self.kept("growth", self._growth)
        return found

    def _growth(self) -> float | None:
        if not self.rows or not self.deterministic:
            return None
        found = []
        for place in range(PROBES):
            outputs = self.probable(place)
            values = [self._part(*self._repeated(outputs, times)) for times in (1, 2, 4)]
            if any(value is None or not _finite(value) or value == 0 for value in values):
                return None
            one, two, four = (float(value) for value in values if value is not None)
            if one * two <= 0 or two * four <= 0:
                return None
            steps = [torch.tensor(two / one).log2().item(), torch.tensor(four / two).log2().item()]
            if abs(steps[0] - steps[1]) > 0.01:
                return None
            found.append(steps[0])
        return found[0] if max(found) - min(found) < 0.01 else None

    def _repeated(self, outputs: Tensor, times: int) -> tuple[Tensor, Tensor]:
        places = torch.arange(self.rows).repeat(times)
        return outputs, places

    # What it pulls towards

    def descend(
        self,
        start: Tensor | None = None,
        *,
        steps: int = DESCENT,
        through: Callable[[Tensor], Tensor] = lambda free: free,
        constant: bool = False,
    ) -> Descent | None:
        """Minimises the loss over free outputs (`through` keeps them in a set), or over one row for all. None where it raises."""
        outputs = self.outputs
        if outputs is None or not self.rows:
            return None
        free = (self.noise(99, 0.01) if start is None else start.clone()).float()
        free = (free.mean(0, keepdim=True) if constant else free).requires_grad_()
        rate = self.reach_of_targets() / 20
        adam = torch.optim.Adam([free], lr=rate)
        loss = torch.zeros(())
        before = None
        best, kept = float("inf"), free.detach().clone()
        try:
            with quiet(), torch.enable_grad():
                for step in range(steps):
                    adam.param_groups[0]["lr"] = rate * (1 - step / steps) ** 0.5
                    adam.zero_grad()
                    loss = self.ask(through(free).expand(outputs.shape).to(outputs.dtype))
                    before = float(loss.detach()) if before is None else before
                    if not _finite(float(loss.detach())):
                        return Descent(through(kept).expand(outputs.shape).detach(), float(loss.detach()), before, True)
                    if float(loss.detach()) < best:
                        best, kept = float(loss.detach()), free.detach().clone()
                    if not loss.requires_grad:
                        return None
                    loss.backward()  # type: ignore[no-untyped-call]
                    adam.step()
        except ASKED:
            return None
        return Descent(through(kept).expand(outputs.shape).detach(), best, float(before or 0.0))

    def reach_of_targets(self) -> float:
        """How far outputs may have to go: 4 for labels, the largest target or output where they are numbers."""
        target, outputs = self.target, self.outputs
        if target is None or outputs is None or not target.is_floating_point():
            return 4.0
        held = target[torch.isfinite(target)]
        return max(float(held.abs().max()) if len(held.reshape(-1)) else 1.0, float(outputs.abs().max()), 1e-3)


def _finite(value: float | None) -> bool:
    return value is not None and value == value and abs(value) != float("inf")


def _valued(candidate: Callable[[Tensor], Tensor], outputs: Tensor) -> float | None:
    try:
        with quiet(), torch.no_grad():
            return float(candidate(outputs))
    except ASKED:
        return None


def _factor(own: list[float | None], theirs: list[float | None], needed: int) -> float | None:
    """own / theirs, where that is one number on all outputs that both take; None where it is not."""
    pairs = [(one, two) for one, two in zip(own, theirs, strict=True) if _finite(one) and _finite(two)]
    if len(pairs) < needed or any(not _finite(value) for value in theirs[:needed]):
        return None
    broken = [_finite(two) and not _finite(one) for one, two in zip(own, theirs, strict=True)]
    if any(broken) or any(two == 0 for _, two in pairs):
        return None
    ratios = [float(one or 0.0) / float(two or 1.0) for one, two in pairs]
    middle = sorted(ratios)[len(ratios) // 2]
    if middle == 0 or max(ratios) - min(ratios) > 10 * CLOSE * abs(middle):
        return None
    return middle


def _candidates(probe: LossProbe) -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    """The known losses with the target of the call in the form each takes."""
    target, outputs, axis = probe.target, probe.outputs, probe.class_axis
    assert target is not None
    assert outputs is not None
    found: list[tuple[str, Callable[[Tensor], Tensor]]] = []
    if axis is not None:
        labels = target.squeeze(-1) if target.dim() == outputs.dim() else target
        labels = labels.long()
        found.append(("cross_entropy", lambda o: functional.cross_entropy(o.float().movedim(axis, 1), labels)))
        found.append(("nll", lambda o: functional.nll_loss(o.float().movedim(axis, 1), labels)))
    if outputs.shape == target.shape and target.is_floating_point() and outputs.dim() > 1:
        found.append(("cross_entropy", lambda o: functional.cross_entropy(o.float(), target.to(o))))
    for aligned in _alignments(outputs, target):
        found += _element_wise(aligned)
    return found


def _alignments(outputs: Tensor, target: Tensor) -> list[Tensor]:
    values = target.to(outputs.dtype)
    found = [values]
    if outputs.shape != target.shape and outputs.numel() == target.numel():
        found.insert(0, values.reshape(outputs.shape))
    return found


def _element_wise(values: Tensor) -> list[tuple[str, Callable[[Tensor], Tensor]]]:
    found: list[tuple[str, Callable[[Tensor], Tensor]]] = [
        ("mse", lambda o: functional.mse_loss(o, values)),
        ("mae", lambda o: functional.l1_loss(o, values)),
        ("smooth_l1", lambda o: functional.smooth_l1_loss(o, values)),
    ]
    if bool(((values >= 0) & (values <= 1)).all()):
        found.insert(0, ("bce_logits", lambda o: functional.binary_cross_entropy_with_logits(o, values.expand_as(o))))
        found.insert(0, ("bce", lambda o: functional.binary_cross_entropy(o, values.expand_as(o))))
    return found
