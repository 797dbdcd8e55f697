"""model.bad_normalization: batch norms whose statistics do not describe the data.

Sees      in a watched run, by batch norm: how far its running mean and variance are from those of the batches it is given, of how many
          numbers a batch statistic is made, its momentum against the number of updates, and whether it keeps statistics at all.
Matters   in evaluation the net computes something else than it was trained for; validation is worse than training for no other reason.
Remedies  a larger batch, group or layer norm, momentum 0.1.
Limits    the distance grows while the net still changes fast, and with small batches: it counts together with a momentum or a batch that
          explains it, or where it is large. Nets put to sleep on purpose are told by model.train_eval_mode.
Source    vocabulary of model.bad_normalization: relative error above 0.5; batch of 1 or 2; thresholds: assumption.
"""

from collections.abc import Iterator

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.live import advice, fact, named, number, part, told
from tunesmith.doctor.diagnosis.origins import born
from tunesmith.records import Finding
from tunesmith.runs.history import History

FAR = 0.5  # relative error of the running variance, as a logarithm, and of the mean in deviations: vocabulary
FEW = 8  # numbers behind one mean of a batch: its own error is 1 / sqrt(8) = 0.35 deviations; assumption
FOLLOWED = 3.0  # momentum times updates, above which 95 % of the start is forgotten: exp(-3)
FORGETS = 0.9  # momentum from which the last batch alone is kept; assumption


@rule("model.bad_normalization", needs=("loss",))
def model_bad_normalization(history: History) -> Iterator[Finding]:
    yield from born(history, "model.bad_normalization")
    norms = part(history, "norms")
    if fact(history, "asleep_passes") > 0.5 * fact(history, "training_passes", 1.0):
        return
    frozen, forgetful, small, momentary = [], [], [], []
    for name, one in norms.items():
        momentum, gap = one.get("momentum"), max(one.get("gap_mean", 0.0), one.get("gap_spread", 0.0))
        if not one.get("keeps", True):
            momentary.append(name)
        elif momentum is not None and momentum * one["updates"] < FOLLOWED and gap > FAR and one["updates"] >= 20:
            frozen.append((name, momentum, gap))
        elif momentum is not None and momentum >= FORGETS:
            forgetful.append((name, momentum, gap))
        elif 0 < one["per_channel"] <= FEW and gap > FAR:
            small.append((name, float(one["per_channel"]), gap))
    for message, found, remedy in (
        ("norms_still", frozen, "usual_momentum"),
        ("norms_forgetful", forgetful, "usual_momentum"),
        ("norms_of_few", small, "group_norm"),
    ):
        if found:
            name, value, gap = max(found, key=lambda each: each[2])
            names = [each[0] for each in found]
            yield told(
                "model.bad_normalization",
                "warning",
                message,
                {"names": named(names), "count": len(names), "value": value, "gap": gap},
                confidence=0.85 if message != "norms_of_few" else 0.6,
                evidence=[number("norm_gap", gap, FAR, "vocabulary of model.bad_normalization", where=name)],
                remedies=[advice(remedy)],
                subject={"layers": names},
            )
    if momentary and isinstance(history.facts.get("coupling"), float) and history.facts["coupling"] > FAR:
        yield told(
            "model.bad_normalization",
            "warning",
            "norms_momentary",
            {"names": named(momentary), "change": history.facts["coupling"]},
            confidence=0.6,
            evidence=[number("coupling", history.facts["coupling"], FAR, "vocabulary of model.bad_normalization")],
            remedies=[advice("group_norm")],
            subject={"layers": momentary},
        )
