"""From findings of any source to ranked causes: a prior by symptom, evidence as independent log-odds, what that explains away.

Prior     of the candidates of a symptom in the fault list, which stand there most likely first: 1 / (place + 2), moved by `SEEN`.
Evidence  of a rule: the log-odds of its confidence. Of a clue in the curves: `WEIGHTS`. Of a probe or a check: confirmed or refuted, which
          weighs `SURE` (hard invariants weigh one: their finding is confirmed with confidence 1). All are taken as independent.
Belief    logarithms are added and made shares of one, with a share `OTHER` for what is not in the table.

Measured  on 666 logs of planted runs of the open part: of candidates with a belief of 0.1 to 0.2, 21 % name the planted fault; 0.2 to 0.3,
          32 %; 0.3 to 0.4, 46 %; 0.4 to 0.5, 56 %; 0.5 to 0.6, 64 %; 0.6 to 0.7, 67 %. The weights were chosen on the same logs.

What a log alone cannot decide stays a suspicion: the best candidates of the two likeliest families are warnings with the belief as their
confidence, the others notes. A symptom that a cause above a note explains stands after it (`ranking`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.doctor.diagnosis.clues import Clue, clues
from tunesmith.doctor.diagnosis.ranking import BRINGS, vocabulary
from tunesmith.doctor.diagnosis.telling import advice
from tunesmith.doctor.diagnosis.views import View
from tunesmith.records import Evidence, Finding
from tunesmith.records.finding import Severity

SURE = 6.0  # log-odds of a confirmation or a refutation: 400 to 1; assumption
OTHER = 0.15  # of the belief, for causes that are not in the table; assumption
LOWEST, FAINT = (
    0.1,
    0.05,
)  # belief below which a candidate is not named; the first of the two likeliest families; assumption
LOUD = 2  # families whose best candidate is a warning
DECIDED = 0.6  # confidence of a cause from which on no candidates are added for what it explains; assumption
AGAINST = -1.5  # a weight from which on a candidate counts as spoken against

# What a clue speaks for and against, in natural log-odds. Measured: counts of clue by root among the planted runs of the open part beside
# sound runs (benchmarks of diagnosis), rounded to halves; signs and what was not seen there: by the definitions of the fault list.
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "held_frozen": {
        "optim.unregistered_params": 2.5,
        "output.wrong_activation": 2.2,
        "lr.too_low": 0.8,
        "lr.too_high": 0.5,  # a net that its first epoch killed
        "lr.bad_schedule": 0.5,
        "act.dead_relu": 1.0,
        "data.no_signal": -2.0,
        "init.bad_scale": -1.0,
        "init.symmetric": -1.5,
        "act.unsuitable": -1.5,
        "data.unscaled_inputs": -1.5,
        "loss.shape_broadcast": -2.0,
        "data.poor_features": -2.5,
        "model.too_small": -2.5,
        "batch.too_large": -2.5,
        "fit.too_few_epochs": -2.5,
    },
    "held_settled": {
        "reg.too_strong": 1.5,
        "lr.bad_schedule": 0.8,
        "output.wrong_activation": 1.0,
        "act.dead_relu": 0.8,
        "lr.too_low": 0.5,
    },
    "held_moves": {
        "data.no_signal": 1.2,
        "data.constant": 0.5,
        "act.unsuitable": 0.7,
        "act.dead_relu": 0.7,
        "reg.too_strong": 0.4,
        "output.wrong_activation": -0.3,
        "optim.unregistered_params": -1.0,
        "lr.too_low": -0.5,
    },
    "rate_small": {"lr.bad_schedule": 4.0},
    "inputs_finite": {"data.nonfinite": -4.0},
    "inputs_scaled": {"data.unscaled_inputs": -3.0, "data.outliers": -1.0},
    "targets_scaled": {"data.unscaled_targets": -4.0},
    "updates_usual": {"lr.too_low": -2.0, "lr.too_high": -1.0, "optim.bad_hyperparameters": -0.7},
    "all_moved": {"optim.unregistered_params": -2.0, "lr.too_low": -1.0},
    "labels_mixed": {"data.unshuffled": -3.0},
    "units_awake": {"act.dead_relu": -3.0},
    "units_free": {"act.saturated": -3.0},
    "nonfinite_at_once": {
        "numerics.unsafe_op": 1.5,
        "data.nonfinite": 1.0,
        "output.wrong_activation": 0.3,
        "lr.too_high": -1.0,
        "data.outliers": -0.5,
        "init.bad_scale": -0.5,
    },
    "nonfinite_later": {"lr.too_high": 1.0, "numerics.unsafe_op": 1.0, "data.nonfinite": -1.0, "init.bad_scale": -1.0},
    "train_wanders": {
        "reg.too_strong": 0.7,
        "act.unsuitable": 0.5,
        "init.symmetric": 0.4,
        "data.no_signal": 0.8,
        "optim.bad_hyperparameters": 0.7,
        "fit.too_few_epochs": -2.0,
        "batch.too_large": -2.0,
    },
    "learns_by_heart": {
        "data.no_signal": 1.5,
        "data.train_val_mismatch": 1.5,
        "data.label_noise": 0.8,
        "data.constant": 0.5,
        "optim.unregistered_params": -1.5,
        "init.symmetric": -2.0,
        "init.bad_scale": -1.5,
        "lr.too_low": -1.5,
        "reg.too_strong": -1.5,
        "model.missing_nonlinearity": -1.0,
    },
    "blown_start": {
        "data.unscaled_inputs": 1.5,
        "data.outliers": 1.0,
        "init.bad_scale": 0.7,
        "data.unscaled_targets": 1.0,
        "output.wrong_activation": 0.7,
        "lr.too_high": 0.7,
        "loss.wrong_reduction": 0.5,
        "lr.too_low": -1.5,
        "init.symmetric": -1.5,
    },
    "leapt_then_stands": {
        "lr.too_high": 1.5,
        "data.unscaled_inputs": 1.3,
        "data.outliers": 0.3,
        "init.bad_scale": 0.3,
        "lr.too_low": -2.0,
        "data.no_signal": -1.0,
        "init.symmetric": -1.0,
    },
    "train_far_above_held": {
        "data.outliers": 3.0,
        "data.class_imbalance": 0.5,
        "loss.wrong_reduction": 0.7,
        "data.unscaled_inputs": 0.5,
    },
    "train_above_chance": {
        "data.unshuffled": 2.5,
        "act.unsuitable": 1.0,
        "lr.too_high": 1.0,
        "data.no_signal": 0.5,
        "reg.too_strong": -1.0,
    },
    "score_runs_ahead": {
        "output.wrong_activation": 2.0,
        "loss.shape_broadcast": 1.2,
        "reg.too_strong": 0.7,
        "model.batch_leak": 0.3,
        "data.no_signal": -3.0,
    },
    "score_below_chance": {
        "loss.mismatch": 2.0,
        "optim.unregistered_params": 0.7,
        "data.unscaled_targets": 0.7,
        "data.unscaled_inputs": 0.5,
    },
    "tiny_start": {"loss.wrong_reduction": 2.0, "loss.mismatch": 1.5},
    "held_blown": {
        "data.train_val_mismatch": 1.5,
        "model.bad_normalization": 1.2,
        "model.train_eval_mode": 1.0,
        "data.label_noise": -1.0,
    },
    "large_targets": {"data.unscaled_targets": 3.0, "lr.too_low": 0.5},
    "outputs_far_off": {
        "data.unscaled_inputs": 2.0,
        "init.bad_scale": 1.0,
        "lr.too_high": 0.7,
        "data.unscaled_targets": -1.0,
    },
    "rate_tiny": {"lr.too_low": 2.5, "lr.bad_schedule": 0.5},
    # assumption: nine of ten rates that are too high are so large; of other runs one in fifty, or one in twelve with the optimizer unsaid
    "rate_large": {"lr.too_high": 4.0, "lr.too_low": -4.0, "output.wrong_activation": -1.0},
    "rate_high": {"lr.too_high": 2.5, "lr.too_low": -2.5, "output.wrong_activation": -1.0},
    "creeps": {
        "lr.too_low": 1.5,
        "optim.bad_hyperparameters": 1.0,
        "loss.wrong_reduction": 0.7,
        "lr.bad_schedule": 0.5,
        "data.unscaled_targets": 0.7,
        "data.no_signal": -1.5,
        "output.wrong_activation": -0.5,
        "init.symmetric": -0.7,
        "reg.too_strong": -0.7,
        "lr.too_high": -2.0,
    },
    "held_jumps": {
        "model.batch_leak": 0.7,
        "model.bad_normalization": 1.0,
        "batch.too_small": 0.7,
        "model.train_eval_mode": 0.5,
        "lr.too_high": 0.5,
    },
    "swings_large": {"data.outliers": 0.7, "lr.too_high": 0.7, "batch.too_small": 0.5, "data.unscaled_inputs": 0.5},
    "rises_to_plateau": {"lr.too_high": 1.5, "optim.bad_hyperparameters": 1.5},
    "rings": {"optim.bad_hyperparameters": 1.5},
    "straight_line": {
        "lr.too_low": 1.5,
        "batch.too_large": 1.2,
        "fit.too_few_epochs": 1.0,
        "data.no_signal": -2.0,
        "lr.too_high": -2.0,
    },
    "classes": {"data.unscaled_targets": -3.0},
    "held_follows": {
        "data.train_val_mismatch": -3.0,
        "data.label_noise": -1.5,
        "model.train_eval_mode": -2.0,
        "data.duplicates": -1.5,
    },
}

# Clues that are symptoms without a name of their own in the fault list: they open a case by themselves.
OPENING = (
    "train_far_above_held",
    "held_blown",
    "tiny_start",
    "score_runs_ahead",
    "score_below_chance",
    "train_above_chance",
    "leapt_then_stands",
    "blown_start",
    "large_targets",
    "outputs_far_off",
    "held_jumps",
)
ASSERTED = "device-side assert"  # torch's words for an assertion on a device
SLOW = ("lr.too_low", "fit.too_few_epochs")  # one curve, several causes: a finding of one opens the case of all
OPENED: Mapping[str, tuple[str, ...]] = {
    name: tuple(one for one, weight in WEIGHTS[name].items() if weight > 0) for name in (*OPENING, "straight_line")
}

# Log-odds of a candidate by symptom, beside its place in the list. Measured as above.
SEEN: Mapping[str, Mapping[str, float]] = {
    "loss.not_decreasing": {
        "optim.bad_hyperparameters": 0.8,
        "reg.too_strong": 1.0,
        "data.poor_features": -1.0,
        "lr.bad_schedule": -0.5,
    },
    "loss.plateau_at_chance": {"optim.unregistered_params": 0.7, "init.bad_scale": -0.5},
    "loss.diverging": {"optim.bad_hyperparameters": 0.7, "loss.wrong_reduction": -0.7},
}

# Causes of a symptom that the fault list does not name, seen behind it in planted runs of the open part.
MORE: Mapping[str, tuple[str, ...]] = {
    "loss.plateau_at_chance": (
        "data.unscaled_targets",
        "lr.bad_schedule",
        "act.dead_relu",
        "data.unshuffled",
        "data.constant",
        "model.batch_leak",
    ),
    "loss.not_decreasing": (
        "data.unscaled_targets",
        "data.no_signal",
        "output.wrong_activation",
        "data.unscaled_inputs",
        "data.outliers",
    ),
    "loss.diverging": ("optim.bad_hyperparameters", "data.outliers", "lr.bad_schedule"),
    "fit.overfit": ("data.poor_features",),
}

PROBES: Mapping[str, str] = {
    "lr.too_high": "rate_sweep",
    "lr.too_low": "rate_sweep",
    "lr.bad_schedule": "flat_schedule",
    "data.unscaled_inputs": "input_scaling",
    "output.wrong_activation": "swapped_output",
    "loss.mismatch": "swapped_output",
    "init.bad_scale": "fresh_init",
    "init.symmetric": "fresh_init",
    "model.too_small": "more_capacity",
    "fit.too_few_epochs": "longer_run",
    "batch.too_small": "larger_batch",
    "batch.too_large": "smaller_batch",
    "data.label_noise": "clean_subset",
    "data.outliers": "clean_subset",
    "data.no_signal": "one_batch",
    "reg.too_strong": "no_regulariser",
    "data.unshuffled": "shuffled",
    "optim.bad_hyperparameters": "default_optimizer",
    "optim.unregistered_params": "one_batch",
}


@dataclass(frozen=True, slots=True)
class Belief:
    """A candidate cause, how probable it is, and the clues for and against it."""

    fault: str
    share: float
    speaking_for: tuple[Clue, ...] = ()
    against: tuple[Clue, ...] = ()


def beliefs(
    symptoms: Iterable[str], seen: Sequence[Clue] = (), evidence: Mapping[str, float] | None = None
) -> list[Belief]:
    """The candidates of symptoms, the likeliest first. `evidence` holds log-odds by fault, of rules, checks and probes.

    >>> beliefs(["loss.diverging"])[0].fault
    'lr.too_high'
    >>> beliefs(["loss.diverging"], evidence={"data.unscaled_inputs": 6.0})[0].fault
    'data.unscaled_inputs'
    """
    prior: dict[str, float] = {}
    for symptom in symptoms:
        for fault, weight in _candidates(symptom).items():
            prior[fault] = max(prior.get(fault, 0.0), weight)
    told = dict(evidence or {})
    for fault, weight in told.items():
        if weight > 0:
            prior.setdefault(fault, min(prior.values(), default=1.0))
    odds = {fault: math.log(weight) + told.get(fault, 0.0) for fault, weight in prior.items()}
    for clue in seen:
        for fault, weight in WEIGHTS.get(clue.name, {}).items():
            if fault in odds:
                odds[fault] += weight
    if not odds:
        return []
    top = max(odds.values())
    whole = sum(math.exp(one - top) for one in odds.values()) / (1 - OTHER)
    ordered = sorted(odds, key=lambda fault: -odds[fault])
    return [Belief(one, math.exp(odds[one] - top) / whole, _of(seen, one, 1), _of(seen, one, -1)) for one in ordered]


def _candidates(symptom: str) -> dict[str, float]:
    if symptom in OPENED:
        return dict.fromkeys(OPENED[symptom], 0.5)
    listed = [one for one in vocabulary().get(symptom, {}).get("causes", ()) if one != symptom]
    found = {fault: 1 / (place + 2) for place, fault in enumerate(listed)}
    least = 1 / (len(listed) + 2)
    found |= {fault: least for fault in MORE.get(symptom, ()) if fault not in found}
    return {fault: weight * math.exp(SEEN.get(symptom, {}).get(fault, 0.0)) for fault, weight in found.items()}


def _of(seen: Sequence[Clue], fault: str, sign: int) -> tuple[Clue, ...]:
    kept = [one for one in seen if WEIGHTS.get(one.name, {}).get(fault, 0.0) * sign > 0]
    return tuple(sorted(kept, key=lambda one: -abs(WEIGHTS[one.name][fault])))


def log_odds(finding: Finding) -> float:
    """What a finding says of its own fault."""
    if finding.status == "confirmed":
        return SURE
    if finding.status == "refuted":
        return -SURE
    held = min(max(finding.confidence, 0.02), 0.98)
    return math.log(held / (1 - held))


def joined(found: Sequence[Finding]) -> list[Finding]:
    """Suspicions of one fault from several sources strengthen each other; what a confirmed cause explains is less probable by itself."""
    confirmed = {one.fault for one in found if one.status == "confirmed" and one.severity != "note"}
    explained = {effect for fault in confirmed for effect in BRINGS.get(fault, ())}
    together: list[Finding] = []
    for one in found:
        if one.status != "suspected" or _kind(one.fault) != "cause":
            together.append(one)
            continue
        beside = [
            each
            for each in found
            if each.fault == one.fault and each.message != one.message and each.status == "suspected"
        ]
        held = (
            one.confidence
            if not beside
            else 1 - (1 - one.confidence) * math.prod(1 - each.confidence for each in beside)
        )
        if one.fault in explained and one.fault not in confirmed:
            held *= 0.5
        together.append(
            replace(one, confidence=round(min(held, 0.95), 3) if held != one.confidence else one.confidence)
        )
    return together


def reasoned(found: Sequence[Finding], seen: View) -> list[Finding]:
    """Findings with the candidates that their symptoms and the clues of the curves suggest."""
    kept = joined(found)
    if not seen.readable:
        return kept
    told = clues(seen)
    told += [] if any(one.name == "numbers" for one in told) or not seen.scores else [Clue("classes", 1.0, 0.0)]
    loud = [one for one in kept if one.severity != "note" and one.status != "refuted"]
    causes = {one.fault: one for one in loud if _kind(one.fault) == "cause"}
    kept = [replace(one, caused_by=_root(one, causes)) if one.caused_by is None else one for one in kept]
    loud = [one for one in kept if one.severity != "note" and one.status != "refuted"]
    open_cases = [one for one in loud if _opens(one) and not _explained(one.fault, causes)]
    symptoms = [one.fault for one in open_cases] + [
        one.name for one in told if one.name in OPENING and not _opened(one, causes)
    ]
    if any(fault in causes and causes[fault].confidence <= DECIDED for fault in SLOW) and any(
        one.name == "straight_line" for one in told
    ):
        symptoms.append("straight_line")
    if not symptoms:
        return kept
    evidence: dict[str, float] = {} if seen.history.resumed else {"optim.lost_state": -SURE}
    for one in kept:
        if _kind(one.fault) == "cause":
            evidence[one.fault] = max(evidence.get(one.fault, -SURE), log_odds(one))
    all_of_them = beliefs(symptoms, told, evidence)
    believed = [one for one in all_of_them if one.share >= FAINT]
    against = tuple(one.fault for one in all_of_them if _spoken_against(one))
    kept = [_settled(one, all_of_them, against) if one in open_cases else one for one in kept]
    # overfitting is an answer by itself, unless something speaks for another one
    alone = set(symptoms) == {"fit.overfit"} and not any(one.name in ("learns_by_heart", *OPENING) for one in told)
    return kept + ([] if alone else _named(believed, kept, symptoms[0]))


def _opens(one: Finding) -> bool:
    """Whether a finding asks for a cause: symptoms and mechanisms, but for a curve that may just as well have arrived.

    An exception is explained by its own words, which the rules on labels, widths and memory have read; that of a device does not say what failed.
    """
    if one.fault == "run.crash":
        return ASSERTED in str(one.values.get("message", ""))
    return _kind(one.fault) != "cause" and one.message != "curves.stalled"


def _kind(fault: str) -> str:
    return str(vocabulary().get(fault, {}).get("kind", "cause"))


def _explained(symptom: str, causes: Mapping[str, Finding]) -> bool:
    listed = (*vocabulary().get(symptom, {}).get("causes", ()), *MORE.get(symptom, ()))
    return any(fault in listed and one.confidence >= DECIDED for fault, one in causes.items())


def _root(one: Finding, causes: Mapping[str, Finding]) -> str | None:
    """A cause of a symptom that the fault list does not name for it."""
    held = [fault for fault in MORE.get(one.fault, ()) if fault in causes and causes[fault].confidence >= DECIDED]
    return max(held, key=lambda fault: causes[fault].confidence, default=None)


def _opened(clue: Clue, causes: Mapping[str, Finding]) -> bool:
    return any(fault in OPENED[clue.name] and one.confidence >= DECIDED for fault, one in causes.items())


def _spoken_against(one: Belief) -> bool:
    return sum(WEIGHTS[clue.name][one.fault] for clue in (*one.speaking_for, *one.against)) <= AGAINST


def _settled(symptom: Finding, believed: Sequence[Belief], against: tuple[str, ...]) -> Finding:
    """A symptom with what speaks against its candidates, and the probe that parts the first two."""
    probe = next((PROBES[one.fault] for one in believed if one.fault in PROBES), symptom.next_probe)
    listed = _candidates(symptom.fault)
    out = tuple(fault for fault in against if fault in listed)
    numbers = tuple(
        Evidence(name=clue.name, value=clue.value, threshold=clue.threshold, source="speaks against")
        for clue in dict.fromkeys(clue for one in believed if one.fault in out for clue in one.against)
    )
    ruled = tuple(dict.fromkeys((*symptom.ruled_out, *out)))
    return replace(symptom, ruled_out=ruled, evidence=symptom.evidence + numbers, next_probe=probe)


def _named(believed: Sequence[Belief], kept: Sequence[Finding], symptom: str) -> list[Finding]:
    """The best of each family; those of the two likeliest families above a note."""
    families: dict[str, list[Belief]] = {}
    for one in believed:
        families.setdefault(one.fault.partition(".")[0], []).append(one)
    ordered = sorted(families.values(), key=lambda group: -sum(one.share for one in group))
    stated = {one.fault for one in kept if one.severity != "note"}
    found: list[Finding] = []
    for place, group in enumerate(ordered):
        for rank, one in enumerate(group):
            if one.fault not in stated and (one.share >= LOWEST or (place < LOUD and rank == 0)):
                found.append(_candidate(one, symptom, "warning" if place < LOUD and rank == 0 else "note"))
    return found


def _candidate(one: Belief, symptom: str, severity: Severity) -> Finding:
    first = one.speaking_for[0] if one.speaking_for else None
    values = {"symptom": symptom, "share": one.share} | (
        {} if first is None else {"value": first.value, "threshold": first.threshold}
    )
    return Finding(
        fault=one.fault,
        severity=severity,
        message="curves.candidate" if first is None else f"curves.clue_{first.name}",
        values=values,
        evidence=tuple(
            Evidence(name=clue.name, value=clue.value, threshold=clue.threshold, source="reasoning")
            for clue in one.speaking_for
        ),
        remedies=(advice("decide_by_probe", probe=PROBES[one.fault]),) if one.fault in PROBES else (),
        confidence=round(one.share, 3),
        status="suspected",
        next_probe=PROBES.get(one.fault),
    )
