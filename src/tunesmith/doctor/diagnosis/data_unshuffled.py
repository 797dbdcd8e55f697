"""data.unshuffled: the order of the rows carries the label, and batches follow it.

Sees      inside a run: labels of a batch that are nearly all one, where all labels together are mixed; or poorer than that and equal to
          their neighbours far more often than chance gives. In a log of updates with epochs: a loss whose course inside an epoch is the
          same epoch after epoch and that jumps up at the start of each; two passes over the same order.
Matters   each batch pulls toward its own class, and the net forgets the others.
Remedies  shuffle every epoch.
Limits    needs updates and epochs in one log, and three epochs. A loss that falls at each new epoch is rows learnt by heart, not order;
          samplers that balance classes repeat labels less, not more.
Source    vocabulary of data.unshuffled: drops inside an epoch and jumps at the start of the next; label entropy within batches far below H0.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.doctor.diagnosis import live
from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.chance import known
from tunesmith.doctor.diagnosis.inside import batch_rows, typical, updates_per_epoch
from tunesmith.doctor.diagnosis.telling import advice, change, number, told
from tunesmith.doctor.diagnosis.views import View, view
from tunesmith.records import Finding
from tunesmith.runs.history import Floats, History

REPEATS = 2.0  # times chance; assumption
ONE, FEW = 0.4, 0.7  # of the entropy of all labels, within a batch: by itself, and with labels that repeat; assumption
LEAST = 0.3  # of the entropy that a batch can show, below which it is too small to tell; assumption
EPOCHS, PHASES = 3, 5
EXPLAINED = 0.4  # of the squares of the detrended loss, by the place in the epoch; assumption
JUMP = 0.5  # of the swing within an epoch, at its start; assumption


@rule("data.unshuffled", needs=("loss", "label_entropy"))
def data_unshuffled(history: History) -> Iterator[Finding]:
    if live.part(history, "answers").get("labels") == 1:
        return  # one label in all rows is no order
    repeat = typical(history, "label_repeat")
    poor = one_class(history)
    if poor is not None and (poor < ONE or (poor < FEW and repeat is not None and repeat > REPEATS)):
        yield told(
            "data.unshuffled",
            "warning",
            "labels_together",
            {"share": poor},
            confidence=0.9 if poor < ONE else 0.8,
            evidence=[number("label_entropy_share", poor, ONE, "entropy within batches over that of all labels")]
            + ([number("label_repeat", repeat, REPEATS, "assumption")] if repeat is not None else []),
            remedies=[change("shuffle", {}), advice("shuffle_each")],
            next_probe="shuffled",
        )
        return
    if poor is not None:
        return  # the labels of a batch are as mixed as all of them
    seen = view(history)
    found = saw(seen)
    if found is None or not seen.readable:
        return
    explained, jump = found
    yield told(
        "data.unshuffled",
        "warning",
        "saw_in_epochs",
        {"explained": explained, "jump": jump},
        confidence=0.65,
        evidence=[
            number("explained_by_place", explained, EXPLAINED, "assumption"),
            number("jump", jump, JUMP, "assumption"),
        ],
        remedies=[change("shuffle", {}), advice("shuffle_each")],
        next_probe="shuffled",
    )


def one_class(history: History) -> float | None:
    """The entropy of the labels of a batch over what a batch of that size drawn at random would have; None where it is not known."""
    entropy, whole, rows = typical(history, "label_entropy"), known(view(history)), batch_rows(history)
    if entropy is None or whole is None or rows is None:
        return None
    expected = whole.loss - ((whole.classes or 2) - 1) / (2 * rows)  # Miller and Madow: a small sample shows less
    return entropy / expected if expected > LEAST * whole.loss else None


def saw(seen: View) -> tuple[float, float] | None:
    """What the place in the epoch explains of the loss, and the jump at its start over the swing; None without order."""
    curves = [one for one in seen.history.all("loss", where="", per="update") if one.part in ("train", "")]
    one = max(curves, key=len, default=None)
    each = updates_per_epoch(seen.history)
    if one is None or each is None or each < 2 * PHASES:
        return None
    kept = one.finite
    if len(kept) < EPOCHS * 2 * PHASES or one.counted > len(one.values):
        return None
    place = (kept.steps - kept.steps[0]) / each
    epoch, phase = np.floor(place), np.floor((place % 1) * PHASES)
    late = epoch >= 1  # the first falls for reasons of its own
    if len(np.unique(epoch[late])) < EPOCHS:
        return None
    profile, explained = _profile(kept.values[late], epoch[late], phase[late])
    swing = float(profile.max() - profile.min())
    jump = float(profile[0] - profile[-1]) / swing if swing > 0 else 0.0
    return (explained, jump) if explained > EXPLAINED and jump > JUMP else None


def _profile(values: Floats, epoch: Floats, phase: Floats) -> tuple[Floats, float]:
    """Means by the place in the epoch of what is left beside the line through the means of the epochs, and the squares they explain."""
    middles = np.unique(epoch)
    means_of = np.array([values[epoch == one].mean() for one in middles])
    place = epoch + (phase + 0.5) / PHASES
    slope_at = np.gradient(means_of, middles)
    known = np.searchsorted(middles, epoch)
    left = values - means_of[known] - slope_at[known] * (place - middles[known] - 0.5)
    total = float((left**2).sum())
    means = np.array([left[phase == one].mean() if (phase == one).any() else 0.0 for one in range(PHASES)])
    inside = float(sum((phase == one).sum() * means[one] ** 2 for one in range(PHASES)))
    return means, inside / total if total > 0 else 0.0
