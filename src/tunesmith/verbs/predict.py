"""`predict` and `load`: from a run to predictions, preprocessing included."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.runs import MemoryWriter, Run

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.autopilot.handing import Handed
    from tunesmith.training.predicting import Predictions, Predictor


def load(folder: str | Path | Run, *, model: "nn.Module | None" = None, device: str = "cpu") -> "Predictor | Handed":
    """The best model of a run, or what a tuning handed over, ready to predict. A network of your own is given as `model`.

    Of the tuning of a program its own module, a copy with the best weights.
    """
    from tunesmith.runs.tuning import is_tuning
    from tunesmith.training import predicting

    if not isinstance(folder, Run) and is_tuning(folder):
        from tunesmith.verbs.tune import handed_over

        found: Handed = handed_over(Path(folder), model, device)
        return found
    return predicting.load(folder, model=model, device=device)


def predict(
    run: "str | Path | Run | MemoryWriter | Predictor", data: Any, *, model: "nn.Module | None" = None
) -> "Predictions":
    """Predictions of a run for new data: a file, a frame, arrays, tensors, a `Dataset` or a `DataLoader`."""
    from tunesmith.runs.tuning import is_tuning
    from tunesmith.training.predicting import Predictor, held_in_memory

    if isinstance(run, Predictor):
        return run.predict(data)
    if isinstance(run, MemoryWriter):
        return held_in_memory(run).predict(data)
    if not isinstance(run, Run) and is_tuning(run):
        from tunesmith.verbs.tune import Tuned

        return Tuned(run, model=model).predict(data)
    from tunesmith.training import predicting

    return predicting.load(run, model=model).predict(data)
