"""Weights out of a folder: by our names, checked against what its description asks for."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tunesmith.blocks import models
from tunesmith.blocks.models.stored.describing import CONFIG, Pair, Stored, describe
from tunesmith.records import CheckpointError, ModelError, Recipe, revise

ONE, SHARDS = "model.safetensors", "model.safetensors.index.json"
HEAD = "head."
SHOWN = 3  # names of a list


def weights(stored: Stored) -> dict[str, Tensor]:
    """The tensors of a folder by the names of our net, in single precision.

    Raises `CheckpointError` for files that are absent or cannot be read, `ModelError` where names or shapes are not those of the description.
    """
    found = _without_prefix(_tensors(stored.folder), stored)
    absent = [pair.theirs for pair in stored.pairs if pair.theirs not in found]
    if absent:
        raise ModelError(
            f"{stored.folder} lacks {_few(absent)}, which its {CONFIG} asks for; copy the folder again, or mend the description"
        )
    known = {pair.theirs for pair in stored.pairs}
    strange = [name for name in found if name not in known and not any(part in name for part in stored.beside)]
    if strange:
        raise ModelError(
            f"{stored.folder} holds {_few(strange)}, for which its {CONFIG} has no place; mend the description, or load it as 'transformers/"
            f"{stored.folder}', with the extra text"
        )
    expected = {name: tuple(one.shape) for name, one in _empty(stored).state_dict().items()}
    return {pair.ours: _checked(found[pair.theirs], pair, expected, stored) for pair in stored.pairs}


def load(folder: str | Path, *, changes: Mapping[str, Any] | None = None) -> nn.Module:
    """The language model, or the encoder, of a folder, in evaluation mode; the head of an encoder gives its pooled vector as it is.

    `changes` are recipe values that the weights do not settle, such as `model.dropout` or `model.pooling`.
    """
    stored = describe(Path(folder).expanduser())
    held = weights(stored)
    net = _built(stored, changes or {})
    if stored.name == "encoder":
        width = int(stored.settings["model.width"])
        held |= {"head.weight": torch.eye(width), "head.bias": torch.zeros(width)}
    net.load_state_dict(held)
    return net.eval()


def grown(table: Tensor, rows: int) -> Tensor:
    """A table of tokens with rows for new ones: each begins at the mean of those there are.

    Source: Hewitt, Initializing New Word Embeddings for Pretrained Language Models, 2021: no new token then takes from the others more than
    its even share.
    """
    if rows <= len(table):
        return table
    return torch.cat([table, table.mean(0, keepdim=True).expand(rows - len(table), -1)])


def _built(stored: Stored, changes: Mapping[str, Any]) -> nn.Module:
    language = stored.name in models.PREDICT_TOKENS
    spec = {"tokens": SimpleNamespace(vocabulary=stored.vocabulary, length=stored.context, padding=0)}
    recipe = revise(Recipe(), {**stored.settings, **changes})
    outputs = stored.vocabulary if language else int(stored.settings["model.width"])
    return models.build(stored.name, recipe, spec, outputs, "language" if language else "multi_regression")


def _empty(stored: Stored) -> nn.Module:
    with torch.device("meta"):
        return _built(stored, {})


def _checked(tensor: Tensor, pair: Pair, expected: Mapping[str, tuple[int, ...]], stored: Stored) -> Tensor:
    wanted = expected[pair.ours]
    turned = tensor if pair.read is None or tensor.dim() != len(wanted) else pair.read(tensor)
    if tuple(turned.shape) != wanted:
        raise ModelError(
            f"{stored.folder}: {pair.theirs} has the shape {tuple(tensor.shape)}, and its {CONFIG} asks for {wanted}; they are of two models"
        )
    return turned.float()


def _tensors(folder: Path) -> dict[str, Tensor]:
    names = [ONE] if (folder / ONE).is_file() else _shards(folder)
    found: dict[str, Tensor] = {}
    for name in names:
        try:
            found |= load_file(folder / name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{folder / name} cannot be read as weights ({error}); copy it again") from error
    return found


def _shards(folder: Path) -> list[str]:
    index = folder / SHARDS
    if not index.is_file():
        raise CheckpointError(
            f"{folder} holds a {CONFIG} and no {ONE}; weights of other formats are stored so by save_pretrained of Transformers"
        )
    return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))


def _without_prefix(found: dict[str, Tensor], stored: Stored) -> dict[str, Tensor]:
    """The tensors under the prefix that makes most names known."""
    known = {pair.theirs for pair in stored.pairs}
    ways = [{name.removeprefix(prefix): one for name, one in found.items()} for prefix in stored.prefixes]
    return max(ways, key=lambda way: len(known & set(way)))


def _few(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" … ({len(names)} in all)" if len(names) > SHOWN else "")
