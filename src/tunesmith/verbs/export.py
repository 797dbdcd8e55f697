"""`export`: a trained model for use elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import RunError
from tunesmith.runs import MemoryWriter, Run

if TYPE_CHECKING:
    from torch import nn

    from tunesmith.training.exporting import Exported
    from tunesmith.training.predicting import Predictor


def export(
    run: "str | Path | Run | MemoryWriter | Predictor",
    format: str = "pytorch",
    path: str | Path | None = None,
    *,
    model: "nn.Module | None" = None,
    example: Any = None,
) -> Path:
    """Writes the best model of a run as `pytorch`, `onnx`, `torchscript` or `torch_export`, and gives the place.

    It is written into the run's folder (`export/`) unless `path` says otherwise, and only if it gives what the model gives.
    A network of your own is given as `model`, with `example`, a batch of its inputs, where random numbers are none.
    """
    return exported(run, format, path, model=model, example=example).path


def exported(
    run: "str | Path | Run | MemoryWriter | Predictor",
    format: str = "pytorch",
    path: str | Path | None = None,
    *,
    model: "nn.Module | None" = None,
    example: Any = None,
) -> "Exported":
    """The same, with what was checked."""
    from tunesmith.training import exporting, predicting

    chosen = exporting.FORMATS[format]
    if isinstance(run, predicting.Predictor):
        predictor, folder = run, None
    elif isinstance(run, MemoryWriter):
        predictor, folder = predicting.held_in_memory(run), None
    else:
        opened = run if isinstance(run, Run) else Run(run)
        predictor, folder = predicting.load(opened, model=model), opened.folder
    if path is None and folder is None:
        raise RunError(
            f"a run in memory has no folder to export into; pass export(run, {format!r}, path='{chosen.file}')"
        )
    place = Path(path) if path is not None else folder / "export" / chosen.file  # type: ignore[operator]
    return exporting.export(predictor, format, place, example=example)
