"""A drop when an evaluation has not improved for a while: torch's `ReduceLROnPlateau`, judged against noise.

It watches a metric, not the gradient. What differs from torch: a step counts as an improvement only where it exceeds
the noise of the evaluation, too; and a relative threshold on a negative metric asks for an improvement (torch's best
(1 - threshold) lies above a negative best in mode "min", so that slightly worse counts as better).
"""

import math
from typing import Literal

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.history import Judged, Remembered, Watched, noise_of, seen
from tunesmith.blocks.schedules.units import length, level, one_of
from tunesmith.records import RecipeError

HIGHER = ("score",)  # watched values that are better when they are higher


@SCHEDULES.add("plateau")
def plateau(
    steps: int = 1,
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: int = 0,
    floor: float = 0.0,
    eps: float = 1e-8,
    mode: Literal["auto", "min", "max"] = "auto",
    watches: str = "val_loss",
    noise_sigmas: float = 1.0,
) -> Schedule:
    """Times `factor`, down to `floor`, at the (`patience` + 1)-th evaluation in a row without improvement.

    An improvement on the best exceeds both the `threshold` (a share of |best|, or `threshold_mode` "abs") and
    `noise_sigmas` × the evaluation's standard error (0: torch's rule). NaN never improves. After a drop `cooldown`
    evaluations count neither way as bad. A drop of `eps` or less of the peak rate is left out. `mode` "auto" is "max"
    for "score", else "min". A pure function of (step, history): an evaluation made after s updates acts from step s on.

    Use: where the length of the run is not known and validation is cheap; the noise must be smaller than the gains.

    >>> from tunesmith.blocks.schedules import Judged
    >>> losses = [Judged(10 * n, loss) for n, loss in enumerate([1.0, 0.9, 0.9, 0.9, 0.9], start=1)]
    >>> [plateau(factor=0.5, patience=2)(t, losses) for t in (0, 40, 49, 50)]
    [1.0, 1.0, 1.0, 0.5]
    """
    if not 0 < level(factor, "factor") < 1:
        raise RecipeError(
            f"factor = {factor!r}: a number between 0 and 1 was expected, by which the rate is multiplied"
        )
    one_of(threshold_mode, ("rel", "abs"), "plateau got threshold_mode")
    upwards = one_of(mode, ("auto", "min", "max"), "plateau got mode") == "max" or (
        mode == "auto" and watches in HIGHER
    )
    low, least, share = level(floor, "floor", 1.0), level(eps, "eps"), level(threshold, "threshold")
    waits, rests = length(patience, 0, "patience"), length(cooldown, 0, "cooldown")
    sigmas = level(noise_sigmas, "noise_sigmas")

    def better(one: Judged, best: float) -> bool:
        needed = max(share * abs(best) if threshold_mode == "rel" else share, sigmas * noise_of(one))
        needed = 0.0 if math.isinf(best) else needed  # anything finite beats the start
        return one.value > best + needed if upwards else one.value < best - needed

    def replayed(entries: tuple[Judged, ...]) -> float:
        rate, best, bad, resting = 1.0, -math.inf if upwards else math.inf, 0, 0
        for one in sorted(entries, key=lambda entry: entry.step):
            if better(one, best):
                best, bad = one.value, 0
            else:
                bad += 1
            if resting:
                resting, bad = resting - 1, 0
            if bad > waits:
                lower = max(rate * factor, low)
                rate = lower if rate - lower > least else rate
                resting, bad = rests, 0
        return rate

    kept = Remembered(replayed)
    return Watched(lambda step, history: kept(seen(history, step, watches)), watches)
