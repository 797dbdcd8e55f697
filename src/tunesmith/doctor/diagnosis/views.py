"""A history as a person reads it: the training curve, what it is held against, the rate, and what the log cannot tell."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from tunesmith.doctor.diagnosis.smoothing import blocks, noise, slope, smooth
from tunesmith.runs.history import Floats, History, Series
from tunesmith.runs.quantities import LOWER_IS_BETTER

POINTS = 60  # of a curve: enough for its shape, few enough for all pairs; assumption
FEWEST = 4  # points of a curve below which nothing is said of its shape
SURE = 4.0  # standard errors beyond which a difference is one
GOOD = 0.5  # of the way from guessing to perfect; assumption
AVERAGED = 5  # batches in a level from which on it speaks of the net and not of its rows; assumption
NEVER = 1e-12  # below every noise

# How words of a metric's name begin, and which way is better.
HIGHER = re.compile(
    r"(acc|accuracy|f1|f2|fbeta|auc|auroc|roc|ap|map\d*|precision|recall|r2|iou|miou|bleu|rouge\w*|top\d*|score|dice|kappa|mcc)$"
)
LOWER = re.compile(r"(error|err|wer|cer|mae|mse|rmse|perplexity|ppl|nll)$")
WORD = re.compile(r"[^a-z0-9]+")
AGENT = {"reward", "rew", "return", "episode"}  # "rewards" are those of preference tuning, which has an ordinary loss
AGENT_LOSSES = (
    "value_loss",
    "policy_loss",
    "policy_gradient_loss",
    "entropy_loss",
    "critic_loss",
    "actor_loss",
    "approx_kl",
    "advantage",
)
PLAYERS = {
    "judge": re.compile(r"(^|_)(d_?loss|loss_?d|err_?d|disc\w*|discriminator\w*|critic\w*|loss_?(real|fake))(_|$)"),
    "maker": re.compile(r"(^|_)(g_?loss|loss_?g|err_?g|gen|gen_loss|generator\w*)(_|$)"),
}


@dataclass(frozen=True, slots=True)
class Curve:
    """At most `POINTS` levels of a series, and the noise of one of them. `sign` is -1 where more is better."""

    series: Series
    at: Floats
    level: Floats  # as it stands in the log
    noise: float
    each: int  # points of the log in a level
    sign: int = 1

    @property
    def down(self) -> Floats:
        """The levels turned so that less is better."""
        return self.level * self.sign

    @property
    def name(self) -> str:
        return self.series.column or " ".join(part for part in (self.series.part, self.series.name) if part)

    @property
    def start(self) -> float:
        return float(self.level[0])

    @property
    def end(self) -> float:
        return float(np.median(self.level[-self.tail :]))

    @property
    def tail(self) -> int:
        return int(np.clip(len(self.level) // 8, 1, 5))

    @property
    def best_index(self) -> int:
        return int(np.argmin(smooth(self.down)))

    @property
    def best(self) -> float:
        return float(smooth(self.level)[self.best_index])

    @property
    def drop(self) -> float:
        """How far it came at its best, at least 0."""
        return max(0.0, (self.start - self.best) * self.sign)

    @property
    def lost(self) -> float:
        """How much of that is gone at the end."""
        return max(0.0, (self.end - self.best) * self.sign)

    @property
    def scale(self) -> float:
        """What a change is held against: the way it came, and at least what noise alone would look like."""
        return max(self.drop, 6 * self.noise, NEVER)

    @property
    def span(self) -> float:
        return float(self.at[-1] - self.at[0])

    @property
    def early_share(self) -> float:
        """The share of the way that was made in the first third: 1/3 for a straight line, 1 for what is done early."""
        if self.drop <= 0:
            return 0.0
        third = int(np.searchsorted(self.at, self.at[0] + self.span / 3))
        return float((self.start - smooth(self.level)[third]) * self.sign / self.drop)

    def fall(self, share: float = 1 / 3) -> tuple[float, float, float]:
        """Over the last share of the run: how far it fell, that in standard errors, and the pace against that of the whole run."""
        count = max(FEWEST, round(len(self.level) * share))
        at, down = self.at[-count:], self.down[-count:]
        span = float(at[-1] - at[0])
        fallen = -slope(at, down) * span
        if span <= 0:
            return 0.0, 0.0, 0.0
        local = noise(down) if len(down) >= 6 else 0.0
        error = max(self.noise, local, NEVER) * (12 / len(at)) ** 0.5
        pace = (fallen / span) / (self.drop / self.span) if self.drop > 0 and self.span > 0 else 0.0
        return fallen, fallen / error, pace

    def __len__(self) -> int:
        return len(self.level)


def curve(one: Series | None, sign: int = 1, points: int = POINTS) -> Curve | None:
    """The curve of the finite part of a series; None for nothing."""
    if one is None:
        return None
    kept = one.finite
    if not len(kept):
        return None
    at, level, each = blocks(kept.steps, kept.values, points)
    return Curve(kept, at, level, noise(level), each, sign)


def single(one: Curve) -> bool:
    """Whether its levels are those of single batches, or of so few that their noise is that of the rows drawn."""
    return one.series.per == "update" and one.each < AVERAGED


def good(score: Curve) -> bool:
    """Whether a score was at its best at least half of the way from guessing to perfect."""
    low = 0.5 if "auc" in score.series.name or "balanced" in score.series.name else 0.0
    return score.sign < 0 and 0 <= score.best <= 1 and (score.best - low) / (1 - low) > GOOD


@dataclass(frozen=True, slots=True)
class View:
    """What the rules read of a history."""

    history: History
    train: Curve | None  # training loss: by epoch where there are enough, else of updates
    vals: tuple[Curve, ...]  # held losses, the whole first, then groups
    scores: tuple[Curve, ...]  # of a held part
    own_scores: tuple[Curve, ...]  # of the training part
    rate: Series | None
    stranger: str  # "gan", "rl" or nothing: curves that these rules cannot judge

    @property
    def val(self) -> Curve | None:
        return self.vals[0] if self.vals else None

    @property
    def judged(self) -> Curve | None:
        """The curve that stands for the run: the training loss, else the held one."""
        return self.train or self.val

    @property
    def readable(self) -> bool:
        return not self.stranger

    def rate_at(self, place: float) -> float | None:
        """The rate in force at a place of the axis."""
        if self.rate is None or not len(self.rate):
            return None
        index = int(np.searchsorted(self.rate.steps, place, side="right")) - 1
        return float(self.rate.values[max(index, 0)])

    @property
    def axis(self) -> str:
        return self.history.axis


_SHARED: ContextVar[View | None] = ContextVar("view", default=None)


@contextmanager
def shared(seen: View) -> Iterator[None]:
    """Inside, rules that ask for the view of its history get this one: it is made once for all of them."""
    token = _SHARED.set(seen)
    try:
        yield
    finally:
        _SHARED.reset(token)


def view(history: History) -> View:
    """Of a history, all that the rules read."""
    made = _SHARED.get()
    if made is not None and made.history is history:
        return made
    train = _training(history)
    return View(
        history=history,
        train=train,
        vals=tuple(_held(history)),
        scores=tuple(_scores(history, ("val", "test"))),
        own_scores=tuple(_scores(history, ("train",))),
        rate=history.get("lr", where="") or history.get("lr"),
        stranger=stranger(history),
    )


def _training(history: History) -> Curve | None:
    whole = [one for one in history.all("loss", where="") if one.part in ("train", "")]
    epochs = max((one for one in whole if one.per == "epoch"), key=len, default=None)
    updates = max((one for one in whole if one.per != "epoch"), key=len, default=None)
    if epochs is not None and (len(epochs) >= FEWEST or updates is None or len(updates) <= len(epochs)):
        return curve(epochs)
    return curve(updates)


def _held(history: History) -> Iterator[Curve]:
    for part in ("val", "test"):
        found = sorted(history.all("loss", part), key=lambda one: (one.where != "", -len(one)))
        whole = [one for one in found if one.where == ""]
        kept = [curve(one) for one in (whole or found)]
        if kept:
            yield from (one for one in kept if one is not None)
            return


def _scores(history: History, parts: tuple[str, ...]) -> Iterator[Curve]:
    for one in history.curves:
        sign = direction(one)
        if sign and one.part in parts and len(one):
            made = curve(one, sign)
            if made is not None:
                yield made


def direction(one: Series) -> int:
    """1 where less of a metric is better, -1 where more is, 0 where it is no metric."""
    if one.name == "loss":
        return 0
    words = WORD.split(one.name.lower())
    if one.name in LOWER_IS_BETTER or any(LOWER.match(word) for word in words):
        return 1
    return -1 if any(HIGHER.match(word) for word in words) else 0


def stranger(history: History) -> str:
    """Curves of two players, or of an agent: their course says nothing by these rules."""
    names = [f"{one.column} {one.where}" if one.where else one.column or one.name for one in history.curves]
    words = {word for name in names for word in WORD.split(name.lower())}
    telling = {each for each in AGENT_LOSSES if any(each in WORD.sub("_", name.lower()) for name in names)}
    if words & AGENT or len(telling) >= 2:
        return "rl"
    players = {side for name in names for side, known in PLAYERS.items() if known.search(WORD.sub("_", name.lower()))}
    return "gan" if len(players) == 2 else ""
