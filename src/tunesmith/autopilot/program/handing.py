"""The model of a program that was tuned: its own module with the weights of the best training."""

import copy
import json
from pathlib import Path
from typing import Any

from torch import nn

from tunesmith.autopilot.program.training import PLACE
from tunesmith.records import RunError
from tunesmith.runs.tuning import HANDED
from tunesmith.training.checkpoint import Checkpoints


def handed(folder: Path) -> dict[str, Any]:
    """What handed.json holds. Raises `RunError` where nothing was handed over yet."""
    file = folder / HANDED
    if not file.is_file():
        raise RunError(f"{folder} has handed nothing over yet; go on with it: tune(program, folder=…, resume=True)")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def handed_model(folder: Path, model: nn.Module | None) -> nn.Module:
    """A copy of `model`, in evaluation mode, with the weights that were handed over.

    Raises `RunError` where there is no model to put them into, or the weights are those of another.
    """
    weights = Checkpoints(folder / handed(folder)["members"][0]["place"] / PLACE).weights("best")
    if model is None:
        raise RunError(f"{folder} holds the weights of your own module; give it: load(folder, model=net)")
    made = copy.deepcopy(model)
    try:
        made.load_state_dict(weights)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:200]
        raise RunError(
            f"the weights in {folder} fit another module ({first}); make the changes in its summary first"
        ) from None
    return made.eval()
