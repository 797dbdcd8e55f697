"""A member's optimizer as the recipe wants it, with the decay it asks for and no division by zero."""

from torch.optim import Optimizer

from tunesmith.blocks.optim.decay import with_decay_kind
from tunesmith.blocks.optim.member import Groups, Member, given
from tunesmith.records import Recipe, Source, revise


def made(member: Member, parts: Groups, lr: float, recipe: Recipe) -> Optimizer:
    """The optimizer over the groups. `optim.eps = 0` under adam and adamw is that of adam0, which gives no NaN."""
    from tunesmith.blocks.optim import OPTIMIZERS

    name, asked = member.name, recipe.optim.decay_kind
    if name in ("adam", "adamw") and given(recipe, "eps") and recipe.optim.eps == 0 and not recipe.optim.extra:
        decoupled = name == "adamw" if asked == "auto" else asked == "decoupled"
        recipe = revise(
            recipe, {"optim.decay_kind": "decoupled" if decoupled else "l2"}, Source("derived", f"the kind of {name}")
        )
        member, asked = OPTIMIZERS["adam0"], recipe.optim.decay_kind
    elif name == "adamw" and asked == "l2":
        member = OPTIMIZERS["adam"]  # the same rule with its decay in the gradient; AdamW cannot be told to
    return with_decay_kind(member(parts, lr, recipe), name, asked)
