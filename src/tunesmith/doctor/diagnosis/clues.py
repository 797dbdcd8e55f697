"""Features of a log that speak for one cause or another, each with its number. None of them is a fault by itself."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunesmith.doctor.diagnosis.chance import guessed, known, scores_at_chance
from tunesmith.doctor.diagnosis.data_unshuffled import one_class
from tunesmith.doctor.diagnosis.inside import first_values, over_layers, typical
from tunesmith.doctor.diagnosis.loss_mismatch import of_classes
from tunesmith.doctor.diagnosis.rates import course
from tunesmith.doctor.diagnosis.smoothing import noise, slope
from tunesmith.doctor.diagnosis.views import FEWEST, Curve, View, good, single

FROZEN = 1e-5  # of its value: a held loss that is the same to the digits of a log; assumption
# Rates from which on a training that is stuck may be so because of them, by the beginning of an optimizer's name. Adaptive steps are
# about as long as the rate, ten times the usual 1e-3 to 3e-3 (Kingma & Ba, arXiv:1412.6980; Karpathy's 3e-4); plain SGD at 1 is beyond what
# large batches are trained with (Goyal et al., arXiv:1706.02677: 0.1 a 256 rows). Not of those that find their own, or count it otherwise.
LARGE = {"adam": 0.03, "nadam": 0.03, "radam": 0.03, "rmsprop": 0.03, "lion": 0.01, "sgd": 1.0}
UNSAID = 0.1  # where the optimizer is not known: usual for SGD, far too much for Adam; assumption


@dataclass(frozen=True, slots=True)
class Clue:
    """One feature: its name in the table of reasoning, what was measured, and the bound."""

    name: str
    value: float
    threshold: float
    at: float | None = None


Test = Callable[[View], Clue | None]


def clues(seen: View) -> list[Clue]:
    """All features that this log has."""
    return [found for test in TESTS if (found := test(seen)) is not None] if seen.readable else []


def held_frozen(seen: View) -> Clue | None:
    """The held loss is the same to the last digits from the first evaluation to the last: the weights do not move."""
    one = seen.val
    if one is None or len(one) < FEWEST or one.each > 1:
        return None
    values = one.series.values
    spread = float(values.max() - values.min()) / max(abs(float(values[0])), 1e-12)
    return Clue("held_frozen", spread, FROZEN) if spread <= FROZEN else None


def held_moves(seen: View) -> Clue | None:
    """The held loss is never twice the same: the weights move."""
    one = seen.val
    if one is None or len(one) < FEWEST or one.each > 1:
        return None
    values = one.series.values
    spread = float(np.median(np.abs(np.diff(values[len(values) // 2 :])))) / max(abs(float(values[0])), 1e-12)
    return Clue("held_moves", spread, 10 * FROZEN) if spread > 10 * FROZEN else None


def nonfinite_at_once(seen: View) -> Clue | None:
    """No training loss of the log is a number."""
    own = [one for one in seen.history.all("loss", where="") if one.part in ("train", "")]
    bad = bool(own) and all(not np.isfinite(one.values[: max(1, len(one) // 50)]).any() for one in own)
    return Clue("nonfinite_at_once", 1.0, 0.0, float(own[0].steps[0])) if bad else None


def nonfinite_later(seen: View) -> Clue | None:
    """The training loss was a number for a while."""
    own = [
        one
        for one in seen.history.all("loss", where="")
        if one.part in ("train", "") and not np.isfinite(one.values).all()
    ]
    if not own or nonfinite_at_once(seen) is not None:
        return None
    at = float(own[0].steps[int(np.flatnonzero(~np.isfinite(own[0].values))[0])])
    return Clue("nonfinite_later", at, 0.0, at)


def held_settled(seen: View) -> Clue | None:
    """As before, from the middle on alone: what moved at first has stopped to the digit."""
    one = seen.val
    if one is None or len(one) < 6 or one.each > 1 or held_frozen(seen) is not None:
        return None
    values = one.series.values[len(one.series.values) // 2 :]
    spread = float(values.max() - values.min()) / max(abs(float(values[0])), 1e-12)
    return Clue("held_settled", spread, 10 * FROZEN) if spread <= 10 * FROZEN else None


def blown_start(seen: View) -> Clue | None:
    """The first loss of classes is many times what guessing costs: ln C, or ln 1000 where the number of classes is not known."""
    one = seen.train
    if one is None or len(one) < FEWEST or one.start <= 0 or not _classes(seen):
        return None
    bound = known(seen)
    usual = bound.loss if bound is not None else float(np.log(1000))
    return Clue("blown_start", one.start / usual, 3.0) if one.start > 3 * usual else None


def large_targets(seen: View) -> Clue | None:
    """The targets are far from unit scale, and are not reached: their deviation, from r2 = 1 - loss / variance, or the error itself."""
    loss = seen.val
    if loss is None or len(loss) < FEWEST or loss.start <= 0:
        return None
    for score in seen.scores:
        if score.series.name == "r2" and score.end < 0.5:
            spread = float(np.sqrt(loss.end / max(1 - score.end, 1e-12)))
            if spread > 10:
                return Clue("large_targets", spread, 10.0)
        if (
            score.series.name in ("mae", "rmse")
            and min(score.end, score.end * loss.end / loss.start) > 10
            and loss.drop < 0.7 * loss.start
        ):
            return Clue("large_targets", score.end, 10.0)
    return None


def outputs_far_off(seen: View) -> Clue | None:
    """The answers are far larger than targets of usual scale: r2 far below 0 from the first evaluation on."""
    loss = seen.val
    for score in seen.scores:
        far = score.series.name == "r2" and score.start < -10 and score.end < 0
        if far and loss is not None and 0 < loss.start / (1 - score.start) < 100:
            return Clue("outputs_far_off", score.start, -10.0)
    return None


def rate_tiny(seen: View) -> Clue | None:
    """A rate below those that train anything from the start."""
    rate = course(seen)
    return Clue("rate_tiny", rate.peak, 1e-5) if rate is not None and rate.peak < 1e-5 else None


def rate_large(seen: View) -> Clue | None:
    """A rate that is beyond the usual ones of its optimizer."""
    peak, bound = _peak(seen), _large(seen)
    return Clue("rate_large", peak, bound) if peak is not None and bound is not None and peak >= bound else None


def rate_high(seen: View) -> Clue | None:
    """A rate that would be too much for most optimizers, of one that the log does not name."""
    peak = _peak(seen)
    unsaid = not seen.history.facts.get("optimizer")
    return Clue("rate_high", peak, UNSAID) if peak is not None and unsaid and peak >= UNSAID else None


def _peak(seen: View) -> float | None:
    rate = course(seen)
    if rate is not None:
        return rate.peak
    said = seen.history.facts.get("lr")
    return float(said) if isinstance(said, int | float) and said > 0 else None


def _large(seen: View) -> float | None:
    name = str(seen.history.facts.get("optimizer") or "").lower()
    return next((rate for word, rate in LARGE.items() if name.startswith(word)), None)


def creeps(seen: View) -> Clue | None:
    """The held loss falls a little at nearly every evaluation, and hardly at all in sum: the way is right and the steps too short."""
    one = seen.val
    if one is None or len(one) < 6 or one.each > 1 or one.start <= 0:
        return None
    steps = np.diff(one.series.values)
    down = float(np.mean(steps < 0))
    total = float(one.series.values[0] - one.series.values[-1]) / one.start
    return Clue("creeps", total, 0.05) if down >= 0.9 and 1e-7 < total < 0.05 else None


def leapt_then_stands(seen: View) -> Clue | None:
    """The first epoch cost many times what the next ones did, and from these on the loss stands: the start did damage."""
    one = seen.train
    if one is None or len(one) < FEWEST or one.start <= 0:
        return None
    then = float(np.median(one.level[1:4]))
    ratio = one.start / max(then, 1e-12)
    return Clue("leapt_then_stands", ratio, 3.0) if then > 0 and ratio > 3 and one.end > 0.7 * then else None


def _as_they_are(seen: View) -> tuple[Curve, Curve] | None:
    """The training and the held loss, where both are long enough and nobody changes or mixes the training rows."""
    train, val = seen.train, seen.val
    if seen.history.facts.get("augment") or train is None or val is None or min(len(train), len(val)) < FEWEST:
        return None
    return train, val


def train_far_above_held(seen: View) -> Clue | None:
    """The training loss is many times the held one, and stays so: rows that the held part does not have, nobody having changed
    or mixed them."""
    parts = _as_they_are(seen)
    if parts is None or parts[1].best <= 0:
        return None
    train, val = parts
    beside = np.interp(val.at, train.at, train.level)
    ratio = float(np.median(beside / np.maximum(val.level, 1e-12)))
    return Clue("train_far_above_held", ratio, 4.0) if ratio > 4 else None


def train_above_chance(seen: View) -> Clue | None:
    """The training loss stands above that of a constant answer, and above the held one: each batch comes as a surprise."""
    parts = _as_they_are(seen)
    if parts is None or parts[1].end <= 0:
        return None
    train, val = parts
    _, errors, _ = train.fall(0.6)
    ratio = train.end / val.end
    near = guessed(val.end) is not None or scores_at_chance(seen) is not None or _low(seen)
    return (
        Clue("train_above_chance", ratio, 1.15)
        if near and 1.15 < ratio < 4 and errors < 3 and train.end > 0.95 * train.start
        else None
    )


def score_runs_ahead(seen: View) -> Clue | None:
    """The score made most of its way while the loss hardly moved: something stands between the outputs and the loss."""
    loss = seen.val or seen.train
    if loss is None or loss.start <= 0 or len(loss) < 3:
        return None
    for score in seen.scores:
        if not of_classes(score) or len(score) < 3:
            continue
        top = 100.0 if float(score.level.max()) > 1.5 else 1.0
        low_end = 0.5 if "auc" in score.series.name else 0.0
        reached = (float(np.median(score.level[-score.tail :])) / top - low_end) / (1 - low_end)
        won = score.drop / top / (1 - low_end)
        if reached > 0.6 and won > 0.25 and loss.end > 0.85 * loss.start:
            return Clue("score_runs_ahead", reached, 0.6)
    return None


def score_below_chance(seen: View) -> Clue | None:
    """A score worse than that of a constant answer, by far, while the loss falls."""
    loss = seen.val or seen.train
    if loss is None or loss.drop <= 6 * loss.noise:
        return None
    for score in seen.scores:
        name, end = score.series.name, score.end
        stands = score.drop < max(3 * score.noise, 0.1 * abs(score.start))
        if ("auc" in name and end < 0.4) or (name == "r2" and end < -1 and stands):
            return Clue("score_below_chance", end, 0.4 if "auc" in name else -1.0)
    return None


def tiny_start(seen: View) -> Clue | None:
    """The first loss is far below that of guessing though the score is that of guessing: a loss divided by something."""
    loss = seen.val or seen.train
    if loss is None or loss.start <= 0:
        return None
    for score in seen.scores:
        if score.series.name == "accuracy" and score.level.max() <= 1:
            wrong = 1 - float(score.level[0])
            if wrong > 0.2 and loss.start < 0.05 * wrong * np.log(2):
                return Clue("tiny_start", loss.start, 0.05 * wrong * float(np.log(2)))
    return None


def learns_by_heart(seen: View) -> Clue | None:
    """The training loss falls well while the held one, and the score, stay at the start: nothing of it holds on new rows."""
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < FEWEST + 1 or not seen.scores:
        return None
    if train.drop < 0.1 * abs(train.start) or train.drop < 6 * train.noise or val.drop > 0.25 * train.drop:
        return None
    if any(good(score) for score in seen.scores):
        return None
    stuck = scores_at_chance(seen) is not None or all(
        score.drop < max(3 * score.noise, 0.08 * abs(1 - score.start)) for score in seen.scores if of_classes(score)
    )
    return Clue("learns_by_heart", val.drop / train.drop, 0.25) if stuck else None


def held_blown(seen: View) -> Clue | None:
    """The held loss is many times the first training loss, while training goes well: another model is being judged."""
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < FEWEST or train.start <= 0:
        return None
    if any(good(score) for score in seen.scores):  # certain of its few wrong answers: overfitting
        return None
    ratio = float(np.median(val.level)) / train.start
    falls = train.end < 0.7 * train.start
    return Clue("held_blown", ratio, 5.0) if falls and ratio > 5 else None


def held_jumps(seen: View) -> Clue | None:
    """The held loss jumps about by more than a third of what the training loss fell in all, and by a quarter of its own level."""
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < 8:
        return None
    late = val.level[len(val) // 4 :]
    jump = noise(late)
    won = max(train.drop, 6 * train.noise, 1e-12)
    if jump < max(0.3 * won, 0.25 * abs(float(np.median(late)))):
        return None
    return Clue("held_jumps", jump / won, 0.3)


def swings_large(seen: View) -> Clue | None:
    """The training loss swings by a good share of its own level, late in the run, at a level that matters."""
    train = seen.train
    if train is None or len(train) < 8 or train.end <= 0.05 * abs(train.start) or single(train):
        return None
    late = train.level[len(train) // 2 :]
    share = noise(late) / max(abs(float(np.median(late))), 1e-12)
    return Clue("swings_large", share, 0.25) if share > 0.25 else None


def rises_to_plateau(seen: View) -> Clue | None:
    """The loss fell, rose again and stands there: the net was lost on the way."""
    train = seen.train
    if train is None or len(train) < 6 or train.best_index == 0:
        return None
    return (
        Clue("rises_to_plateau", train.lost / train.scale, 0.5)
        if train.lost > max(0.5 * train.drop, 6 * train.noise)
        else None
    )


def straight_line(seen: View) -> Clue | None:
    """The loss falls in a straight line to the end."""
    one = seen.judged
    if one is None or len(one) < FEWEST + 1 or one.drop <= 8 * one.noise or float(one.level.min()) <= 0:
        return None
    _, errors, pace = one.fall(0.4)
    return Clue("straight_line", pace, 0.6) if errors > 4 and pace > 0.6 and one.early_share < 0.5 else None


def held_follows(seen: View) -> Clue | None:
    """Training and held loss end close together: it is not the data of the held part."""
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < FEWEST:
        return None
    gap = abs(val.end - train.end) / max(abs(train.start), 1e-12)
    return Clue("held_follows", gap, 0.1) if gap < 0.1 else None


def rate_small(seen: View) -> Clue | None:
    """The rate ends as good as nothing, or was never more."""
    rate = course(seen)
    if rate is None or rate.gone is None:
        return None
    return Clue("rate_small", float(rate.values[-1]) / rate.peak, 1e-3, rate.gone)


def train_wanders(seen: View) -> Clue | None:
    """The training loss moves by no more than the order of the rows explains, the held one a little: moves without effect."""
    train, val = seen.train, seen.val
    if train is None or val is None or min(len(train), len(val)) < 6 or held_frozen(seen) is not None:
        return None
    trend = abs(slope(train.at, train.level)) * train.span
    return Clue("train_wanders", trend / max(train.noise, 1e-12), 3.0) if trend < 3 * train.noise else None


def numbers(seen: View) -> Clue | None:
    """The score is one of numbers: a regression."""
    return (
        Clue("numbers", 1.0, 0.0)
        if any(one.series.name in ("r2", "mae", "rmse", "mse") for one in seen.scores)
        else None
    )


def rings(seen: View) -> Clue | None:
    """Slow, regular swings over many points: too much momentum."""
    train = seen.train
    if train is None or len(train) < 16:
        return None
    late = train.level[len(train) // 4 :]
    left = late - np.polyval(np.polyfit(np.arange(len(late)), late, 1), np.arange(len(late)))
    if float(np.std(left)) < max(4 * train.noise, 0.03 * train.drop):
        return None
    turns = float(np.mean(np.diff(np.sign(left)) != 0))
    return Clue("rings", turns, 0.3) if 0.05 < turns < 0.3 else None


# What a watched run measured, and what is as it should be: it rules causes out.


def inputs_finite(seen: View) -> Clue | None:
    """Every batch that was looked at held numbers."""
    one = seen.history.get("input_max")
    return (
        Clue("inputs_finite", float(one.values.max()), np.inf)
        if one is not None and np.isfinite(one.values).all()
        else None
    )


def inputs_scaled(seen: View) -> Clue | None:
    """Inputs of about unit size."""
    largest, spread = typical(seen.history, "input_max"), typical(seen.history, "input_std")
    if largest is None or spread is None or not (largest < 10 and 0.05 < spread < 5):
        return None
    return Clue("inputs_scaled", largest, 10.0)


def targets_scaled(seen: View) -> Clue | None:
    """Targets of about unit size."""
    spread = typical(seen.history, "target_std")
    return Clue("targets_scaled", spread, 10.0) if spread is not None and 0.05 < spread < 5 else None


def updates_usual(seen: View) -> Clue | None:
    """Updates of a usual length from the first one on."""
    first, ratio = first_values(seen.history, "update_ratio"), typical(seen.history, "update_ratio")
    if first is None or ratio is None or not (first < 0.2 and 1e-4 < ratio < 0.1):
        return None
    return Clue("updates_usual", ratio, 1e-3)


def all_moved(seen: View) -> Clue | None:
    """Every layer that was measured has left its start."""
    found = [float(kept.values[-1]) for one in seen.history.all("moved") if len(kept := one.finite)]
    return Clue("all_moved", min(found), 1e-4) if found and min(found) > 1e-4 else None


def labels_mixed(seen: View) -> Clue | None:
    """The labels of a batch are as mixed as all of them."""
    share = one_class(seen.history)
    return Clue("labels_mixed", share, 0.8) if share is not None and share > 0.8 else None


def units_awake(seen: View) -> Clue | None:
    """No layer has many units that are 0 on every row."""
    found = over_layers(seen.history, "dead_fraction")
    return Clue("units_awake", float(found.max()), 0.3) if found is not None and float(found.max()) < 0.3 else None


def units_free(seen: View) -> Clue | None:
    """No layer has many units at the ends of their range."""
    found = over_layers(seen.history, "saturated_fraction")
    return Clue("units_free", float(found.max()), 0.3) if found is not None and float(found.max()) < 0.3 else None


def _classes(seen: View) -> bool:
    return any(of_classes(score) for score in (*seen.scores, *seen.own_scores))


def _low(seen: View) -> bool:
    return any(
        score.series.name == "accuracy" and float(np.median(score.level[-3:])) < 0.2 and score.drop < 0.1
        for score in seen.scores
    )


TESTS: tuple[Test, ...] = (
    held_frozen,
    held_moves,
    nonfinite_at_once,
    nonfinite_later,
    held_settled,
    blown_start,
    large_targets,
    outputs_far_off,
    rate_tiny,
    rate_large,
    rate_high,
    creeps,
    leapt_then_stands,
    train_far_above_held,
    train_above_chance,
    score_runs_ahead,
    score_below_chance,
    tiny_start,
    learns_by_heart,
    held_blown,
    held_jumps,
    swings_large,
    rises_to_plateau,
    straight_line,
    held_follows,
    rate_small,
    train_wanders,
    numbers,
    rings,
    inputs_finite,
    inputs_scaled,
    targets_scaled,
    updates_usual,
    all_moved,
    labels_mixed,
    units_awake,
    units_free,
)
