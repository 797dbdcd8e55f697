"""What reaches a net: which inputs it can take, and the columns of a table as one vector."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks.models import Spec, choose
from tunesmith.records import ModelError


def require(name: str, spec: Spec, *, takes: tuple[str, ...], needs: tuple[str, ...]) -> None:
    """Raises `ModelError` unless the data have one of `needs` and nothing outside `takes`."""
    if set(spec) <= set(takes) and set(spec) & set(needs):
        return
    have = " and ".join(_described(key, spec[key]) for key in spec) or "no inputs"
    beside = [key for key in takes if key not in needs]
    wanted = " or ".join(needs) + (f" (beside them {', '.join(beside)})" if beside else "")
    suited = choose(spec)
    advice = f"set model.name to {suited!r}" if suited != name else "bring a model of your own"
    raise ModelError(f"{name} needs {wanted}, the data have {have}; {advice}")


def _described(key: str, shape: object) -> str:
    match key:
        case "numbers":
            return f"numbers (width {getattr(shape, 'width', '?')})"
        case "categories":
            return f"categories ({len(getattr(shape, 'sizes', ()))} columns)"
        case "x":
            return f"arrays of shape {getattr(shape, 'shape', '?')}"
        case _:
            return key


def named(inputs: Tensor | Mapping[str, Tensor], spec: Spec) -> Mapping[str, Tensor]:
    """A lone tensor under the name of the only input of the spec."""
    if isinstance(inputs, Tensor):
        (key,) = spec
        return {key: inputs}
    return inputs


def embedding_size(levels: int) -> int:
    """Size of the embedding of a category: fastai's rule of thumb (`emb_sz_rule` of its tabular model).

    >>> [embedding_size(levels) for levels in (2, 10, 1000)]
    [2, 6, 77]
    """
    return min(600, max(1, round(1.6 * math.pow(levels, 0.56))))


class Columns(nn.Module):
    """The columns of a table as one vector: numbers and arrays as they are, an embedding of each category.

    `size` is that of every embedding; "auto" goes by the number of levels.

    Shape: {"numbers": (N, d), "categories": (N, K), "x": (N, ...)} -> (N, width); parts that the spec lacks are left out.
    """

    def __init__(self, spec: Spec, size: int | str = "auto") -> None:
        super().__init__()
        levels = tuple(spec["categories"].sizes) if "categories" in spec else ()
        sizes = [embedding_size(count) if isinstance(size, str) else size for count in levels]
        self.tables = nn.ModuleList(nn.Embedding(count, each) for count, each in zip(levels, sizes, strict=True))
        self.flat = tuple(key for key in ("numbers", "x", "pictures") if key in spec)
        self.width = sum(_entries(key, spec[key]) for key in self.flat) + sum(sizes)

    def forward(self, inputs: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
        parts = [inputs[key].flatten(1).to(dtype) for key in self.flat]
        if len(self.tables):
            codes = inputs["categories"].unbind(1)
            parts += [table(code) for table, code in zip(self.tables, codes, strict=True)]
        return torch.cat(parts, 1)


def _entries(key: str, shape: Any) -> int:
    match key:
        case "numbers":
            return int(shape.width)
        case "pictures":
            return int(shape.channels * shape.height * shape.width)
        case _:
            return int(math.prod(shape.shape))


def finish(outputs: Tensor, kind: str) -> Tensor:
    """(N, 1) as (N,) for a regression; every other kind keeps its columns."""
    return outputs.squeeze(-1) if kind == "regression" else outputs
