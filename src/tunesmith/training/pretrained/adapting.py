"""Adapters in the net of a run (`model.lora`): put in after its weights were taken; and what they save."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from torch import nn

from tunesmith.blocks import models
from tunesmith.records import Recipe, RecipeError
from tunesmith.records.sections import LoraTable
from tunesmith.training.adapters import insert
from tunesmith.training.adapters.inserting import with_base
from tunesmith.training.pretrained.freezing import freezes_parts

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Beside:
    """A net with adapters: names as they are now, and its numbers and bytes, of what trains and of all."""

    layers: Sequence[str]
    fresh: Sequence[str]
    frozen: Sequence[str]
    rank: int
    numbers: tuple[int, int]
    bytes: tuple[int, int]

    def lines(self) -> list[str]:
        """What a user is told."""
        (few, every), (small, large) = self.numbers, self.bytes
        return [
            f"LoRA of rank {self.rank} beside {len(self.layers)} linear layers: {few:,} numbers train where the whole net has {every:,} "
            f"({few / every:.1%}); gradients take {small / MEGABYTE:.3g} MB in the place of {large / MEGABYTE:.3g} MB, and each moment of the "
            "optimizer as much again"
        ]


def beside(model: nn.Module, recipe: Recipe, fresh: Collection[str], kind: str, name: str) -> Beside:
    """Adapters in the net, by the recipe; what is `fresh` trains as a whole. Raises `RecipeError` for what cannot go together."""
    if freezes_parts(recipe):
        raise RecipeError(
            "model.lora keeps the whole net as it begins, so model.freeze and model.unfreeze_every have no place beside it; leave them out"
        )
    if name and not models.is_foreign(name) and recipe.model.pretrained is None:
        raise RecipeError(
            f"model.lora adapts a trained net, and the {name} would be drawn anew; name its weights in model.pretrained, or leave model.lora out"
        )
    every = sum(one.numel() for one in model.parameters())
    whole = sum(one.numel() * one.element_size() for one in model.parameters())
    lora = LoraTable.model_validate(recipe.model.lora)
    inserted = insert(model, lora, whole=fresh, kind=kind)
    held = dict(model.named_parameters())
    trained = [held[one] for one in inserted.trained]
    return Beside(
        layers=inserted.layers,
        fresh=[with_base(one, inserted.layers) for one in fresh],
        frozen=[one for one in held if one not in inserted.trained],
        rank=lora.rank,
        numbers=(sum(one.numel() for one in trained), every),
        bytes=(sum(one.numel() * one.element_size() for one in trained), whole),
    )
