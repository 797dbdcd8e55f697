"""From `data.augment` to the random change of a run's training rows; refuses what does not fit the data or the loss."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks.losses import Loss
from tunesmith.blocks.losses.cross_entropy import CrossEntropy
from tunesmith.blocks.losses.member import Member
from tunesmith.data.spec import Categories, InputSpec, Numbers, Pictures, Places, Plain, Prepared, Tokens
from tunesmith.data.text import TextBlock
from tunesmith.data.tokenizers import RESERVED, UNKNOWN
from tunesmith.records import Recipe, RecipeError, Task
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.augment import AUGMENTATIONS, Augmentation, chosen, members
from tunesmith.training.augment.change import Change
from tunesmith.training.augment.mixing import soft
from tunesmith.training.batch import seen_by
from tunesmith.training.dryrun import Trial
from tunesmith.training.evaluate import judging
from tunesmith.training.feeds import Rows
from tunesmith.training.precision import Precision

CHANNELS = 4  # at most, of an array of the user's own that is taken for pictures (C, H, W)
CLASSES = ("multiclass", "binary", "multilabel")
FAR = 30.0  # of the outputs that a loss of the catalogue is tried on; assumption: beyond any margin
NEAR = 1e-3  # relative; assumption: far above the rounding of single precision, far below what another loss would give


def chosen_change(
    task: Task,
    recipe: Recipe,
    prepared: Prepared,
    train: Any,
    model: nn.Module,
    loss: Loss,
    trial: Trial,
    precision: Precision,
) -> Change | None:
    """The change of training rows that a recipe asks for, or None. Raises `RecipeError` for what cannot be."""
    found = asked(recipe, prepared)
    if not found:
        return None
    if not isinstance(train, Rows):
        raise RecipeError(
            f"{_said(recipe)} changes rows that are held as tensors, and these come from a data loader; change them there, "
            "or pass arrays or a data file"
        )
    roles = {name: roles_of(spec) for name, spec in prepared.spec.items()}
    for member in found:
        refuse_unfit(member, recipe, prepared, roles, train)
    if not recipe.data.augment_strength:
        return None
    told: dict[str, Any] = {"dtype": train.dtype}
    if any(member.mixes for member in found):
        told["classes"] = shares(prepared, loss, trial)
        refuse_labels(recipe, prepared, model, loss, trial, precision, told)
        if isinstance(loss, CrossEntropy) and not callable(task.loss):
            loss.divides_by_shares = True
    told_of = {name: told_about(name, spec, prepared, train) for name, spec in prepared.spec.items()}
    return Change(found, recipe.data.augment_strength, roles, told, told_of)


def asked(recipe: Recipe, prepared: Prepared) -> tuple[Augmentation, ...]:
    """The members named, without `none`; `auto` is for pictures that are read as pictures, and nothing else."""
    name = recipe.data.augment
    if "pictures" not in prepared.spec:
        name = "+".join("none" if one.strip() == "auto" else one for one in name.split("+"))
    return tuple(one for one in members(chosen(name, prepared.kind)) if one.name != "none")


def roles_of(spec: InputSpec) -> tuple[str, ...]:
    """What an input is for the members. An array of the user's own of shape (C, H, W) may be pictures.

    >>> roles_of(Plain((3, 32, 32))), roles_of(Plain((7,)))
    (('pictures', 'numbers'), ('numbers',))
    """
    match spec:
        case Pictures():
            return ("pictures",)
        case Tokens() | Places():
            return ("tokens",)
        case Categories():
            return ("categories",)
        case Plain(shape=(channels, _, _)) if channels <= CHANNELS:
            return ("pictures", "numbers")
        case Numbers() | Plain():
            return ("numbers",)
    raise AssertionError(spec)


def refuse_unfit(
    member: Augmentation, recipe: Recipe, prepared: Prepared, roles: Mapping[str, tuple[str, ...]], train: Rows
) -> None:
    """Raises `RecipeError` where a member is not for these data."""
    there = {role for held in roles.values() for role in held}
    fits = set(member.changes) & there
    if member.mixes:
        mixable = {*member.changes, "categories"} if "numbers" in member.changes else set(member.changes)
        fits = fits if all(set(held) & mixable for held in roles.values()) else set()
    if not fits:
        raise RecipeError(
            f"{_said(recipe)}: {member.name} is for {' and '.join(member.changes)}, and these rows hold "
            f"{_listed(there)}; {_others(member, there)}"
        )
    if prepared.kind == "language":
        raise RecipeError(
            f"{_said(recipe)}: a language task has a target for each token, which a change of the tokens would falsify; "
            "set data.augment = 'none'"
        )
    held = {name: train.inputs[name] for name in roles if fits & set(roles[name])}
    if "unknown" in member.told and not _tokenized(prepared):
        raise RecipeError(
            f"{_said(recipe)}: {member.name} needs a token for unknown words, and these tokens are your own; try "
            "token_swap, or drop them before"
        )
    if len(held) > 1 and member.changes == ("pictures",):
        raise RecipeError(
            f"{_said(recipe)}: {member.name} would change the inputs {', '.join(held)} each by random numbers of its own, "
            "and they may belong together; change them in a data loader"
        )
    for name, values in held.items():
        _refuse_values(member, recipe, prepared.spec[name], values)


def _refuse_values(member: Augmentation, recipe: Recipe, spec: InputSpec, values: Tensor) -> None:
    if member.changes == ("numbers",) and not values.is_floating_point():
        raise RecipeError(
            f"{_said(recipe)}: {member.name} is for floating numbers, and X holds {values.dtype}; set data.augment = 'none'"
        )
    blends = member.mixes and "numbers" in member.changes and isinstance(spec, Plain)
    if blends and not values.is_floating_point() and values.dtype != torch.uint8:
        raise RecipeError(
            f"{_said(recipe)}: {member.name} blends numbers, and X holds {values.dtype}, which may be indices; pass floating "
            "numbers or set data.augment = 'none'"
        )
    if member.name == "colour" and isinstance(spec, Plain) and values.is_floating_point():
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 1:
            raise RecipeError(
                f"{_said(recipe)}: colour takes bytes or numbers from 0 to 1, and X lies in {low:.3g} to {high:.3g}; "
                "scale the pictures inside the model"
            )


def shares(prepared: Prepared, loss: Loss, trial: Trial) -> int | None:
    """How many classes a mixed target has shares of; None where it is mixed as the number that it is."""
    if prepared.kind not in ("multiclass", "binary") or trial.width < 2 or trial.batch.target.is_floating_point():
        return None
    return trial.width if getattr(loss, "labels", True) else None


def refuse_labels(
    recipe: Recipe,
    prepared: Prepared,
    model: nn.Module,
    loss: Loss,
    trial: Trial,
    precision: Precision,
    told: Mapping[str, Any],
) -> None:
    """Raises `RecipeError` for a loss that cannot take shares of classes: one that does is linear in them."""
    if prepared.kind not in CLASSES:
        return
    batch, random = trial.batch, random_state()
    loss = copy.deepcopy(loss) if isinstance(loss, nn.Module) else loss  # one that learns may keep what it saw first
    try:
        with judging(model), precision.autocast():
            result = seen_by(loss, model(batch.inputs))
            if isinstance(loss, Member):  # far apart, so that a margin shows its bend
                result = FAR * torch.arange(result.numel(), device=result.device).sin().to(result).reshape(result.shape)
            one = soft(batch.target, told["classes"], told["dtype"])
            sums = [float(loss(result, target).sum) for target in (one, one.flip(0), (one + one.flip(0)) / 2)]
    except Exception as error:
        raise RecipeError(
            f"{_said(recipe)} gives targets that are shares of classes, and the loss {loss.name} does not take them; "
            f"{_instead(prepared)}"
        ) from error
    finally:
        set_random_state(random)
    if abs(sums[0] + sums[1] - 2 * sums[2]) > NEAR * (abs(sums[0]) + abs(sums[1])):
        raise RecipeError(
            f"{_said(recipe)} gives targets that are shares of classes, and the loss {loss.name} of half and half is not "
            f"half of each; {_instead(prepared)}"
        )


def told_about(name: str, spec: InputSpec, prepared: Prepared, train: Rows) -> dict[str, Any]:
    """What the members are told of an input: `fill` (C,), `deviation` (…), the numbers of `unknown` and `special` tokens."""
    values = train.inputs[name]
    if isinstance(spec, Pictures):
        return {"fill": 255 * torch.tensor(spec.mean, dtype=torch.float64)}
    if isinstance(spec, Tokens):
        return {"unknown": UNKNOWN, "special": RESERVED} if _tokenized(prepared) else {"special": spec.padding + 1}
    if isinstance(spec, (Numbers, Plain)) and values.is_floating_point():
        return {"deviation": deviations(values)}
    return {}


def deviations(values: Tensor) -> Tensor:
    """The deviation of each number over the rows (N, …), 0 where it takes no more than two values.

    >>> deviations(torch.tensor([[0.0, 1.0], [1.0, 2.0], [0.0, 3.0]])).tolist()
    [0.0, 0.816496580927...]
    """
    numbers = values.double()
    low, high = numbers.amin(0), numbers.amax(0)
    measured = ((numbers != low) & (numbers != high)).any(0)
    return torch.where(measured, numbers.std(0, unbiased=False), 0.0)


def _tokenized(prepared: Prepared) -> bool:
    blocks = () if prepared.pipeline is None else prepared.pipeline.blocks
    return any(isinstance(block, TextBlock) for block in blocks)


def _said(recipe: Recipe) -> str:
    return f"data.augment = {recipe.data.augment!r}"


def _listed(there: set[str]) -> str:
    return " and ".join(sorted(there))


def _others(member: Augmentation, there: set[str]) -> str:
    names = [one.name for one in AUGMENTATIONS.values() if set(one.changes) & there and one.name != "none"]
    names = [name for name in names if name != member.name]
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(names)}, or 'none'" if names else "set it to 'none'"


def _instead(prepared: Prepared) -> str:
    name = "binary_cross_entropy" if prepared.kind == "multilabel" else "cross_entropy"
    return f"take loss.name = {name!r}, or leave mixup and cutmix out"
