"""`norm_for`: which norm fits a case, with its reason in a sentence and numbers.

Source of the numbers: batch norm's error grows below 16 samples a device while group norm's stays (Wu & He,
arXiv:1803.08494, table 2 and figure 1: 32 groups); layers that norm each position are the rule in sequence models
(arXiv:1607.06450, arXiv:1910.07467); tables: Gorishniy et al., arXiv:2106.11959, section 3.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from tunesmith.blocks.layers.norm.group import groups_of
from tunesmith.records import ModelError, did_you_mean

FEWEST = 16  # samples a device that batch norm needs: arXiv:1803.08494, figure 1
KINDS = {
    "picture": ("picture", "pictures", "image", "images", "cnn", "volume"),
    "sequence": ("sequence", "sequences", "text", "language", "transformer", "lstm", "rnn", "audio"),
    "table": ("table", "tables", "tabular", "mlp", "numbers"),
    "style": ("style", "style_transfer", "generator"),
}
SEQUENCE_LAYERS = (nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
NOT_SHUFFLED = (torch.utils.data.SequentialSampler,)


@dataclass(frozen=True, slots=True)
class NormAdvice:
    """The norm to take, others that fit, the reason, and the numbers it rests on."""

    name: str
    options: Mapping[str, Any]
    because: str
    alternatives: tuple[str, ...]
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        also = f" (or {', '.join(self.alternatives)})" if self.alternatives else ""
        return f"{self.name}{also}: {self.because}"


def norm_for(
    model_or_kind: nn.Module | str,
    data: Any = None,
    *,
    batch: int | None = None,
    devices: int = 1,
    accumulate: int = 1,
    shuffled: bool | None = None,
    fewest: int = FEWEST,
) -> NormAdvice:
    """Which member of `NORMS` fits a model, or a kind (picture, sequence, table, style), on such data.

    `data` is a batch (a tensor, (x, y), a dict), a DataLoader, an object with `train` and `batch_size` such as a task, or
    a mapping with batch, shape and shuffled; shapes, batch size and order are read off it. `batch` counts the samples of one
    forward on all `devices` together, before `accumulate`; `fewest` are those a device needs for batch norm.
    Raises `ModelError` for a kind that is not known.

    >>> norm_for("picture", batch=8).name, norm_for("picture", batch=128, shuffled=True).name, norm_for("text").name
    ('group', 'batch', 'layer')
    """
    told = _told(data)
    if batch is not None:
        told["batch"] = batch
    if shuffled is not None:
        told["shuffled"] = shuffled
    kind = _kind(model_or_kind, told.get("shape"))
    numbers = {"kind": kind, **told, "devices": devices, "accumulate": accumulate, "fewest": fewest}
    if told.get("batch") is not None:
        numbers["batch_per_device"] = told["batch"] // max(devices, 1)
    features = _features(model_or_kind)
    if kind == "picture":
        return _for_pictures(numbers, features)
    return _FIXED[kind](numbers)


def _for_pictures(numbers: dict[str, Any], features: int | None) -> NormAdvice:
    each, whole = numbers.get("batch_per_device"), numbers.get("batch")
    groups: dict[str, Any] = {} if features is None else {"groups": groups_of(features)}
    least = numbers["fewest"]
    if each is None:
        because = f"the batch size is not known; with {least} or more shuffled pictures a device batch norm trains best, with fewer group norm"
        return NormAdvice("batch", {}, because, ("group",), numbers)
    if numbers.get("shuffled") is False:
        because = "the batches are not shuffled, so their statistics are not those of the data; groups look at one picture alone"
        return NormAdvice("group", groups, because, ("layer", "frn"), numbers)
    if each < least:
        window = (
            f"; {numbers['accumulate']} accumulated batches do not help, each has its own statistics"
            if numbers["accumulate"] > 1
            else ""
        )
        pooled = ("sync_batch",) if numbers["devices"] > 1 and whole >= least else ()
        because = (
            f"{each} pictures a device are fewer than the {least} that batch norm needs for its statistics{window}; "
            "groups look at one picture alone"
        )
        return NormAdvice("group", groups, because, (*pooled, "frn", "batch_renorm"), numbers)
    because = f"{each} pictures a device are enough for the statistics of batch norm ({least} or more, shuffled), which folds away in evaluation"
    return NormAdvice("batch", {}, because, ("group",), numbers)


def _for_sequences(numbers: dict[str, Any]) -> NormAdvice:
    because = "lengths and padding differ from batch to batch, so statistics over a batch do too; layer norm looks at each position alone"
    return NormAdvice("layer", {}, because, ("rms",), numbers)


def _for_tables(numbers: dict[str, Any]) -> NormAdvice:
    each = numbers.get("batch_per_device")
    enough = each is None or each >= numbers["fewest"]
    size = "" if each is None else f"; batches of {each} are {'enough' if enough else 'too few'} for batch norm"
    because = f"columns are scaled already, so a shallow net needs none; layer norm does not depend on the batch{size}"
    return NormAdvice("layer", {}, because, ("none", "batch") if enough else ("none",), numbers)


def _for_style(numbers: dict[str, Any]) -> NormAdvice:
    because = "the contrast of each picture is what must go: instance norm takes mean and scale of each channel of each picture away"
    return NormAdvice("instance", {}, because, ("group",), numbers)


_FIXED = {"sequence": _for_sequences, "table": _for_tables, "style": _for_style}


def _kind(model_or_kind: nn.Module | str, shape: tuple[int, ...] | None) -> str:
    if isinstance(model_or_kind, str):
        found = next((kind for kind, names in KINDS.items() if model_or_kind.lower() in names), None)
        if found is None:
            known = [name for names in KINDS.values() for name in names]
            raise ModelError(f"norm_for knows no kind {model_or_kind!r}{did_you_mean(model_or_kind, known)}")
        return found
    parts = list(model_or_kind.modules())
    called = {type(part).__name__.lower() for part in parts}
    if any(isinstance(part, SEQUENCE_LAYERS) for part in parts) or any(
        "attention" in name or "lstm" in name for name in called
    ):
        attended = any(isinstance(part, nn.Conv2d | nn.Conv3d) for part in parts) and not any(
            isinstance(part, nn.Embedding) for part in parts
        )
        convolutions = sum(isinstance(part, nn.Conv2d | nn.Conv3d) for part in parts)
        return (
            "picture" if attended and convolutions > 2 else "sequence"
        )  # a patch embedding alone is no convolutional net
    if any(isinstance(part, nn.InstanceNorm2d | nn.InstanceNorm3d) for part in parts):
        return "style"
    if any(isinstance(part, nn.Conv2d | nn.Conv3d) for part in parts):
        return "picture"
    if any(isinstance(part, nn.Conv1d | nn.Embedding) for part in parts):
        return "sequence"
    return {4: "picture", 5: "picture", 3: "sequence"}.get(len(shape or ()), "table")


def _features(model_or_kind: nn.Module | str) -> int | None:
    """Channels that all groups must divide: the narrowest convolution."""
    if isinstance(model_or_kind, str):
        return None
    return min((part.out_channels for part in model_or_kind.modules() if isinstance(part, _ConvNd)), default=None)


def _told(data: Any) -> dict[str, Any]:
    """batch, shape and shuffled, as far as the data tell."""
    if data is None:
        return {}
    if isinstance(data, Mapping) and not any(isinstance(value, Tensor) for value in data.values()):
        return {name: data[name] for name in ("batch", "shape", "shuffled") if name in data}
    if isinstance(data, torch.utils.data.DataLoader):
        return _told_by_loader(data)
    if hasattr(data, "train"):
        size = getattr(data, "batch_size", None)
        told = (
            _told(data.train) if isinstance(data.train, torch.utils.data.DataLoader) else {"shape": _shape(data.train)}
        )
        return told | ({"batch": size} if isinstance(size, int) else {})
    shape = _shape(data)
    return {"shape": shape, "batch": shape[0] if shape else None}


def _told_by_loader(loader: torch.utils.data.DataLoader[Any]) -> dict[str, Any]:
    """Without drawing a batch, which would move the generator of its order."""
    told: dict[str, Any] = {"batch": loader.batch_size, "shape": None, "shuffled": None}
    if not isinstance(loader.dataset, torch.utils.data.IterableDataset):
        row = _shape(loader.dataset[0])
        told["shape"] = None if row is None else (loader.batch_size or 1, *row)
        told["shuffled"] = not isinstance(loader.sampler, NOT_SHUFFLED)
    return told


def _shape(batch: Any) -> tuple[int, ...] | None:
    if hasattr(batch, "shape"):
        return tuple(batch.shape)
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else ()
    return next((found for found in map(_shape, _few(parts)) if found), None)


def _few(parts: Iterable[Any]) -> list[Any]:
    return [part for part, _ in zip(parts, range(4), strict=False)]
