"""One look at an encoder: how the embeddings of a fixed sample of rows lie, each row seen in two views that stay the same."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from tunesmith.generative.looking import drawn, seeded, unchanged
from tunesmith.generative.measures.common_direction import common_direction
from tunesmith.generative.measures.effective_rank import effective_rank
from tunesmith.generative.measures.shared_rank import shared_rank
from tunesmith.generative.measures.sphere import alignment, uniformity
from tunesmith.generative.measures.spread import normalised_spread, raw_spread
from tunesmith.records import DataError, ModelError, RecipeError

View = Callable[[Tensor], Tensor]  # rows to a random view of each
ROWS = 512  # looked at; a rank of up to a third of it is measured well
LEAST = 32  # rows, below which ranks say nothing; assumption
LOSES = ("length", "offset")  # what a loss may be blind to


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingLook:
    """Numbers of a look; None where one is undefined.

    `common` is `common_direction`, `rank` the effective rank about the mean, `shared` the `shared_rank` of both views, `apart` the mean
    square between two views of a row; what the loss is blind to is taken off before. The others are the measures of those names.
    """

    step: int
    rows: int
    dimensions: int
    raw_spread: float
    normalised_spread: float
    effective_rank: float | None
    alignment: float | None
    uniformity: float | None
    common: float
    rank: float | None
    shared: float | None
    apart: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def signals(self) -> dict[str, float]:
        """What is defined of it, by the names of `runs/quantities.py`."""
        named = {
            "embedding_spread": self.raw_spread,
            "embedding_spread_normalised": self.normalised_spread,
            "embedding_rank": self.effective_rank,
            "embedding_common": self.common,
            "embedding_shared": self.shared,
            "alignment": self.alignment,
            "uniformity": self.uniformity,
        }
        return {name: value for name, value in named.items() if value is not None}


class NotFinite(DataError):
    """An encoder gave numbers that are not finite; `value` is one of them."""

    def __init__(self, value: float, step: int) -> None:
        super().__init__(
            f"the encoder gave {value} after step {step}; finite embeddings were expected: lower the rate, or clip"
        )
        self.value = value


class EmbeddingSight:
    """Looks at an encoder by the embeddings of a fixed sample of rows, two views of each, without a trace.

    `view` makes a random view of rows; None takes the rows as they are for both. `blind` names what the loss does not see of an
    embedding: "length" (cosines alone), "offset" (deviations from the mean alone). Batch norm that is in training mode takes the
    statistics of the sample, as in training, and keeps its own; all else is in evaluation mode.

    Raises `DataError` for too few rows, or views of the wrong form; `RecipeError` for anything else to be blind to.
    """

    def __init__(
        self, rows: Tensor, view: View | None = None, *, blind: Collection[str] = (), most: int = ROWS, seed: int = 0
    ) -> None:
        strange = [one for one in blind if one not in LOSES]
        if strange or isinstance(blind, str):
            raise RecipeError(f"blind = {blind!r}: some of {', '.join(LOSES)} were expected, as in blind=('length',)")
        if most < LEAST or len(rows) < LEAST:
            raise DataError(f"a look was to be at {min(most, len(rows))} rows; it needs {LEAST} or more")
        self.blind = tuple(blind)
        sample = self.compared = drawn(rows, most, seed)
        with seeded(seed), torch.no_grad():
            self.views = (sample, sample) if view is None else (view(sample), view(sample))
        if any(len(one) != len(sample) for one in self.views):
            raise DataError(
                f"the view of {len(sample)} rows has {[len(one) for one in self.views]} rows; give one view for each row"
            )
        if not all(bool(torch.isfinite(one).all()) for one in self.views):
            raise DataError("the rows to look at have NaN or infinite numbers; leave them out")
        self.both: tuple[Tensor, Tensor] | None = None  # embeddings of both views at the latest look

    @torch.no_grad()
    def __call__(self, encoder: nn.Module, step: int) -> EmbeddingLook:
        """Looks now. Raises `NotFinite` where an embedding is not finite, `ModelError` where it is no vector a row."""
        with as_trained(encoder):
            one, other = (embedded(encoder, each) for each in self.views)
        for each in (one, other):
            if not torch.isfinite(each).all():
                raise NotFinite(each[~torch.isfinite(each)][0].item(), step)
        self.both = (one, other)
        seen = self._seen(torch.cat([one, other]))
        directed = bool((one != 0).any(dim=1).all() and (other != 0).any(dim=1).all())
        gone = not bool((one != one[0]).any())
        return EmbeddingLook(
            step=step,
            rows=len(one),
            dimensions=one.shape[1],
            raw_spread=raw_spread(one),
            normalised_spread=normalised_spread(one),
            effective_rank=effective_rank(one),
            alignment=alignment(one, other) if directed else None,
            uniformity=uniformity(one) if directed else None,
            common=1.0 if gone else common_direction(seen[: len(one)]),
            rank=effective_rank(seen[: len(one)] - seen[: len(one)].mean(dim=0)),
            shared=shared_rank(seen[: len(one)], seen[len(one) :]),
            apart=float((one.double() - other.double()).square().mean()),
        )

    def _seen(self, rows: Tensor) -> Tensor:
        """Without what the loss is blind to: the mean, and with it the scale of each dimension."""
        if "offset" not in self.blind:
            return rows.double()
        centred = rows.double() - rows.double().mean(dim=0)
        return centred / deviation(centred) if "length" in self.blind else centred


def deviation(centred: Tensor) -> Tensor:
    """That of each dimension; 1 where it is constant."""
    found = centred.square().mean(dim=0).sqrt()
    return torch.where(found > 0, found, torch.ones_like(found))


def embedded(encoder: nn.Module, rows: Tensor) -> Tensor:
    """Embeddings as a matrix. Raises `ModelError`."""
    found = encoder(rows)
    if not isinstance(found, Tensor) or found.ndim < 2 or len(found) != len(rows):
        came = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ModelError(f"the encoder gave {came} for {len(rows)} rows; a tensor (N, D) was expected")
    return found.detach().flatten(1)


@contextmanager
def as_trained(net: nn.Module) -> Iterator[None]:
    """A net in evaluation mode inside, but for batch norm that trains: that takes statistics of what it sees, and forgets them after."""
    norms = [module for module in net.modules() if isinstance(module, _NormBase) and module.training]
    before = [{name: one.clone() for name, one in norm.named_buffers(recurse=False)} for norm in norms]
    with unchanged(net):
        for norm in norms:
            norm.training = True
        try:
            yield
        finally:
            for norm, held in zip(norms, before, strict=True):
                for name, one in held.items():
                    getattr(norm, name).copy_(one)


def look_of(told: Mapping[str, Any]) -> EmbeddingLook:
    """A look from its plain data."""
    return EmbeddingLook(**told)
