"""auto: the default search. Trials are begun, put to rest and gone on with as a model of configuration and curve says.

It begins with the expert's configuration (if there is one), a few drawn evenly and, where he is believed, more drawn around his, each for
a ninth of a training.
From then on a Gaussian process over configurations and learning curves (`freeze_thaw/surrogate.py`) predicts every
trial at rest and 300 new configurations a drawn horizon ahead; what is likeliest to beat the best score by a drawn
margin is trained up to its next rung, while the first rungs of new trials take neither much less nor much more than
half of all units. A trial that failed, or was stopped for a cause, counts as bad at its end, and what is most like it
is left out. The expert's prior is a bump of unknown height under the process, and is believed as far as his
configuration beats those that were drawn. Trials of earlier studies are points of a process that correlates with this
one as far as the scores say. Where a learning rate is searched, the process also sees the effective rate
(`freeze_thaw/effective.py`), and where no expert is believed the bump lies at the usual one.

Use: always, if trainings give a score by epoch; with budgets of one unit it is a search by Gaussian process.
Limits: of long histories the model sees 120 trials: the best and the latest. Scores are minimised; the best epoch counts.
Options: `expert`, `experience` (of rates), `guard`, `curve`, `promotion`, `balance` (of new trials and old), `cause`: False leaves the
ingredient out, for ablations. `cost`: True weighs a chance
against the seconds it will take, learnt from the `seconds` of the records; proposals then depend on the clock.
Source: Swersky et al., arXiv:1406.3896; Rakotoarison et al., ifBO, arXiv:2404.16795; figures: benchmarks/search.md.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from tunesmith.records import DataError, Trial, did_you_mean
from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.freeze_thaw.candidates import Reach, anywhere, candidates
from tunesmith.search.freeze_thaw.encoding import Encoding
from tunesmith.search.freeze_thaw.scale import best_and_latest, best_so_far, rungs, time_left, warp
from tunesmith.search.freeze_thaw.surrogate import EARLIER, STRANGER, Beliefs, Points, Surrogate
from tunesmith.search.history import History, as_history
from tunesmith.search.proposal import Exhausted, Proposal
from tunesmith.search.samplers.believed import draw

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
SWITCHES = ("expert", "experience", "guard", "curve", "promotion", "balance", "cause", "cost")
DARING = 0.1 / 300  # chance of one most like a failure to be chosen from: one in ten proposals has it; assumption
THETA = "auto.theta"  # names of what is noted with a proposal
FITTED = "auto.fitted"


@dataclass(frozen=True)
class Manner:
    """The constants of the default search; measured: benchmarks/search.md."""

    beliefs: Beliefs = field(default_factory=Beliefs)
    reach: Reach = field(default_factory=Reach)
    drawn: int = 5  # configurations drawn evenly at the start; 2 beside an expert's
    drawn_beside: int = 2
    around: int = 8  # configurations drawn around a believed expert's before the model is asked
    surer: float = 0.4  # of the way from the confidence he was given to 1, for those
    opening: float = 0.25  # share of all units that first rungs take at most before the model is asked, with those
    seen: int = 120  # trials the model looks at
    near: int = 5  # best trials that candidates are near to
    horizons: tuple[float, ...] = (1 / 3, 1 / 2, 1.0)  # shares of a training
    margins: tuple[float, float] = (-2.0, -0.5)  # powers of ten, of the distance from best to median
    tries: int = 60  # of fitting the model, each time the points have grown
    growth: float = 1.15
    bump: float = 0.5  # width of the expert's bump in sides of the unit cube
    usual: float = 1.0  # width of the bump at the usual rate in decades
    nearest_of: int = 3  # rows that each of the first trials is drawn from, by its rate, where no expert is believed
    begin: tuple[float, float] = (0.35, 0.6)  # least and most share of all units that first rungs take


@BUDGETS.add("auto")
def auto(setting: Setting) -> Next:
    """The default search."""
    return _Auto(setting)


class _Auto:
    """The proposal of a history; what is kept between calls is worked out from it."""

    def __init__(self, setting: Setting) -> None:
        options = dict(setting.options)
        manner: Manner = options.pop("manner", Manner())
        for name in options:
            if name not in SWITCHES:
                raise DataError(f"the budget auto has no option {name!r}{did_you_mean(name, SWITCHES)}")
        self.on = dict.fromkeys(SWITCHES, True) | {"cost": False} | options
        if not self.on["guard"]:
            manner = replace(manner, beliefs=replace(manner.beliefs, expert_spread=0.0))
        self.setting, self.manner, self.end = setting, manner, setting.max_budget
        self.encoding = Encoding(setting.space, experience=bool(self.on["experience"]))
        self.rungs = rungs(self.end) if self.on["promotion"] else [self.end]
        self.expert, self.sure = self._expert()
        self.known: list[Floats] = []  # units of each trial
        self.met: set[bytes] = set()
        self.trust = 1.0
        self.others: _Earlier | None = None

    def _expert(self) -> tuple[Floats | None, Floats]:
        prior = self.setting.prior
        if prior is None or not self.on["expert"]:
            return None, np.zeros(len(self.encoding))
        sure = [prior.confidence.get(name, 0.0) for name in self.encoding.names]
        return self.encoding.units(prior.config), np.array(sure)

    def __call__(self, trials: History, rng: np.random.Generator) -> Proposal:
        if len(self.known) < len(trials):
            fresh = [self.encoding.units(trial.change) for trial in trials[len(self.known) :]]
            self.known += fresh
            self.met.update(_keys(np.array(fresh)))
        begun = len(trials)
        if begun == 0 and self.expert is not None:
            return self._new(trials, self.expert, "what the expert said")
        if begun == 0 and (best := _best_of(trials.earlier)) is not None:
            return self._new(trials, self.encoding.units(best.change), "the best of the earlier studies")
        self.trust = self._trust(trials)
        drawn = self._fresh(rng) if begun < self._drawn(trials) else None
        if drawn is not None:
            return self._new(trials, drawn, "drawn evenly, to compare with")
        drawn = self._around(rng) if begun < self._drawn_around(trials) else None
        if drawn is not None:
            return self._new(trials, drawn, "drawn around what the expert said")
        return self._chosen(trials, rng)

    def _drawn(self, trials: History) -> int:
        """How many trials come before the model is asked."""
        if self.expert is None:
            return 1 + self.manner.drawn_beside if trials.earlier else self.manner.drawn
        if not self.on["guard"]:
            return 1
        return 1 + (self.manner.drawn_beside if self.trust == 1 else self.manner.drawn)

    def _drawn_around(self, trials: History) -> int:
        """How many trials come before the model is asked, those around a believed expert's configuration among them."""
        if self.expert is None or not self.trust:
            return 0
        most = math.inf if self.setting.total is None else self.manner.opening * self.setting.total / self.rungs[0]
        return int(min(self._drawn(trials) + self.manner.around, most))

    def _around(self, rng: np.random.Generator) -> Floats | None:
        """A configuration nobody tried, drawn as the expert believes it, but surer; None where ten draws bring nothing new."""
        prior = self.setting.prior
        assert prior is not None
        surer = {name: sure + self.manner.surer * (1 - sure) for name, sure in prior.confidence.items()}
        drawn = [draw(self.setting.space, replace(prior, confidence=surer), rng) for _ in range(10)]
        fresh = self._untried(self.encoding.snapped(np.array([self.encoding.units(config) for config in drawn])))
        return fresh[0] if len(fresh) else None

    def _trust(self, trials: History) -> float:
        """How far the expert is believed: 1 where his configuration beats all that were drawn beside it, 0 from half of them down.

        Compared are the best scores within the first rung, of the first that were drawn; of all five, where one of them is better. Until
        there is something to compare with he is believed.
        """
        if self.expert is None or not self.on["guard"]:
            return float(self.expert is not None)
        first = self.rungs[0]
        his = _first(trials, 0, first)
        found = [_first(trials, id, first) for id in range(1, min(len(trials), 1 + self.manner.drawn))]
        if his is None or not found:
            return 1.0
        beside = [one for one in found[: self.manner.drawn_beside] if one is not None]
        others = beside if all(his < one for one in beside) else [one for one in found if one is not None]
        return max(0.0, 2 * sum(his < one for one in others) / max(1, len(others)) - 1)

    def _new(self, trials: History, units: Floats, because: str) -> Proposal:
        config = self.encoding.config(units)
        return Proposal(trial=len(trials), config=config, upto=self.rungs[0], because=because)

    def _fresh(self, rng: np.random.Generator) -> Floats | None:
        """A configuration nobody tried; None where there is none."""
        effective = None if self.trust else self.encoding.effective
        for count in (1 if effective is None else self.manner.nearest_of, 100, 10_000):
            rows = self.encoding.snapped(anywhere(self.encoding, count, rng))
            rows = self._untried(rows[self.encoding.allowed(rows)])
            if len(rows):
                few = rows[: self.manner.nearest_of]
                nearest = 0 if effective is None else int(np.argmin(np.abs(effective.decades(few))))
                return np.asarray(few[nearest], dtype=np.float64)
        return None

    def _untried(self, rows: Floats) -> Floats:
        """Those of the rows that no trial has, each once."""
        seen: set[bytes] = set()
        kept = []
        for place, name in enumerate(_keys(rows)):
            if name not in self.met and name not in seen:
                seen.add(name)
                kept.append(place)
        return rows[kept]

    def _chosen(self, trials: History, rng: np.random.Generator) -> Proposal:
        seen = best_and_latest(trials.values(), list(range(len(trials))), self.manner.seen)
        units = np.array([self.known[id] for id in seen])
        model, at_end, noted, others = self._model(trials, seen, units, rng)
        resting = np.array([trials[id].state == "paused" for id in seen], dtype=bool)
        predicted, _ = model.predict(at_end.with_(self._points(others.units)))
        best = np.vstack([units, others.units])[np.argsort(predicted, kind="stable")[: self.manner.near]]
        expert = self.expert if self.trust else None
        reach = replace(self.manner.reach, expert=self.trust * self.manner.reach.expert)
        fresh = self._untried(candidates(self.encoding, best, expert, reach, rng))
        fresh = self._sound(trials, seen, model, at_end, fresh, rng)
        if not len(fresh) and not resting.any():
            last = self._fresh(rng)
            if last is None:
                raise Exhausted(f"the space has been gone through: {len(trials)} configurations")
            fresh = last[None]
        horizon = max(1, round(self.end * rng.choice(self.manner.horizons)))
        if self.setting.total is not None:
            horizon = max(1, min(horizon, self.setting.total - trials.spent - trials.promised_units))
        margin = -(10 ** rng.uniform(*self.manner.margins))
        old = at_end.part(resting)
        spent = np.array([len(trials.scores(id)) for id in seen])[resting]
        going_on = self._chance(model, old, spent + horizon, margin) if resting.any() else np.zeros(0)
        beginning = self._chance(model, self._points(fresh), np.full(len(fresh), horizon), margin)
        if self.on["cost"]:
            price = self._price(trials, seen, units)
            ahead = np.array([next(rung for rung in self.rungs if rung > units_) - units_ for units_ in spent.tolist()])
            going_on = log_ndtr(going_on) - price(units[resting], ahead) if resting.any() else going_on
            beginning = log_ndtr(beginning) - price(fresh, np.full(len(fresh), self.rungs[0]))
        if self._goes_on(trials, going_on, beginning):
            id = seen[np.flatnonzero(resting)[int(np.argmax(going_on))]]
            start = len(trials.scores(id))
            upto = next(rung for rung in self.rungs if rung > start)
            because = "the likeliest of the trials at rest to beat the best"
            return Proposal(trial=id, config=trials[id].change, start=start, upto=upto, because=because, memo=noted)
        chosen = fresh[int(np.argmax(beginning))]
        return replace(self._new(trials, chosen, "the likeliest of the new to beat the best"), memo=noted)

    def _goes_on(self, trials: History, going_on: Floats, beginning: Floats) -> bool:
        """Whether a trial at rest is gone on with: the likelier goes first, as long as first rungs have their share of all units."""
        if not len(going_on) or not len(beginning):
            return bool(len(going_on))
        first = sum(min(self.rungs[0], len(trials.scores(id))) for id in range(len(trials))) / max(1, trials.spent)
        least, most = self.manner.begin if self.on["balance"] else (0.0, 1.0)
        return bool(first > most or (first >= least and going_on.max() >= beginning.max()))

    def _model(
        self, trials: History, seen: list[int], units: Floats, rng: np.random.Generator
    ) -> tuple[Surrogate, Points, dict[str, object], "_Earlier"]:
        """The process, taught; the trials at their ends; what is to be noted; and the trials of earlier studies."""
        others = self._earlier(trials)
        curves = [best_so_far(trials.scores(id)) for id in seen] + others.curves
        bad = [self._is_bad(trials, id) for id in seen] + others.bad
        scaled = warp(np.array([curve[-1] if len(curve) else math.inf for curve in curves]))
        rows: list[tuple[int, int, float]] = []  # place, epoch, score
        for place, curve in enumerate(curves):
            if bad[place]:
                rows.append((place, self.end, math.inf))
            else:
                rows += [(place, epoch, float(curve[epoch - 1])) for epoch in self._epochs(len(curve))]
        at_end = self._points(units, np.array(seen))
        everything = at_end.with_(self._points(others.units, EARLIER + np.arange(len(others.units))))
        places = np.array([row[0] for row in rows], dtype=np.int64)
        epochs = np.array([row[1] for row in rows], dtype=np.float64)
        points = everything.part(places).at(self._time(epochs))
        values = scaled(np.array([row[2] for row in rows]))
        beliefs = self.manner.beliefs
        believed = self.trust or float(self.encoding.effective is not None)
        beliefs = replace(beliefs, expert=believed * beliefs.expert, expert_spread=believed * beliefs.expert_spread)
        model = Surrogate(self.encoding.group, len(self.encoding), beliefs)
        noted = self._fit(model, points, values, trials, rng)
        model.relate(points, values)
        model.condition(points, values)
        self._expect(model, trials, seen, at_end, points, values)
        return model, at_end, noted, others

    def _earlier(self, trials: History) -> "_Earlier":
        """Those of earlier studies that the model looks at; they are the same all along, so they are read once."""
        if self.others is None or self.others.of is not trials.earlier:
            history = History(trials.earlier)
            ids = best_and_latest(history.values(), list(range(len(history))), self.manner.seen // 2)
            units = np.array([self.encoding.units(history[id].change) for id in ids]).reshape(
                len(ids), len(self.encoding)
            )
            curves = [best_so_far(history.scores(id)) for id in ids]
            bad = [self._is_bad(history, id) for id in ids]
            self.others = _Earlier(trials.earlier, units, curves, bad)
        return self.others

    def _is_bad(self, trials: History, id: int) -> bool:
        """Whether a trial is over without having come to its end."""
        state = trials[id].state
        return state == "failed" or (state == "stopped" and self.on["cause"])

    def _epochs(self, spent: int) -> Iterable[int]:
        """The epochs of a curve that the model is shown: where it is, and two rungs on the way."""
        way = {self.rungs[0], self.rungs[min(2, len(self.rungs) - 1)]}
        return sorted({rung for rung in way if rung < spent} | {spent}) if spent else ()

    def _fit(
        self, model: Surrogate, points: Points, values: Floats, trials: History, rng: np.random.Generator
    ) -> dict[str, object]:
        """Fits where the points have grown; else takes what was noted the last time."""
        noted = trials.memo.get(THETA)
        if noted is not None:
            model.theta = np.array(noted, dtype=np.float64)
            if len(values) < self.manner.growth * trials.memo[FITTED] + 2:
                return {}
        model.fit(points, values, rng, self.manner.tries)
        return {THETA: [round(one, 6) for one in model.theta.tolist()], FITTED: len(values)}

    def _expect(
        self, model: Surrogate, trials: History, seen: list[int], at_end: Points, points: Points, values: Floats
    ) -> None:
        """Trials that run are taken to come to what is predicted of them, so that others look elsewhere."""
        running = np.array([trials[id].state == "running" for id in seen], dtype=bool)
        if not running.any():
            return
        upto = [trials.promised.get(id, self.end) for id, runs in zip(seen, running, strict=True) if runs]
        due = at_end.part(running).at(self._time(np.array(upto, dtype=np.float64)))
        expected, _ = model.predict(due)
        model.condition(points.with_(due), np.concatenate([values, expected]))

    def _sound(
        self, trials: History, seen: list[int], model: Surrogate, at_end: Points, rows: Floats, rng: np.random.Generator
    ) -> Floats:
        """Those of the rows that are most like a trial which did not fail; few of the others, and all where there is nothing else."""
        bad = np.array([self._is_bad(trials, id) for id in seen], dtype=bool)
        if not bad.any() or not len(rows):
            return rows
        nearest = model.alike(self.encoding.features(rows), at_end.features).argmax(1)
        kept = ~bad[nearest] | (rng.uniform(size=len(rows)) < DARING)
        return rows[kept] if kept.any() else rows

    def _price(self, trials: History, seen: list[int], units: Floats) -> Callable[[Floats, Whole], Floats]:
        """Of rows and the units they are to be trained, the logarithm of the seconds that takes.

        Seconds a unit are a ridge regression of their logarithm on the features, where the records tell them; equal where fewer than two do.
        """
        told = [[float(one["seconds"]) for one in trials[id].records if one.get("seconds")] for id in seen]
        timed = np.array([bool(one) for one in told])
        if timed.sum() < 2:
            return lambda rows, ahead: np.log(ahead)
        seconds = np.log([median(one) for one in told if one])
        features = self.encoding.features(units[timed])
        center = features.mean(0)
        apart = features - center
        ridge = apart.T @ apart + np.eye(apart.shape[1])
        slope = np.linalg.solve(ridge, apart.T @ (seconds - seconds.mean()))

        def price(rows: Floats, ahead: Whole) -> Floats:
            a_unit: Floats = seconds.mean() + (self.encoding.features(rows) - center) @ slope
            return a_unit + np.log(ahead)

        return price

    def _points(self, units: Floats, trial: Whole | None = None) -> Points:
        """Rows of units at their end."""
        number = np.full(len(units), STRANGER) if trial is None else trial
        features = self.encoding.features(units)
        return Points(features, np.zeros(len(units)), number, self._bump(units, features))

    def _bump(self, units: Floats, features: Floats) -> Floats:
        """(N,) how near each row is to the expert's configuration; where none is believed, to the usual rate."""
        if self.expert is None or not self.trust:
            if self.encoding.effective is None:
                return np.zeros(len(units))
            usual: Floats = np.exp(-0.5 * (features[:, -1] / self.manner.usual) ** 2)
            return usual
        apart = units - self.expert
        apart = np.where(self.encoding.is_choice, np.where(np.abs(apart) > 1e-9, math.sqrt(0.5), 0.0), apart)
        apart = np.nan_to_num(np.where(np.isnan(units) | np.isnan(self.expert), 0.0, apart))
        weight = 2 * self.sure  # 1 at medium confidence
        squared = (weight * apart**2).sum(1)
        bump: Floats = np.exp(-0.5 * squared / self.manner.bump**2)
        return bump

    def _time(self, epochs: Floats) -> Floats:
        return time_left(epochs, self.end) if self.on["curve"] else np.zeros(len(epochs))

    def _chance(self, model: Surrogate, points: Points, epochs: Floats | Whole, margin: float) -> Floats:
        """How many standard deviations the best, less the margin, lies above what is predicted: rises with the chance to beat it."""
        at = self._time(np.minimum(self.end, np.asarray(epochs, dtype=np.float64)))
        mean, deviation = model.predict(points.at(at))
        chance: Floats = (margin - mean) / deviation
        return chance


@dataclass(frozen=True)
class _Earlier:
    """Trials of earlier studies, K of them."""

    of: tuple[Trial, ...]
    units: Floats  # (K, D)
    curves: list[Floats]
    bad: list[bool]


def _best_of(earlier: tuple[Trial, ...]) -> Trial | None:
    """The best of earlier trials that came to no bad end."""
    return as_history([trial for trial in earlier if trial.state not in ("failed", "stopped")]).best()


def _first(trials: History, id: int, units: int) -> float | None:
    """The best score of a trial within its first units, infinite where it failed; None where it has not come so far."""
    scores = trials.scores(id)
    if len(scores) < units:
        return math.inf if trials[id].state in ("failed", "stopped") else None
    return float(best_so_far(scores[:units])[-1])


def _keys(rows: Floats) -> list[bytes]:
    """Of each row of units a name that equal configurations share."""
    return [row.tobytes() for row in np.round(np.where(np.isnan(rows), -1.0, rows), 9)]
