"""Random views of rows: augmentations by name, or a user's own function; drawn by torch's global generator, which a checkpoint holds."""

import torch
from torch import Tensor

from tunesmith.generative.embedding.looks import View
from tunesmith.records import DataError, RecipeError
from tunesmith.training.augment import Augmentation, members

PICTURES, TABLES = "shift+affine+cutout", "noise"  # what "auto" is; assumption


def view_of(asked: str | View, rows: Tensor, strength: float) -> View:
    """The function that is meant. Raises `RecipeError` for augmentations that are not for such rows."""
    if not isinstance(asked, str):
        return asked
    pictures = rows.ndim == 4
    chosen = members((PICTURES if pictures else TABLES) if asked == "auto" else asked)
    for one in chosen:
        if one.mixes or ("pictures" if pictures else "numbers") not in one.changes:
            shape = tuple(rows.shape[1:])
            raise RecipeError(
                f"view = {asked!r}: {one.name} makes no view of rows of shape {shape}; take {PICTURES if pictures else TABLES!r}, or a "
                "function of rows"
            )
    deviation = rows.std(dim=0, correction=0)

    def view(given: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        for one in chosen:
            given = _changed(one, given, generator, strength, deviation)
        return given

    return view


def _changed(one: Augmentation, rows: Tensor, generator: torch.Generator, strength: float, deviation: Tensor) -> Tensor:
    told = {"deviation": deviation} if "deviation" in one.told else {}
    found: Tensor = one.function(rows, generator, strength, **told)
    return found


def checked(view: View, rows: Tensor) -> None:
    """Raises `DataError` where a view of rows is not as many rows of floating numbers."""
    found = view(rows)
    if not isinstance(found, Tensor) or len(found) != len(rows) or not found.is_floating_point():
        came = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise DataError(f"the view of {len(rows)} rows is {came}; a tensor with one view for each row was expected")
