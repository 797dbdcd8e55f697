"""`Search`: ask and tell, for anybody's own training code.

>>> from tunesmith.search import Real
>>> search = Search({"x": Real(-1, 1)}, max_budget=1, total=3, sampler="random", budget="full")
>>> for _ in range(3):
...     proposal = search.ask()
...     search.tell(proposal.trial, [{"score": proposal.config["x"] ** 2}])
>>> len(search.trials), search.left
(3, 0)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.records import DataError, Trial
from tunesmith.records.plain import plain
from tunesmith.search.budgets import BUDGETS, Setting
from tunesmith.search.history import History, score_of
from tunesmith.search.prior import read_prior
from tunesmith.search.proposal import Exhausted, Proposal
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.space import Space, as_space

Records = Sequence[Mapping[str, Any]]
OWN = ("auto",)  # budgets that bring a sampler of their own


class Search:
    """Proposes configurations and how far to train each; is told what came of it. Scores are minimised.

    `max_budget`: units (epochs, steps, rows …) of one full training. `total`: units for everything; None for no end. `prior`: a value
    believed good of each parameter, or `(value, confidence)`. `sampler`, `budget`: names of the catalogues, or functions of their
    kind; both "auto": the default search. `folder`: where every proposal and every record is written before it counts, so that
    nothing is lost. `options`: settings of the budget, such as `eta=4`.

    Raises `DataError` for spaces, priors and budgets that cannot be, `UnknownName` for unknown members.
    """

    def __init__(
        self,
        space: Space | Mapping[str, Any],
        max_budget: int,
        *,
        total: float | None = None,
        prior: Mapping[str, Any] | None = None,
        sampler: Any = "auto",
        budget: Any = "auto",
        seed: int = 0,
        folder: str | Path | None = None,
        workers: int = 1,
        **options: Any,
    ) -> None:
        self.space = as_space(space)
        self.max_budget = _whole("max_budget", max_budget)
        self.total = None if total is None else _whole("total", total)
        self.seed = seed
        self.trials = History()
        self.asked = 0
        self.setting = Setting(
            space=self.space,
            max_budget=self.max_budget,
            sampler=None if sampler == "auto" else SAMPLERS[sampler] if isinstance(sampler, str) else sampler,
            total=self.total,
            prior=read_prior(prior, self.space),
            workers=workers,
            options=options,
        )
        made = BUDGETS[budget] if isinstance(budget, str) else budget
        self._next = made(self.setting)

    @property
    def left(self) -> float:
        """Budget units not yet spent or promised; infinite without a total."""
        if self.total is None:
            return math.inf
        return self.total - self.trials.spent - self.trials.promised_units

    def ask(self) -> Proposal:
        """What to train next. Raises `Exhausted` where nothing is left of the total, or the space has been gone through."""
        if self.left <= 0:
            raise Exhausted(f"all {self.total} budget units are spent or promised")
        proposal = self._next(self.trials, np.random.default_rng([self.seed, self.asked]))
        if proposal.upto - proposal.start > self.left:
            proposal = replace(proposal, upto=proposal.start + int(self.left))
        self.begin(proposal)
        return proposal

    def begin(self, proposal: Proposal) -> None:
        """A proposal is being carried out."""
        self.asked += 1
        self.trials.memo.update(proposal.memo)
        if proposal.trial == len(self.trials):
            self.trials.put(
                Trial(id=proposal.trial, change=dict(proposal.config), seed=self.seed, parent=proposal.copy_from)
            )
        self.trials.begun(proposal.trial, proposal.upto)

    def tell(self, trial: int, records: Records, *, failed: str = "") -> None:
        """What came of a proposal: one record a budget unit, `{"score": …}` with whatever else was measured.

        `records` are those since the trial was last told of, or all of the trial. Fewer than asked for is an end before its time: with
        `failed` the trial is over for this reason, else it may go on later. A `"cause"` in a record ends it for that cause; a score that is
        not finite fails it. Raises `DataError` for unknown trials and more records than were asked for.
        """
        if not 0 <= trial < len(self.trials):
            raise DataError(f"trial {trial} was never proposed; there are {len(self.trials)}")
        known = self.trials[trial]
        fresh = self._fresh(known, records)
        whole = (*known.records, *fresh)
        state, reason = self._outcome(whole, fresh, failed)
        self.trials.promised.pop(trial, None)
        self.trials.put(replace(known, records=whole, state=state, reason=reason, spent=float(len(whole))))

    def _fresh(self, known: Trial, records: Records) -> list[dict[str, Any]]:
        """The records that are new."""
        upto = self.trials.promised.get(known.id, len(known.records))
        read = [plain(dict(record)) for record in records]
        had = len(known.records)
        told_all = len(read) > upto - had or (had and read[:had] == [dict(record) for record in known.records])
        fresh = read[had:] if told_all else read
        if had + len(fresh) > upto:
            raise DataError(
                f"trial {known.id} came with {had + len(fresh)} records; it was to be trained up to {upto} units"
            )
        return fresh

    def _outcome(self, whole: Sequence[Mapping[str, Any]], fresh: Records, failed: str) -> Any:
        if failed:
            return "failed", failed
        for unit, record in enumerate(fresh, start=len(whole) - len(fresh) + 1):
            if record.get("cause"):
                return "stopped", str(record["cause"])
            if not math.isfinite(score_of(record)):
                return "failed", f"the score of unit {unit} is {record.get('score')}"
        return ("done" if len(whole) >= self.max_budget else "paused"), ""

    @property
    def best(self) -> Trial | None:
        """The trial with the best score so far."""
        return self.trials.best()


def _whole(name: str, value: Any) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or not float(value).is_integer()
        or value < 1
    ):
        raise DataError(f"{name} is {value!r}; expected a whole number of budget units, 1 or more")
    return int(value)
