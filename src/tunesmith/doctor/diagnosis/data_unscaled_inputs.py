"""data.unscaled_inputs: the inputs are very large, far from zero, or of very different size by column, and the training suffers from it.

Sees      in a watched run, together: the scale (columns whose spread is beyond 10 or differ a hundredfold, means beyond ten spreads), met by
          a layer of weights and not by a norm; and a consequence: a loss that starts far above a constant answer, or does not get below
          half of it, or swings, or activations at their ends.
Matters   the largest column decides every step; the rate that suits it is too small for the others.
Remedies  standardise with mean and spread of the training rows; a norm layer first.
Limits    scale alone is no finding: trees of embeddings, norms and adaptive optimizers stand a lot. Which column it is stands in the audit of
          the data.
Source    vocabulary of data.unscaled_inputs: spread ratio above 100, mean over spread above 10; consequences: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, early_of, late_of, norm_first, number, part, progress, told
from tunesmith.records import Finding
from tunesmith.records.finding import Severity
from tunesmith.runs.history import History

RATIO = 100.0  # largest over smallest spread: vocabulary
OFFSET = 10.0  # median of mean over spread: vocabulary
LARGE = 10.0  # spread of the largest column, raw pixels have about 70; assumption
START = 2.0  # times the loss of a constant answer at the start: usual start weights give about 1; assumption
STUCK = 0.5  # share of units at their ends; assumption


@rule("data.unscaled_inputs", needs=("loss",))
def data_unscaled_inputs(history: History) -> Iterator[Finding]:
    inputs, ran = part(history, "inputs"), progress(history)
    if ran is None or "std_high" not in inputs or norm_first(history):
        return
    flat = inputs.get("kind") == "numbers"
    signs = {
        "spread_ratio": (inputs.get("spread_ratio", 1.0) if flat else 1.0, RATIO),
        "mean_over_spread": (inputs["offset"], OFFSET),
        "largest_spread": (inputs["std_high"], LARGE),
    }
    broken = {name: pair for name, pair in signs.items() if pair[0] > pair[1]}
    if not broken:
        return
    ends = [
        share
        for name in ("saturated_fraction", "dead_fraction")
        for share in (late_of(history, name) or early_of(history, name)).values()
    ]
    consequences = {
        "start": ran.chance is not None and ran.start > START * ran.chance,
        "poor": ran.poor,
        "ends": bool(ends) and max(ends) > STUCK,
    }
    count = sum(consequences.values())
    if not count:
        return
    worst = max(broken, key=lambda name: broken[name][0] / broken[name][1])
    size = broken[worst][0] / broken[worst][1]
    severity: Severity = "error" if ran.poor and size > 3 else "warning"
    yield told(
        "data.unscaled_inputs",
        severity,
        "inputs_unscaled",
        {
            "high": inputs["std_high"],
            "low": inputs["std_low"],
            "offset": inputs["offset"],
            "start": ran.start,
            "end": ran.end,
            "chance": -1.0 if ran.chance is None else ran.chance,
        },
        confidence=min(0.9, 0.6 + 0.1 * count + (0.1 if size > 10 else 0.0)),
        evidence=[number(name, *pair, "vocabulary of data.unscaled_inputs") for name, pair in broken.items()]
        + [number("loss_at_start", ran.start, ran.chance and START * ran.chance, "assumption")],
        remedies=[advice("standardise_inputs")],
        next_probe="scaled_inputs",
    )
