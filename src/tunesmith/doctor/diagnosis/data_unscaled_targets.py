"""data.unscaled_targets: numbers as targets far from the scale at which outputs begin, and the net does not get there.

Sees      in a watched run, together: targets whose spread or mean is far beyond 1 (or far below), while outputs begin near 0 with a spread
          near 1; and a loss that stays above half of that of the best constant answer, or starts many times above it.
Matters   most of the run is spent on bringing the outputs to the level of the targets; the gradient is as large, or as small, as they are.
Remedies  standardise the targets; start the last bias at their mean.
Limits    optimizers with momentum and a high rate cover a hundredfold: without the consequence nothing is said.
Source    vocabulary of data.unscaled_targets: mean or spread above 10 or below 0.01; consequence: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.runs.history import History

LARGE, SMALL = 10.0, 0.02  # spread, or mean: vocabulary; small a little above its 0.01
FAR = 5.0  # spreads between the mean of the targets and 0; assumption


@rule("data.unscaled_targets", needs=("loss",))
def data_unscaled_targets(history: History) -> Iterator[Finding]:
    answers, ran = part(history, "answers"), progress(history)
    if ran is None or answers.get("kind") != "numbers" or "target_std" not in answers:
        return
    spread, mean = answers["target_std"], answers.get("target_mean", 0.0) - answers.get("output_first", 0.0)
    reached = answers.get("reached")  # spread of late outputs over that of the targets
    off = max(spread / LARGE, abs(mean) / LARGE, SMALL / spread if spread > 0 else 0.0)
    far = abs(mean) / spread if spread > 0 else 0.0
    if off <= 1 and far <= FAR:
        return
    missed = ran.poor or (ran.chance is None and reached is not None and not 0.3 < reached < 3.0)
    if not missed:
        return
    yield told(
        "data.unscaled_targets",
        "error" if off > 3 else "warning",
        "targets_unscaled",
        {
            "mean": answers.get("target_mean", 0.0),
            "spread": spread,
            "end": ran.end,
            "chance": -1.0 if ran.chance is None else ran.chance,
        },
        confidence=0.85 if off > 3 else 0.65,
        evidence=[
            number("target_std", spread, LARGE, "vocabulary of data.unscaled_targets"),
            number("target_mean", mean, LARGE, "vocabulary"),
        ],
        remedies=[advice("standardise_targets")],
        next_probe="scaled_targets",
    )
