"""Outputs, answers and labels of a live loop, and the loss by class, from the batches looked at."""

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.doctor.probes.watcher_activations import plain
from tunesmith.doctor.probes.watcher_ledger import Ledger, Point
from tunesmith.doctor.probes.watcher_loss import Seen

ROWS = 512  # of a batch that are looked at; assumption
WINDOW = 512  # rows over which answers and losses by class are told
LOOKS = 16
CLASSES = 20  # told one by one
FEWEST = 8  # rows of a class before its loss is told
HIGH = 0.99
ENOUGH = 200  # labels before the chance level is told; assumption
BINARY = ("bce_with_logits", "bce")
NUMBERS = ("mse", "smooth_l1", "huber", "l1")


class Outputs:
    """Keeps counts over the run. `facts` says what outputs and labels are."""

    def __init__(self, ledger: Ledger, classes: int | None) -> None:
        self.ledger = ledger
        self.classes = classes
        self.facts: dict[str, Any] = {}
        self.labels: np.ndarray = np.zeros(0)  # counts by class since the start
        self.sums = np.zeros(3)  # of numbers as targets: count, sum, sum of squares
        self._answers: deque[np.ndarray] = deque(maxlen=LOOKS)  # rows of answer, label, loss
        self._told_at = 0.0

    def look(self, seen: Seen, step: int) -> None:
        """Of a batch as the loss saw it."""
        if not plain(seen.outputs):
            return
        self._describe(seen)
        with torch.no_grad(), torch.autocast(seen.outputs.device.type, enabled=False):
            if seen.kind == "cross_entropy":
                self._classes(seen, step)
            elif seen.kind in BINARY:
                self._binary(seen, step)
            else:
                self._numbers(seen, step)

    def _describe(self, seen: Seen) -> None:
        if "loss" in self.facts:
            return
        self.facts["loss"] = seen.kind
        self.facts["loss_path"] = seen.path
        self.facts["loss_reduction"] = ("none", "mean", "sum")[seen.reduction] if seen.reduction < 3 else "mean"
        self.facts["loss_shapes"] = [
            list(seen.outputs.shape),
            list(seen.target.shape) if seen.target is not None else None,
        ]
        if seen.kind == "cross_entropy":
            self.facts["kind"] = "classification"
            self.facts["outputs"] = seen.outputs.shape[1 if seen.outputs.dim() > 1 else 0]
        elif seen.kind in BINARY:
            wide = seen.outputs.dim() > 1 and seen.outputs.shape[-1] > 1
            self.facts["kind"] = "multilabel" if wide else "classification"
            self.facts["outputs"] = seen.outputs.shape[-1] if wide else 1
        else:
            self.facts["kind"] = "regression"
            self.facts["outputs"] = seen.outputs.shape[-1] if seen.outputs.dim() > 1 else 1

    # Classes

    def _classes(self, seen: Seen, step: int) -> None:
        logs = seen.outputs.detach()
        logs = logs.movedim(1, -1).flatten(0, -2) if logs.dim() > 1 else logs[None]
        target = seen.target.detach().flatten() if seen.target is not None else None
        stride = max(1, len(logs) // ROWS)
        logs = logs[::stride].float()
        high, answer = logs.max(1)
        chances = logs.exp()
        entropy = -(chances * logs.clamp(min=-1e4)).sum(1)
        columns = [answer.float(), high.exp(), entropy]
        labels = torch.zeros(0, device=logs.device)
        if target is not None:
            row_labels = target[::stride]
            legal = (row_labels >= 0) & (row_labels < logs.shape[1]) & (row_labels != (seen.ignored or -1))
            at = torch.where(legal, row_labels, torch.zeros_like(row_labels))
            columns += [torch.where(legal, row_labels, -1 * torch.ones_like(row_labels)).float()]
            columns += [-logs.gather(1, at[:, None])[:, 0]]
            labels = target[: 2 * ROWS].float()
            if seen.ignored is not None:
                labels = torch.where(target[: 2 * ROWS] == seen.ignored, -torch.ones_like(labels), labels)
        table = torch.stack(columns, 1)
        width = logs.shape[1]
        self.ledger.later(
            step,
            torch.cat((table.flatten(), labels)),
            lambda numbers: self._told(np.asarray(numbers), table.shape[1], len(labels), width),
        )

    def _told(self, numbers: np.ndarray, columns: int, labels: int, width: int) -> Iterable[Point]:
        cut = len(numbers) - labels
        rows = numbers[:cut].reshape(-1, columns)
        yield "confidence", "", float(rows[:, 1].mean())
        yield "confidence_high", "", float((rows[:, 1] > HIGH).mean())
        yield "output_entropy", "", float(rows[:, 2].mean())
        kept = np.full((len(rows), 3), -1.0)
        kept[:, 0] = rows[:, 0]
        if columns > 3:
            kept[:, 1:] = rows[:, 3:]
        for name, column in (("answers_alike", kept[:, 0]), ("labels_alike", kept[kept[:, 1] >= 0, 1])):
            if len(column) and np.isfinite(column).all():
                yield name, "", float(np.unique(column, return_counts=True)[1].max() / len(column))
        yield from self._by_class(kept, width)
        yield from self._of_labels(numbers[cut:], width)

    def _by_class(self, rows: np.ndarray, width: int) -> Iterable[Point]:
        """Answers, right ones, and losses by class, over the latest rows."""
        self._answers.append(rows)
        taken, count = [], 0
        for one in reversed(self._answers):
            taken.append(one)
            count += len(one)
            if count >= WINDOW:
                break
        window = np.concatenate(taken)
        finite = np.isfinite(window[:, 0])
        answers = np.bincount(window[finite, 0].astype(int).clip(0), minlength=width)
        shown = np.argsort(-answers, kind="stable")[:CLASSES] if width > CLASSES else np.arange(width)
        for one in sorted(shown.tolist()):
            yield "predicted_share", str(one), float(answers[one] / max(1, finite.sum()))
        known = window[:, 1] >= 0
        if not known.any():
            return
        yield (
            "batch_accuracy",
            "",
            float((rows[:, 0] == rows[:, 1])[rows[:, 1] >= 0].mean()) if (rows[:, 1] >= 0).any() else math.nan,
        )
        of = window[known, 1].astype(int)
        counts = np.bincount(of, minlength=width)
        sums = np.bincount(of, weights=window[known, 2], minlength=width)
        for one in np.argsort(-counts, kind="stable")[:CLASSES].tolist():
            if counts[one] >= FEWEST:
                yield "class_loss", str(one), float(sums[one] / counts[one])

    def _of_labels(self, labels: np.ndarray, width: int) -> Iterable[Point]:
        known = labels[np.isfinite(labels) & (labels >= 0)].astype(int)
        if not len(known):
            return
        width = max(width, int(known.max()) + 1, len(self.labels))
        counts = np.bincount(known, minlength=width)
        self.labels = np.pad(self.labels, (0, width - len(self.labels))) + counts
        if len(known) > 1:
            share = counts[counts > 0] / len(known)
            yield "label_entropy", "", float(-(share * np.log(share)).sum())
            chance = float(((self.labels / self.labels.sum()) ** 2).sum())
            pairs = (labels[1:] == labels[:-1])[(labels[1:] >= 0) & (labels[:-1] >= 0)]
            if len(pairs) and chance < 1:
                yield "label_repeat", "", float(pairs.mean() / chance)
        total = float(self.labels.sum())
        if total >= 2 * self._told_at:  # shares settle slowly: told anew whenever the count has doubled
            self._told_at = total
            shown = np.argsort(-self.labels, kind="stable")[:CLASSES]
            for one in sorted(shown.tolist()):
                yield "label_share", str(one), float(self.labels[one] / total)

    # Yes or no, once or several times

    def _binary(self, seen: Seen, step: int) -> None:
        outputs = _two(seen.outputs.detach())
        outputs = outputs[:: max(1, len(outputs) // ROWS)].float()
        chance = outputs.sigmoid() if seen.kind == "bce_with_logits" else outputs
        sure = torch.maximum(chance, 1 - chance)
        entropy = torch.special.entr(chance) + torch.special.entr(1 - chance)
        said = (chance > 0.5).float().mean(0)
        head = torch.stack([sure.mean(), (sure > HIGH).float().mean(), entropy.mean(), *_spread(outputs)])
        parts = [head, said]
        width = outputs.shape[1]
        if seen.target is not None and seen.target.shape == seen.outputs.shape:
            target = _two(seen.target.detach())[: 2 * ROWS].float()
            parts += [target.mean(0), target.square().mean(0), (target[1:] == target[:-1]).float().mean(0)]
        self.ledger.later(
            step, torch.cat([one.flatten() for one in parts]), lambda numbers: self._told_binary(numbers, width)
        )

    def _told_binary(self, numbers: list[float], width: int) -> Iterable[Point]:
        head, rest = numbers[:5], np.asarray(numbers[5:]).reshape(-1, width)
        for name, value in zip(
            ("confidence", "confidence_high", "output_entropy", "output_spread", "output_scale"), head, strict=True
        ):
            yield name, "", value
        single = width == 1
        for one in range(min(width, CLASSES)):
            yield "predicted_share", "1" if single else str(one), float(rest[0, one])
            if len(rest) > 1:
                yield "label_share", "1" if single else str(one), float(rest[1, one])
        if single:
            yield "predicted_share", "0", 1 - float(rest[0, 0])
        if len(rest) > 1:
            share = rest[1].clip(1e-12, 1 - 1e-12)
            entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
            if single:
                yield "label_share", "0", 1 - float(rest[1, 0])
                yield "label_entropy", "", float(entropy[0])
            self.sums = self.sums + np.array([1.0, 0.0, 0.0])
            if len(self.labels) != width:
                self.labels = np.zeros(width)
            self.labels = self.labels + rest[1]  # mean shares of the batches looked at, times their number
            if single and rest.shape[0] > 3:
                overall = float(self.labels[0] / self.sums[0])
                chance = overall**2 + (1 - overall) ** 2
                if chance < 1:
                    yield "label_repeat", "", float(rest[3, 0] / chance)

    # Numbers

    def _numbers(self, seen: Seen, step: int) -> None:
        outputs = _two(seen.outputs.detach())
        outputs = outputs[:: max(1, len(outputs) // ROWS)].float()
        parts = [*_spread(outputs)]
        if seen.target is not None:
            target = seen.target.detach().flatten()[: 16 * ROWS].double()
            parts += [target.mean(), target.square().mean(), target.std(unbiased=False)]
        many = 0 if seen.target is None else min(seen.target.numel(), 16 * ROWS)
        self.ledger.later(
            step, torch.stack([one.double() for one in parts]), lambda numbers: self._told_numbers(numbers, many)
        )

    def _told_numbers(self, numbers: list[float], many: int) -> Iterable[Point]:
        yield "output_spread", "", numbers[0]
        yield "output_scale", "", numbers[1]
        if many:
            yield "target_mean", "", numbers[2]
            yield "target_std", "", numbers[4]
            self.sums = self.sums + many * np.array([1.0, numbers[2], numbers[3]])

    def chance(self) -> dict[str, Any]:
        """The loss of the best constant answer, as far as the batches looked at can tell."""
        kind, found = self.facts.get("loss"), {}
        if kind == "cross_entropy" and self.labels.sum() >= ENOUGH:
            share = self.labels[self.labels > 0] / self.labels.sum()
            found = {
                "chance_loss": float(-(share * np.log(share)).sum()),
                "classes": int((self.labels > 0).sum()),
                "label_shares": (self.labels / self.labels.sum())[:100].tolist(),
            }
        elif kind in BINARY and self.sums[0] >= 4 and len(self.labels):
            share = (self.labels / self.sums[0]).clip(1e-12, 1 - 1e-12)
            entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
            found = {"chance_loss": float(entropy.mean())} | ({"classes": 2} if len(share) == 1 else {})
        elif kind == "mse" and self.sums[0] >= ENOUGH:
            mean = self.sums[1] / self.sums[0]
            found = {"chance_loss": float(self.sums[2] / self.sums[0] - mean**2)}
        if self.facts.get("loss_reduction") == "sum":
            found.pop("chance_loss", None)
        return found


def _two(tensor: Tensor) -> Tensor:
    """(rows, outputs)."""
    return tensor.flatten(0, -2) if tensor.dim() > 1 else tensor.reshape(-1, 1)


def _spread(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviation over rows, averaged over outputs; root mean square."""
    within = outputs.std(0).mean() if len(outputs) > 1 else outputs.new_zeros(())
    return within, outputs.square().mean().sqrt()
