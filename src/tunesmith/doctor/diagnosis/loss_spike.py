"""loss.spike: the training loss leaps far above its recent level.

Sees      a value more than `HEIGHT` robust deviations above the median of the last `WINDOW` finite values, three times beyond the largest
          excursion among them, and as high as a good share of what the run had won; leaps closer than a window are one episode. How long
          the way back took, and whether there was one.
Matters   the state of the optimizer is poisoned by it; some runs never come back, all lose the time until they do.
Remedies  clip the gradient norm; skip the batch and go back some hundred steps; a lower rate; a smaller epsilon of Adam as an experiment.
Limits    silent for the first window, and for leaps that are small beside what the run has won; a leap of one or two updates is a note, for
          single batches have heavy tails. Epochs hide short spikes.
Source    Chowdhery et al., PaLM, arXiv:2204.02311, section 5.1; Wortsman et al., arXiv:2304.13013 (RMS of the update before a spike).
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.smoothing import MAD
from tunesmith.doctor.diagnosis.telling import advice, change, number, told
from tunesmith.doctor.diagnosis.views import view
from tunesmith.records import Finding
from tunesmith.runs.history import Floats, History, Series

WINDOW = 32  # values, for updates
SHORT = 6  # values, for epochs and sparse logs; assumption
HEIGHT = 8.0  # robust deviations; measured: sound runs of the open part stay below with the two other conditions
EXCURSION = 3.0  # times the largest recent one; single batches have heavy tails; assumption
LOSS = 0.5  # of what the run had won, gone in one leap: a warning; below NOTE nothing is said; assumption
NOTE = 0.15
FLOOR = 0.1  # of the level, below which a leap is none: flat stretches have next to no noise; assumption
WILD = 5.0  # times all that the run had won: beyond the tails of a batch; assumption
LASTS = 3  # updates: one batch alone is a batch, not the state of the net; measured: heavy tails of single batches in sound runs


@rule("loss.spike", needs=("loss",))
def loss_spike(history: History) -> Iterator[Finding]:
    seen = view(history)
    if not seen.readable:
        return
    curves = [one for one in history.all("loss", where="") if one.part in ("train", "")]
    fine = max(curves, key=len, default=None)
    if fine is None or not len(fine.finite):
        return
    found = list(_leaps(fine.finite))
    if not found:
        return
    index, level, peak, lost, width = max(found, key=lambda one: one[3])
    one = fine.finite
    at = float(one.steps[index])
    back = index + width < len(one)
    lasts = width >= LASTS or (back and one.per != "update") or lost > WILD
    values = {
        "peak": peak,
        "level": level,
        "axis": history.axis,
        "at": at,
        "count": len(found),
        "width": width,
        "share": min(lost, 99.0),
    }
    surprise = history.get("adam_surprise")
    evidence = [number("loss", peak, level, "median of the values before", at=at)]
    if surprise is not None and len(surprise):
        before = surprise.values[(surprise.steps <= at) & (surprise.steps >= at - 8)]
        if len(before):
            evidence.append(number("adam_surprise", float(np.max(before)), 1.0, "StableAdamW", at=at))
    yield told(
        "loss.spike",
        "warning" if lasts and (lost > LOSS or not back) else "note",
        "spike" if back else "spike_stays",
        values,
        confidence=0.9 if lasts and lost > LOSS else 0.7,
        evidence=evidence,
        remedies=[change("clip", {"optim.clip_norm": 1.0}), advice("skip_batches")],
        next_probe="rate_sweep",
        places=[at],
    )


def _leaps(one: Series) -> Iterator[tuple[int, float, float, float, int]]:
    """Index, level before, peak, share of the way that was lost, values until it was back."""
    high, values = one.high, one.values
    window = WINDOW if len(values) > 3 * WINDOW else SHORT
    if len(values) <= window:
        return
    start = float(np.median(values[: max(1, min(window, len(values) // 20))]))
    recent = np.lib.stride_tricks.sliding_window_view(values, window)[:-1]  # of each value the window before it
    levels = np.median(recent, axis=1)
    deviations = MAD * np.median(np.abs(recent - levels[:, None]), axis=1)
    reaches = np.maximum(recent.max(axis=1) - levels, 0.0)
    won, rises = start - levels, high[window:] - levels
    least = np.maximum.reduce([HEIGHT * deviations, EXCURSION * reaches, NOTE * won, FLOOR * np.abs(levels)])
    last = -window
    for place in np.flatnonzero((won > 0) & (rises >= least)):
        index = int(place) + window
        if index - last > window:
            last = index
            level, rise = float(levels[place]), float(rises[place])
            yield index, level, float(high[index]), rise / float(won[place]), _width(values, index, level, rise)


def _width(values: Floats, index: int, level: float, rise: float) -> int:
    back = np.flatnonzero(values[index:] < level + 0.2 * rise)
    return int(back[0]) if len(back) else len(values) - index
