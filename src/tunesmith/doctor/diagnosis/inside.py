"""What `watch` measured inside a run, summed up over layers and time."""

import numpy as np

from tunesmith.runs.history import Floats, History

WARM = 0.1  # of the run that is left out: the first updates are long in sound runs too; assumption


def over_layers(history: History, name: str) -> Floats | None:
    """The median over time of a quantity, by layer; None where it was not measured."""
    found = []
    for one in history.all(name):
        kept = one.finite
        late = kept.values[int(len(kept) * WARM) :]
        if len(late):
            found.append(float(np.median(late)))
    return np.array(found) if found else None


def typical(history: History, name: str) -> float | None:
    """The median over time and layers."""
    found = over_layers(history, name)
    return float(np.median(found)) if found is not None else None


def first_values(history: History, name: str) -> float | None:
    """The median over layers of the first value of a quantity."""
    found = [float(kept.values[0]) for one in history.all(name) if len(kept := one.finite)]
    return float(np.median(found)) if found else None


def growth(history: History, name: str) -> float | None:
    """The median over layers of the last value over the first."""
    found = [
        float(kept.values[-1] / kept.values[0])
        for one in history.all(name)
        if len(kept := one.finite) > 1 and kept.values[0] > 0
    ]
    return float(np.median(found)) if found else None


def last(history: History, name: str) -> float | None:
    """The last finite value of the whole."""
    one = history.get(name)
    kept = one.finite if one is not None else None
    return float(kept.values[-1]) if kept is not None and len(kept) else None


def batch_rows(history: History) -> float | None:
    """Rows of a batch, as measured or as known."""
    rows = typical(history, "batch_rows")
    known = history.facts.get("batch_size")
    return rows if rows is not None else float(known) if isinstance(known, int | float) else None


def updates_per_epoch(history: History) -> float | None:
    """As known, or read from a curve that counts both."""
    known = history.facts.get("steps_per_epoch")
    if isinstance(known, int | float) and known > 0:
        return float(known)
    one = history.get("epoch")
    if one is None or history.axis != "step" or len(one) < 2:
        return None
    epochs, steps = one.values - one.values[0], one.steps - one.steps[0]
    if epochs[-1] <= 0 or bool((np.diff(epochs) < 0).any()):  # an epoch that goes back counts something else
        return None
    off = np.abs(epochs - epochs[-1] * steps / steps[-1])
    return float(steps[-1] / epochs[-1]) if float(off.max()) <= max(1.0, 0.05 * float(epochs[-1])) else None


def updates(history: History) -> float | None:
    """How many updates the run made."""
    if history.axis == "step":
        return max((float(one.steps[-1]) for one in history.curves if len(one)), default=None)
    each, epochs = updates_per_epoch(history), history.facts.get("epochs")
    return each * float(epochs) if each is not None and isinstance(epochs, int | float) else None
