"""What a live training's loss is given: outputs and targets, and which of the usual losses its value is.

The value of a loss is held against the usual ones on the same outputs and targets. An equality to five digits on every batch looked at
says what the loss is, whether it is a sum, whether it was divided, and whether outputs and targets were paired row by row.

`facts()` holds, under `answers`, all of which may be absent:

* `width`, `kind` ("classes" for whole numbers, "flags" for numbers that are 0 and 1, "numbers"), `output_shape`, `target_shape`, `batches`, `rows`.
* `target_low`, `target_high`, `target_mean`, `target_std`, `labels`, `label_shares`: the targets seen; how many distinct whole numbers, and
  the shares of the commonest. `target_outlier`, `target_wild`: the farthest in robust deviations, and the share beyond 20.
* `right`, `right_of`: share of the rows answered rightly, and rows, of the last third of the run.
* `reckoned`: the targets were reckoned from the differences that a loss written out by hand keeps, so up to rounding.
* `from_graph`: the targets are those that the graph of the loss holds, which need not be those that the loss was given.
* `answered`: shares of the classes answered, of the last batches ("1" is yes, for flags). `alike`, `labels_alike`: the share of a batch that
  has its commonest answer, and its commonest label, in the middle of these batches.
* `whole`: all numbers that are targets are whole. `output_first`: mean of the outputs of the first batch.
* `reached`: spread of the outputs over that of the targets, of the last batches.
* `output_low`, `output_high`, `values`: ends of the outputs, and how many numbers they are of.
* `row_sum_gap`, `column_sum_gap`, `normaliser_gap`: largest distance of the sums over a row, over a batch, and of the log of the summed
  exponentials, from those of probabilities (1, 1, 0).
* `beyond`, `crowd`, `end`: share of the targets beyond an end that no output passes, share of the outputs within 2 % of it, and the end.
* `form`, `pairing` ("rows", or "all with all" for numbers that broadcast), `scale`, `scale_spread`, `per_rows`: the usual loss that the
  value is a multiple of, the multiple, how far it varies, and whether it is the number of rows.
* `chance`: the loss of the best constant answer, in the scale of the value.
* `root`, `root_spread`: what the loop runs backwards, over the value of the loss (1 / parts, where it divides), and how far that varies.
* `loss`: the class of the loss; `halves`: value on a batch over the mean of its halves (1 a mean, 2 a sum), `halves_low`, `halves_high`;
  `blind`: the value does not change when the targets change places; `deaf`: nor when they are others.
"""

import copy
import math
import weakref
from collections import Counter
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.doctor.probes.watcher_loss import Tap, seen_in
from tunesmith.doctor.probes.watcher_peep import Peep, door, due
from tunesmith.doctor.probes.watcher_residual import residual_in
from tunesmith.records.state import random_state, set_random_state

MOST, LARGE = 2_000_000, 12  # outputs of a batch, beyond which so many batches are enough; assumption: a language model
REPEATED = 4  # batches on which the loss is asked again; assumption
SAME = 2e-5  # relative difference of two values of one loss; assumption: float32 sums in another order
LAST = 15  # batches, and the present one, whose answers count as late; assumption
SHARES = 100  # labels whose shares are told
EDGE = 0.02  # of the range: what counts as at its end; assumption
IGNORED = -100  # torch's mark for labels that do not count


class Answers:
    """Sees outputs and targets of a live training until `close`."""

    def __init__(self, model: nn.Module, loss_fn: Any = None) -> None:
        self._loss_fn = loss_fn
        self._output: Tensor | None = None
        self._asked: tuple[Tensor, Tensor, float | Tensor] | None = (
            None  # outputs, targets, value as the loss's hook saw them
        )
        front = door(model)
        self._front = None if front is None else weakref.ref(front)
        self._handles: list[Any] = []
        self._root: Tensor | None = None  # what was run backwards last
        self._graph: tuple[Tensor, Tensor] | None = None  # target and value, off the graph of a loss that is no module
        self._reckoned: tuple[Tensor, Tensor, Tensor] | None = None  # outputs, targets, value of a loss by hand
        self._rooted: Tensor | None = None  # the outputs of this update with their place in the graph
        self._tap = Tap(self._ran, after=False)
        self._calls = self._looked = 0
        self._listen()
        self._told: dict[str, Any] = {}
        self._low, self._high, self._values = math.inf, -math.inf, 0
        self._gaps = {"row_sum_gap": 0.0, "column_sum_gap": 0.0, "normaliser_gap": 0.0}
        self._labels: Counter[int] = Counter()
        self._target_low, self._target_high = math.inf, -math.inf
        self._moments = [0.0, 0.0, 0.0]  # count, sum, sum of squares of the targets
        self._forms: dict[tuple[str, str], list[tuple[float, int, int]]] = {}
        self._answered: list[tuple[int, dict[int, int]]] = []  # rows by class answered, of the last batches
        self._alike: list[tuple[int, float, float]] = []  # calls, share of the commonest answer, of the commonest label
        self._right: list[tuple[int, int, int]] = []  # calls, rows answered rightly, rows
        self._roots: list[float] = []  # what was run backwards over the loss
        self._halves: list[float] = []
        self._blind: list[bool] = []
        self._deaf: list[bool] = []
        self._outputs: list[Tensor] = []  # numbers of a regression, of the last batches
        self._targets: list[Tensor] = []

    def seen(self, loss: Any, target: Any = None) -> None:
        """After an update whose loss is known; `target` where the loss cannot be watched itself."""
        self._calls += 1
        asked, output, graph, root = self._asked or self._reckoned, self._output, self._graph, self._root
        if self._asked is None and self._reckoned is not None and not isinstance(target, Tensor):
            self._told["reckoned"] = True
        elif self._asked is None:
            asked = None
        self._asked = self._output = self._graph = self._root = self._reckoned = self._rooted = None
        self._listen()
        if not due(self._calls):
            return
        if asked is None:
            if graph is not None and not isinstance(target, Tensor):
                target, loss = graph
                self._told["from_graph"] = True
                if output is not None and target.dim() == output.dim() == 3 and target.shape[1] == 1:
                    target = target.squeeze(1)  # torch gives sequences a height of 1
            if output is None or not isinstance(target, Tensor):
                return
            if target.dim() == 1 and output.dim() > 2 and output.numel() == target.numel() * output.shape[-1]:
                output = output.flatten(0, -2)  # as the loss had it
            asked = (output, target.detach(), loss)
        outputs, target, value = asked
        if outputs.numel() > MOST and self._looked >= LARGE:
            return
        with torch.no_grad():
            self._look(outputs.float(), target.to(outputs.device), value, root)

    @property
    def width(self) -> int:
        """Outputs a row, 0 where none were seen."""
        return int(self._told.get("width", 0))

    def passed_over(self, updates: int) -> None:
        """After so many updates that were not looked at, before another one."""
        self._calls += updates

    def close(self) -> None:
        """Takes every hook away."""
        for handle in self._handles:
            handle.remove()
        self._tap.close()
        self._handles, self._asked, self._output, self._graph, self._root = [], None, None, None, None
        self._reckoned = self._rooted = None

    def facts(self) -> dict[str, Any]:
        """What was seen so far, under `answers`."""
        if not self._looked:
            return {}
        told = dict(self._told) | {"batches": self._looked, "values": self._values}
        if self._values:
            told |= {"output_low": self._low, "output_high": self._high}
        told |= {name: gap for name, gap in self._gaps.items() if self._told.get("width", 0) > 1 and math.isfinite(gap)}
        count, total, squares = self._moments
        if count:
            told |= {"target_low": self._target_low, "target_high": self._target_high}
            told["target_mean"] = total / count
            told["target_std"] = math.sqrt(max(0.0, squares / count - (total / count) ** 2))
        if self._labels:
            told["labels"] = len(self._labels)
            told["label_shares"] = {
                str(label): each / sum(self._labels.values()) for label, each in self._labels.most_common(SHARES)
            }
        late: Counter[int] = Counter()
        for call, each in self._answered:
            if call > self._calls / 2:
                late.update(each)
        told |= self._rightly()
        if late:
            told["answered"] = {str(label): each / sum(late.values()) for label, each in late.most_common(SHARES)}
        told |= self._likeness()
        told |= self._form()
        told |= self._chance(told)
        if self._roots:
            ordered = sorted(self._roots)
            told["root"] = ordered[len(ordered) // 2]
            told["root_spread"] = (ordered[-1] - ordered[0]) / max(abs(told["root"]), 1e-12)
        if self._halves:
            ordered = sorted(self._halves)
            told |= {"halves": ordered[len(ordered) // 2], "halves_low": ordered[0], "halves_high": ordered[-1]}
        if self._blind and told.get("pairing") != "rows":
            told["blind"] = all(self._blind)
        if self._deaf and (all(self._deaf) or "blind" in told):
            told["deaf"] = all(self._deaf)
        told |= self._reach()
        return {"answers": told}

    # Hooks

    def _listen(self) -> None:
        """Hooks are on for an update that is looked at alone; a loss that is no module is found on the graph."""
        front = None if self._front is None else self._front()
        if not due(self._calls + 1) or front is None:
            self.close()
            return
        if not self._handles:
            self._handles = [front.register_forward_hook(Peep(self, "_passed"))]
            if isinstance(self._loss_fn, nn.Module):
                self._handles.append(self._loss_fn.register_forward_hook(Peep(self, "_lost")))
        self._tap.open()

    def _ran(self, tensors: Any, before: bool) -> None:
        loss = tensors if isinstance(tensors, Tensor) else None
        if before and loss is not None and loss.numel() == 1:
            self._root = loss.detach()
            found = seen_in(loss)
            if found is not None and found.target is not None:
                self._graph = (found.target.detach(), loss.detach())
            elif self._rooted is not None and loss.grad_fn is not None:
                pair = residual_in(loss, self._rooted)
                self._reckoned = None if pair is None else (*pair, loss.detach())

    def _passed(self, module: nn.Module, args: Any, output: Any) -> None:
        first = output if isinstance(output, Tensor) else next(_tensors(output), None)
        if torch.is_grad_enabled() and first is not None and first.is_floating_point():
            self._output, self._rooted = first.detach(), first

    def _lost(self, module: nn.Module, args: Any, value: Any) -> None:
        given = [each for each in args if isinstance(each, Tensor)]
        if torch.is_grad_enabled() and len(given) == 2 and given[0].is_floating_point() and isinstance(value, Tensor):
            self._asked = (given[0].detach(), given[1].detach(), value.detach().float().mean())

    # One batch

    def _look(self, outputs: Tensor, target: Tensor, value: Any, root: Tensor | None) -> None:
        value = float(value) if not isinstance(value, Tensor) or value.numel() == 1 else math.nan
        if not bool(torch.isfinite(outputs).all()) or not len(outputs):
            return
        whole = not target.is_floating_point()
        known = target[target != IGNORED] if whole else target[torch.isfinite(target)]
        if not known.numel():
            return
        self._looked += 1
        classes = whole and outputs.dim() == target.dim() + 1
        axis = (1 if outputs.shape[:1] + outputs.shape[2:] == target.shape else -1) if classes else -1
        flat = (
            outputs.movedim(axis, -1).flatten(0, -2)
            if classes and outputs.dim() > 1
            else outputs.flatten(1)
            if outputs.dim() > 1
            else outputs[:, None]
        )
        self._told |= {
            "width": flat.shape[1],
            "output_shape": list(outputs.shape),
            "target_shape": list(target.shape),
            "rows": len(outputs),
            "loss": None if self._loss_fn is None else getattr(self._loss_fn, "__name__", type(self._loss_fn).__name__),
        }
        self._low, self._high = min(self._low, float(outputs.min())), max(self._high, float(outputs.max()))
        self._values += outputs.numel()
        if flat.shape[1] > 1:
            sums = {
                "row_sum_gap": (flat.sum(1) - 1).abs().max(),
                "column_sum_gap": (flat.sum(0) - 1).abs().max() if len(flat) > 1 else torch.tensor(0.0),
                "normaliser_gap": flat.logsumexp(1).abs().max(),
            }
            self._gaps = {name: max(self._gaps[name], float(gap)) for name, gap in sums.items()}
        self._take(known, whole)
        self._answer(flat, target, classes)
        if not whole:
            self._told["whole"] = self._told.get("whole", True) and bool((known == known.round()).all())
        if not whole and "output_first" not in self._told:
            self._told["output_first"] = float(outputs.mean())
        if not whole and outputs.numel() == target.numel():
            self._outputs = [*self._outputs[-32:], outputs.flatten()[:4096].cpu()]
            self._targets = [*self._targets[-32:], target.flatten()[:4096].float().cpu()]
        if self._loss_fn is not None and self._looked <= REPEATED:
            again = self._ask(outputs, target)
            value = value if again is None else again
            if again and root is not None and math.isfinite(float(root)):
                self._roots.append(float(root) / again)
        elif self._loss_fn is not None and not isinstance(self._loss_fn, nn.Module):
            return  # what the loop runs backwards need not be the loss itself
        if math.isfinite(value):
            for name, form in _forms(outputs, target, classes, axis):
                plain = float(form)
                if math.isfinite(plain) and abs(plain) > 1e-12:
                    self._forms.setdefault(name, []).append((value / plain, len(outputs), outputs.numel()))

    def _take(self, known: Tensor, whole: bool) -> None:
        numbers = known.double()
        self._target_low = min(self._target_low, float(numbers.min()))
        self._target_high = max(self._target_high, float(numbers.max()))
        self._moments = [
            self._moments[0] + numbers.numel(),
            self._moments[1] + float(numbers.sum()),
            self._moments[2] + float((numbers**2).sum()),
        ]
        flags = not whole and bool(((known == 0) | (known == 1)).all())
        if whole or (flags and known.dim() < 3 and (known.dim() < 2 or known.shape[-1] == 1)):
            labels, counts = torch.unique(known.long(), return_counts=True)
            self._labels.update(dict(zip(labels.tolist(), counts.tolist(), strict=True)))
        self._told["kind"] = (
            "classes" if whole else "flags" if flags and self._told.get("kind", "flags") == "flags" else "numbers"
        )

    def _answer(self, flat: Tensor, target: Tensor, classes: bool) -> None:
        """Which class is answered, by row; of flags, whether yes is."""
        if classes:
            given = flat.argmax(1)
            rows = target.flatten() != IGNORED
            if len(rows) == len(given):
                given, labels = given[rows], target.flatten()[rows]
                self._right = [*self._right[-LAST:], (self._calls, int((given == labels).sum()), len(given))]
        elif self._told.get("kind") == "flags" and flat.shape[1] == 1:
            given = (flat[:, 0] > (0.5 if self._low >= 0 and self._high <= 1 else 0.0)).long()
        else:
            return
        known = target.flatten()[target.flatten() != IGNORED] if classes else target.flatten()
        if len(given) and len(known):
            one, other = (float(torch.unique(each, return_counts=True)[1].max()) / len(each) for each in (given, known))
            self._alike = [*self._alike[-LAST:], (self._calls, one, other)]
        labels, counts = torch.unique(given, return_counts=True)
        self._answered = [
            *self._answered[-LAST:],
            (self._calls, dict(zip(labels.tolist(), counts.tolist(), strict=True))),
        ]

    def _rightly(self) -> dict[str, Any]:
        """Of the last third of the run."""
        late = [(right, rows) for call, right, rows in self._right if call > 2 * self._calls / 3]
        rows = sum(count for _, count in late)
        return {"right": sum(right for right, _ in late) / rows, "right_of": rows} if rows else {}

    def _likeness(self) -> dict[str, Any]:
        """Of the last half of the run."""
        late = [(answers, labels) for call, answers, labels in self._alike if call > self._calls / 2]
        return {"alike": median(one for one, _ in late), "labels_alike": median(one for _, one in late)} if late else {}

    def _ask(self, outputs: Tensor, target: Tensor) -> float | None:
        """The loss anew, on the batch, its halves and with targets moved; random generators and the loss itself stay as they are."""
        loss_fn = self._loss_fn
        if isinstance(loss_fn, nn.Module):
            if any(True for _ in loss_fn.parameters()):
                return None
            loss_fn = copy.copy(loss_fn)
            loss_fn._forward_hooks = type(loss_fn._forward_hooks)()
        before = random_state()
        try:
            whole = _number(loss_fn(outputs, target))
            count = len(outputs)
            if whole is None or count != len(target) or count < 4:
                return whole
            half = count // 2
            parts = [_number(loss_fn(outputs[:half], target[:half])), _number(loss_fn(outputs[half:], target[half:]))]
            if None not in parts:
                mean = (half * parts[0] + (count - half) * parts[1]) / count  # type: ignore[operator]
                if mean:
                    self._halves.append(whole / mean)
            moved = target.roll(1, 0)
            if torch.equal(moved, target):
                changed = _number(loss_fn(outputs, _another(outputs, target)))
                self._deaf += [] if changed is None else [_same(changed, whole)]
            else:
                other = _number(loss_fn(outputs, moved))
                some = _number(loss_fn(outputs, target[:1].expand(target.shape).contiguous()))
                spread = float(outputs.std(0, correction=0).mean())
                size = max(
                    float(outputs.abs().max()),
                    float(target.double().abs().max()) if target.is_floating_point() else 0.0,
                )
                if other is not None and some is not None and spread > 1e-2 * size:
                    self._blind.append(_same(other, whole))
                    self._deaf.append(_same(other, whole) and _same(some, whole))
            return whole
        except Exception as raised:  # a loss that wants the batch as it is; nothing is told of it then
            self._told["loss_not_asked"] = str(raised)[:200]
            return None
        finally:
            set_random_state(before)

    # What it comes to

    def _form(self) -> dict[str, Any]:
        best: dict[str, Any] = {}
        for (name, pairing), found in self._forms.items():
            if len(found) < min(3, self._looked):
                continue
            for power in (0, 1, -1):  # a multiple, a sum over rows, a mean divided by the rows
                scales = [ratio / rows**power for ratio, rows, _ in found]
                middle = sorted(scales)[len(scales) // 2]
                spread = max(abs(each / middle - 1) for each in scales) if middle else math.inf
                plain = abs(middle - 1) < SAME
                if power and not plain:
                    continue  # a factor by taste beside it, which nothing tells apart
                summed = any(abs(middle / size - 1) < SAME for size in (found[0][1], found[0][2]) if size > 1)
                if spread < SAME * 5 and (not best or plain > (abs(best["scale"] - 1) < SAME)):
                    best = {
                        "form": name,
                        "pairing": pairing,
                        "scale": float(found[0][1]) ** power if power else middle,
                        "scale_spread": spread,
                        "per_rows": power > 0 or (summed and not plain),
                    }
        return best

    def _chance(self, told: dict[str, Any]) -> dict[str, Any]:
        """The loss of the best constant answer, where the loss is a known one: label entropy, or the spread of the targets."""
        count, total, squares = self._moments
        if told.get("pairing") != "rows" or not count:
            return {}
        if told["form"] in ("cross_entropy", "nll") and self._labels:
            shares = [each / sum(self._labels.values()) for each in self._labels.values()]
            return {"chance": told["scale"] * -sum(each * math.log(each) for each in shares)}
        if told["form"] in ("bce", "bce_with_logits") and told.get("kind") == "flags":
            mean = total / count
            return {"chance": told["scale"] * sum(-each * math.log(each) for each in (mean, 1 - mean) if each > 0)}
        if told["form"] == "mse":
            return {"chance": told["scale"] * max(0.0, squares / count - (total / count) ** 2)}
        return {}

    def _reach(self) -> dict[str, Any]:
        """Of numbers: an end of the outputs that none of them passes, at which they crowd, with targets beyond it."""
        if not self._outputs or self._told.get("kind") != "numbers":
            return {}
        outputs, targets = torch.cat(self._outputs), torch.cat(self._targets)
        low, high = float(outputs.min()), float(outputs.max())
        margin = EDGE * max(high - low, 1e-12)
        ends = [
            ((targets < low - margin).double().mean(), (outputs <= low + margin).double().mean(), low),
            ((targets > high + margin).double().mean(), (outputs >= high - margin).double().mean(), high),
        ]
        beyond, crowd, end = max(ends, key=lambda each: float(each[0] * each[1]))
        middle = targets.median()
        away = (targets - middle).abs() / (1.4826 * (targets - middle).abs().median()).clamp(min=1e-300)
        return {
            "target_outlier": float(away.max()),
            "target_wild": float((away > 20).double().mean()),
            "reached": float(outputs.std() / targets.std().clamp(min=1e-300)),
            "beyond": float(beyond),
            "crowd": float(crowd),
            "end": end,
            "outside": float(((targets < low - margin) | (targets > high + margin)).double().mean()),
            "late_low": low,
            "late_high": high,
        }


def _another(outputs: Tensor, target: Tensor) -> Tensor:
    """Targets that may well be, and are others in every row."""
    if not target.is_floating_point():
        return (target + 1) % max(2, outputs.shape[min(1, outputs.dim() - 1)])
    if bool(((target == 0) | (target == 1)).all()):
        return 1 - target
    return target + target.abs().amax() + outputs.std(correction=0)


def _forms(outputs: Tensor, target: Tensor, classes: bool, axis: int) -> Iterator[tuple[tuple[str, str], Tensor]]:
    """The usual losses of a batch, as means."""
    if classes:
        by_class = outputs.movedim(axis, 1)
        if int(target.max()) >= by_class.shape[1] or int(target[target != IGNORED].min()) < 0:
            return
        yield ("cross_entropy", "rows"), functional.cross_entropy(by_class, target)
        yield ("nll", "rows"), functional.nll_loss(by_class, target)
        return
    target = target.to(outputs.dtype)
    if outputs.shape == target.shape:
        yield from _elementwise(outputs, target, "rows")
    elif outputs.numel() == target.numel():
        yield from _elementwise(outputs.flatten(), target.flatten(), "rows")
    if outputs.numel() == target.numel() == len(outputs) > 1 and len(outputs) <= 4096:
        square = len(outputs), len(outputs)
        yield from _elementwise(
            outputs.reshape(-1, 1).expand(square), target.reshape(1, -1).expand(square), "all with all"
        )


def _elementwise(outputs: Tensor, target: Tensor, pairing: str) -> Iterator[tuple[tuple[str, str], Tensor]]:
    yield ("mse", pairing), functional.mse_loss(outputs, target)
    yield ("l1", pairing), functional.l1_loss(outputs, target)
    yield ("smooth_l1", pairing), functional.smooth_l1_loss(outputs, target)
    yield ("bce_with_logits", pairing), functional.binary_cross_entropy_with_logits(outputs, target)
    if (
        float(outputs.min()) >= 0
        and float(outputs.max()) <= 1
        and float(target.min()) >= 0
        and float(target.max()) <= 1
    ):
        yield ("bce", pairing), functional.binary_cross_entropy(outputs, target)


def _tensors(given: Any) -> Iterator[Tensor]:
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, dict):
        for each in ("logits", *given):
            if each in given:
                yield from _tensors(given[each])
    elif isinstance(given, list | tuple):
        for each in given:
            yield from _tensors(each)


def _number(value: Any) -> float | None:
    found = float(value.float().mean()) if isinstance(value, Tensor) else float(value)
    return found if math.isfinite(found) else None


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= SAME * max(abs(one), abs(other), 1e-12)
