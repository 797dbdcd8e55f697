"""Losses as (sum, weight): accumulation over uneven micro-batches equals the big batch.

A member is a class `Name(*, kind, …)` with the settings that its `settings` lists; `adopt` takes a user's own. Every member
tells what theory expects of it: `at_start(target)`, `no_skill(target)` of the best constant, and `skill(outputs, target)`.
"""

from typing import Any

from torch import Tensor

from tunesmith.blocks.losses.adopt import adopt
from tunesmith.blocks.losses.coupling import couples_samples
from tunesmith.blocks.losses.loss import Loss, Reduced
from tunesmith.blocks.losses.prior import prior_correction
from tunesmith.records import Catalog, RecipeError, did_you_mean

__all__ = ["BY_KIND", "LOSSES", "Loss", "Reduced", "adopt", "build", "couples_samples", "prior_correction"]

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
    if not member.kinds:
        raise RecipeError(
            f"loss.name = {name!r} needs more than outputs and a target column, so a recipe cannot name it; pass an "
            f"instance, loss={member.__name__}(…), of tunesmith.blocks.losses.{name}"
        )
    if kind not in member.kinds:
        raise RecipeError(
            f"loss.name = {name!r} does not fit a {kind} task (it fits {', '.join(member.kinds)}); try loss.name = "
            f"{BY_KIND[kind]!r}"
        )
    asked = {"class_weights": class_weights, "label_smoothing": label_smoothing or None, **settings}
    given = {key: value for key, value in asked.items() if value is not None or key in settings}
    for key in given:
        if key not in member.settings:
            own = key in ("class_weights", "label_smoothing")
            advice = f"leave loss.{key} at its default" if own else f"leave {key!r} out of loss.extra"
            known = did_you_mean(key, member.settings).removeprefix("; ") or "it has no settings"
            raise RecipeError(f"the loss {member.name!r} takes no {key} ({known}); {advice} or choose another loss")
    return member(kind=kind, **given)  # type: ignore[no-any-return]
