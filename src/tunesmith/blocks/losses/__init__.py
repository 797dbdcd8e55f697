"""Losses as (sum, weight): accumulation over uneven micro-batches equals the big batch.

A member is a class `Name(*, kind, …)` with the settings that its `settings` lists; `adopt` takes a user's own.
"""

from typing import Any

from torch import Tensor

from tunesmith.blocks.losses.adopt import adopt
from tunesmith.blocks.losses.coupling import couples_samples
from tunesmith.blocks.losses.loss import Loss, Reduced
from tunesmith.records import Catalog, RecipeError

__all__ = ["BY_KIND", "LOSSES", "Loss", "Reduced", "adopt", "build", "couples_samples"]

LOSSES: Catalog[Any] = Catalog("loss")
LOSSES.load(__path__, __name__)

BY_KIND = {
    "multiclass": "cross_entropy",
    "binary": "cross_entropy",
    "language": "cross_entropy",
    "multilabel": "binary_cross_entropy",
    "regression": "mse",
    "multi_regression": "mse",
}


def build(
    name: str, *, kind: str, class_weights: Tensor | None = None, label_smoothing: float = 0.0, **settings: Any
) -> Loss:
    """The loss called `name` for a kind of task; "auto" is the one usual for the kind.

    `settings` are further arguments of the member: `delta` of huber, `pos_weight` of binary_cross_entropy,
    `ignore_index` of cross_entropy (None: every label counts, which saves the count).
    """
    member = LOSSES[BY_KIND[kind] if name == "auto" else name]
    if kind not in member.kinds:
        raise RecipeError(
            f"loss.name = {name!r} does not fit a {kind} task (it fits {', '.join(member.kinds)}); try loss.name = "
            f"{BY_KIND[kind]!r}"
        )
    asked = {"class_weights": class_weights, "label_smoothing": label_smoothing or None, **settings}
    given = {key: value for key, value in asked.items() if value is not None or key in settings}
    for key in given:
        if key not in member.settings:
            known = ", ".join(member.settings) or "none"
            raise RecipeError(
                f"the loss {member.name!r} takes no {key} (its settings: {known}); leave loss.{key} at its default or "
                "choose another loss"
            )
    return member(kind=kind, **given)  # type: ignore[no-any-return]
