"""The members of a recipe, made ready for one kind of rows: what each changes, and what each is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tunesmith.training.augment.member import Augmentation


@dataclass(frozen=True, slots=True)
class Change:
    """Members in order at one strength. `roles`: what each input is, of "pictures", "tokens", "numbers", "categories".

    `told`: further arguments of the members by name, such as `classes`; those that hang on the input stand under its name.
    """

    members: tuple[Augmentation, ...]
    strength: float
    roles: Mapping[str, tuple[str, ...]]
    told: Mapping[str, Any] = field(default_factory=dict)
    told_of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __call__(
        self, inputs: Mapping[str, Tensor], target: Tensor, weight: Tensor | None, generator: torch.Generator
    ) -> tuple[Mapping[str, Tensor], Tensor, Tensor | None]:
        """A batch changed: inputs by name, target (N, …), sample weights (N,) or None."""
        for member in self.members:
            if member.mixes:
                told = self._told(member, self.told)
                inputs, target, weight = member.function(
                    inputs, target, generator, self.strength, weight=weight, **told
                )
            else:
                inputs = {name: self._changed(member, name, values, generator) for name, values in inputs.items()}
        return inputs, target, weight

    def _changed(self, member: Augmentation, name: str, values: Tensor, generator: torch.Generator) -> Tensor:
        if not set(member.changes) & set(self.roles[name]):
            return values
        changed: Tensor = member.function(
            values, generator, self.strength, **self._told(member, self.told_of.get(name, {}))
        )
        return changed

    @staticmethod
    def _told(member: Augmentation, known: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in known.items() if name in member.told}
