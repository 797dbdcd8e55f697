"""The rate finder: a range test says where to look, short trainings say which rate is best there.

1. The range test (Smith, arXiv:1506.01186, section 3.3) on a snapshot: where the loss begins to fall, and where it stops falling.
2. Trainings at rates half a decade apart, a sixteenth as long as the run, then a quarter, then as long and a quarter of a decade apart;
   each time around the best so far, further where the best lies at an end, and where a parabola through the best three has its lowest
   place. The best three are repeated in another order of the rows, and the mean decides; of rates whose loss is alike within the noise
   the middle one is taken. A schedule is squeezed into the short trainings. Successive halving (Jamieson & Talwalkar, arXiv:1502.07943),
   with neighbours in place of random arms.
3. The rate handed over is one that was trained at: its loss fell beyond noise. Where none did, none is handed over.

A rate is judged by the loss on validation rows where there are any, else on training rows. Where the budget does not last for trainings of
full length they are as long as it lasts for, and the confidence says so.
"""

import math
from collections.abc import Callable
from typing import Any

from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.short_run import seconds_of_update
from tunesmith.doctor.repair.finders.curve import DECADES, DENSEST, SPARSEST, Curve, curve_of
from tunesmith.doctor.repair.finders.found import FoundRate
from tunesmith.doctor.repair.finders.groups import peaks
from tunesmith.doctor.repair.finders.trials import A_DECADE, Trials, Tried, place_of, rate_at
from tunesmith.records import ModelError

HALF, QUARTER = A_DECADE // 2, A_DECADE // 4  # of a decade, in places of the grid
SHORTEST = 40  # updates of a training, where the run has as many; assumption
RUNGS = (16, 4, 1)  # the lengths are the longest divided by these
COST = 6.0  # of the longest trainings, that the search takes before it repeats any: six of 1/16, four of 1/4, 4.6 of 1
SHARE = 0.3  # of the budget, for the range test; assumption
CONTENDERS = 3  # longest trainings that are repeated in another order of the rows
FURTHER = 8  # trainings beyond an end of a rung, at most: four decades
FELL = 0.005  # of the loss at the start, that a training takes off it at least; assumption: less is no training
PART = 0.1  # of what the best rate takes off: less, and a rate does not count as training; assumption
GOOD = 0.8  # of what the best rate gains: such rates are usable; assumption
FLAT = 0.01  # of what the best rate gains: losses this near (and the noise) are alike; assumption
SURE = {1: 0.9, 4: 0.75, 16: 0.6}  # confidence by how much shorter than the run the trainings were; assumption
UNSURE = 0.4  # where they were shorter still; assumption
ON_TRAINING_ROWS = 0.1  # less sure, where no validation rows were there; assumption


def found_rate(
    bench: Bench, *, updates: int | None = None, step: Callable[[str], None] = lambda name: None
) -> FoundRate:
    """A learning rate for the program on a bench. `updates` bounds the updates made on copies; the bench's clock the seconds.

    Raises `ModelError` where the optimizer has no rates, or the program makes no update at all.
    """
    peaks(bench)
    try:
        seconds_of_update(bench)
    except Exception as error:  # whatever a user's own code raises
        raise ModelError(
            f"the program does not make an update ({type(error).__name__}: {error}); `tunesmith check` says why"
        ) from error
    search = Search(bench, updates, step)
    with bench.guarded():
        search.look()
    return search.told()


class Search:
    """One search: what was tried, and what may still be spent."""

    def __init__(self, bench: Bench, updates: int | None, step: Callable[[str], None]) -> None:
        self.bench = bench
        self.most = math.inf if updates is None else updates
        self.step = step
        self.trials = Trials(bench)
        self.curve: Curve | None = None
        self.longest = 0  # updates of the longest trainings
        self.rungs: dict[int, dict[int, Tried]] = {}
        self.chosen: int | None = None  # the place handed over, of the longest trainings
        self.repeats: dict[int, Tried] = {}  # of the longest trainings, in another order of the rows

    # What may be spent

    @property
    def spent(self) -> int:
        return self.trials.updates + (0 if self.curve is None else self.curve.updates)

    def left(self) -> float:
        """Updates that may still be made, by their number and by the clock."""
        each = self.each
        by_clock = self.bench.clock.left() / each if each > 0 else math.inf
        return max(0.0, min(self.most - self.spent, by_clock))

    @property
    def each(self) -> float:
        """Seconds of an update, the judging of the trainings among them; of a bare one while nothing was made."""
        done = self.spent
        return self.bench.clock.spent() / done if done else seconds_of_update(self.bench)

    # The search

    def look(self) -> None:
        bench = self.bench
        if bench.program.loop is None:
            self._sweep()
        self.longest = int(max(1, min(bench.updates, self.left() / COST)))
        if bench.program.loop is not None:  # a loop is at least an epoch
            self.longest = min(bench.updates, max(self.longest, bench.updates_per_epoch))
        lengths = list(dict.fromkeys(max(self.longest // share, min(SHORTEST, self.longest)) for share in RUNGS))
        best = self._rung(self._first_places(), lengths[0], HALF)
        for steps in lengths[1:]:
            if best is None:
                return
            centre = self._lowest(lengths[lengths.index(steps) - 1], best)
            apart = QUARTER if steps == self.longest else HALF
            best = self._rung([centre - apart, centre, centre + apart], steps, apart)
        if best is not None and len(lengths) == 1:
            best = self._rung([best - QUARTER, best + QUARTER], self.longest, QUARTER)
        for _ in range(2):
            if best is None or not self._train(self._lowest(self.longest, best), self.longest):
                return
            best = self.best(self.longest)
        self._again()
        self._settle()

    def _settle(self) -> None:
        """Of rates whose loss is alike the middle one: it is furthest from both edges, wherever chance would move them."""
        made, best = self.rungs[self.longest], self.best(self.longest)
        if best is None:
            return
        start = self.trials.start if math.isnan(made[best].held) else self.trials.start_held
        bound = self._level(best) + self._noise() + FLAT * max(0.0, start - self._level(best))
        places = sorted(made)
        low = high = places.index(best)
        while low > 0 and self._level(places[low - 1]) <= bound:
            low -= 1
        while high + 1 < len(places) and self._level(places[high + 1]) <= bound:
            high += 1
        middle = math.floor((places[low] + places[high]) / 2)
        alike = places[low : high + 1]
        if middle not in made and self._train(middle, self.longest) and self._level(middle) <= bound:
            alike.append(middle)
        self.chosen = min(alike, key=lambda place: (abs(place - middle), place))

    def _level(self, place: int) -> float:
        """The loss of the longest training at a place, the mean of both orders where there are two; inf where it does not train."""
        one = self.rungs[self.longest][place]
        if not self.trains(one):
            return math.inf
        again = self.repeats.get(place)
        return one.merit if again is None else (one.merit + again.merit) / 2

    def _noise(self) -> float:
        """The deviation of a loss from order to order, by the rates trained twice."""
        pairs = [self.rungs[self.longest][place].merit - again.merit for place, again in self.repeats.items()]
        finite = [apart for apart in pairs if math.isfinite(apart)]
        return math.sqrt(sum(apart**2 for apart in finite) / 2 / len(finite)) if finite else 0.0

    def _again(self) -> None:
        """The best three of full length in another order of the rows: what is ahead by chance falls back."""
        made = self.rungs[self.longest]
        ahead = sorted((place for place in made if self.trains(made[place])), key=lambda place: made[place].merit)
        for place in ahead[:CONTENDERS]:
            if self.left() < self.longest:
                return
            self.step(f"rate {rate_at(place):g}, {self.longest} updates, other order")
            self.repeats[place] = self.trials.at(place, self.longest, seed=1)

    def _sweep(self) -> None:
        """The range test, as dense as the budget allows; none where it is not enough for three updates a decade."""
        each = seconds_of_update(self.bench)
        affordable = min(SHARE * self.most, SHARE * self.bench.clock.left() / max(each, 1e-9))
        dense = int(min(DENSEST, affordable / DECADES))
        if dense >= SPARSEST:
            self.step("range test")
            self.curve = curve_of(self.bench, self.trials.unit, dense)

    def _lowest(self, steps: int, best: int) -> int:
        """The lowest place of the parabola through the best one and its neighbours."""
        return vertex([(place, one.merit) for place, one in self.rungs[steps].items()], best)

    def _first_places(self) -> list[int]:
        own = place_of(self.trials.unit)
        if self.curve is None or self.curve.edge is None:
            return [own + HALF * shift for shift in (-4, -2, -1, 0, 1, 2)]
        edge = place_of(self.curve.edge)
        below = [edge - HALF * shift for shift in range(5)]
        return sorted({*below, own} if below[-1] - HALF <= own <= edge + HALF else set(below))

    def _rung(self, places: list[int], steps: int, apart: int) -> int | None:
        """Trains at each place, and further while the best lies at an end; the best place."""
        made = self.rungs.setdefault(steps, {})
        for place in places:
            self._train(place, steps)
        for _ in range(FURTHER):
            best = self.best(steps)
            if best is None and made:  # nothing trains: lower, where it broke, else higher
                broke = any(not math.isfinite(one.merit) for one in made.values())
                onwards = min(made) - 2 * apart if broke else max(made) + 2 * apart
            elif best is not None and best == min(made):
                onwards = best - apart
            elif best is not None and best == max(made):
                onwards = best + apart
            else:
                break
            if not self._train(onwards, steps):
                break
        return self.best(steps)

    def _train(self, place: int, steps: int) -> bool:
        """One training; False where the budget does not last for it and something has been trained before."""
        made = self.rungs.setdefault(steps, {})
        if place in made:
            return True
        if self.spent and self.left() < steps and (self.trials.made or self.bench.clock.spent_up):
            return False
        self.step(f"rate {rate_at(place):g}, {steps} updates")
        made[place] = self.trials.at(place, steps)
        return True

    # Judgement

    def best(self, steps: int) -> int | None:
        """The place with the lowest loss among those that train; None where none does."""
        made = {place: one for place, one in self.rungs.get(steps, {}).items() if self.trains(one)}
        if steps == self.longest and len(self.repeats) > 1:
            return min(self.repeats, key=self._level)
        return min(made, key=lambda place: made[place].merit) if made else None

    def trains(self, one: Tried) -> bool:
        """Whether a training took off the training loss what can be called learning."""
        fell = [each.fell for each in self.rungs[one.steps].values() if math.isfinite(each.merit)]
        least = max(FELL * abs(self.trials.start), PART * max(fell, default=0.0))
        return math.isfinite(one.merit) and one.fell > least

    # What is told

    def told(self) -> FoundRate:
        steps = max((steps for steps in self.rungs if self.best(steps) is not None), default=0)
        if not steps or self._no_effect():
            return self._none()
        place = self.best(steps) if self.chosen is None else self.chosen
        assert place is not None
        one = self.rungs[steps][place]
        good = self._usable()
        factor = one.rate / self.trials.unit
        values = {
            "rate": one.rate,
            "lowest": rate_at(min(good)),
            "highest": rate_at(max(good)),
            "steps": steps,
            "of": self.bench.updates,
            "start": self.trials.start if math.isnan(one.held) else self.trials.start_held,
            "loss": one.merit,
            "rows": "word.finders_training" if math.isnan(one.held) else "word.finders_validation",
        }
        change: dict[str, Any] = {}
        if self.bench.recipe is not None and self.bench.task is not None and self.bench.task.optimizer is None:
            change = {"optim.lr": float(f"{float(self.bench.recipe.optim.lr) * factor:.4g}")}
        return self._result(
            one.rate,
            (rate_at(min(good)), rate_at(max(good))),
            self._confidence(one, steps),
            "finders.rate_found",
            values,
            change,
        )

    def _none(self) -> FoundRate:
        made = self.trials.made.values()
        broke = [one.broke for one in made if one.broke]
        message = "finders.rate_none"
        if self._no_effect():
            message = "finders.rate_no_effect"
        elif made and len(broke) == len(made):
            message = "finders.rate_all_broke"
        values = {
            "lowest": min((one.rate for one in made), default=math.nan),
            "highest": max((one.rate for one in made), default=math.nan),
            "start": self.trials.start,
            "loss": min((one.loss for one in made if math.isfinite(one.loss)), default=math.nan),
            "reason": broke[0] if broke else "",
            "steps": max((one.steps for one in made), default=0),
        }
        return self._result(None, (None, None), 0.0, message, values, {})

    def _result(
        self,
        rate: float | None,
        ends: tuple[float | None, float | None],
        confidence: float,
        message: str,
        values: dict[str, Any],
        change: dict[str, Any],
    ) -> FoundRate:
        trials = self.trials
        return FoundRate(
            rate=rate,
            lowest=ends[0],
            highest=ends[1],
            confidence=confidence,
            rates=() if rate is None else tuple(float(f"{top * rate / trials.unit:.4g}") for top in trials.top),
            message=message,
            values=values,
            curve=self.curve,
            tried=tuple(one for _, one in sorted(self._longest().items())),
            updates=self.spent,
            of=self.bench.updates,
            seconds=self.bench.clock.spent(),
            change=change,
            notices=tuple(self.bench.notices),
        )

    def _longest(self) -> dict[int, Tried]:
        """The longest training at each place."""
        return {place: one for steps in sorted(self.rungs) for place, one in self.rungs[steps].items()}

    def _usable(self) -> list[int]:
        """Places around the best whose longest training gains most of what the best of its length gains."""
        longest = self._longest()
        steps = max(steps for steps in self.rungs if self.best(steps) is not None)
        best = self.best(steps)
        assert best is not None
        good = {place for place, one in longest.items() if self._gains(one)}
        places = sorted(longest)
        low = high = places.index(best)
        while low > 0 and places[low - 1] in good:
            low -= 1
        while high + 1 < len(places) and places[high + 1] in good:
            high += 1
        return places[low : high + 1]

    def _gains(self, one: Tried) -> bool:
        best = self.best(one.steps)
        if best is None or not self.trains(one):
            return False
        start = self.trials.start if math.isnan(one.held) else self.trials.start_held
        top = start - self.rungs[one.steps][best].merit
        return top > 0 and start - one.merit >= GOOD * top

    def _no_effect(self) -> bool:
        """Whether trainings at different rates ended alike to the bit: the program does not use the optimizer's rate."""
        made = [one for one in self.trials.made.values() if math.isfinite(one.loss)]
        lengths = {one.steps for one in made}
        return len(made) > len(lengths) and len({(one.steps, one.loss) for one in made}) == len(lengths)

    def _confidence(self, one: Tried, steps: int) -> float:
        """How sure the rate is near the best: by the length of the trainings, the rows, and whether the best lies between others."""
        shorter = self.bench.updates / steps
        sure = next((value for limit, value in SURE.items() if shorter <= 1.05 * limit), UNSURE)
        if math.isnan(one.held):
            sure -= ON_TRAINING_ROWS
        made = sorted(place for place in self.rungs[steps])
        place = place_of(one.rate)
        if place in (made[0], made[-1]):  # the budget ended before the best was enclosed
            sure *= 0.5
        return round(max(0.05, sure), 2)


def vertex(points: list[tuple[int, float]], best: int) -> int:
    """The place of the lowest point of the parabola through the best place and its finite neighbours; `best` where there is none.

    >>> vertex([(0, 4.0), (2, 1.0), (4, 1.0)], 2)
    3
    """
    finite = sorted((place, value) for place, value in points if math.isfinite(value))
    at = [place for place, _ in finite].index(best)
    if at in (0, len(finite) - 1):
        return best
    (x0, y0), (x1, y1), (x2, y2) = finite[at - 1 : at + 2]
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    bend = (right - left) / (x2 - x0)
    if bend <= 0:
        return best
    return round(min(max((x0 + x1) / 2 - left / (2 * bend), x0), x2))
