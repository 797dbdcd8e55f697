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
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from tunesmith.records import DataError, Trial
from tunesmith.records.plain import plain
from tunesmith.runs.files import storing
from tunesmith.search import study_settings
from tunesmith.search.budgets import BUDGETS, Setting
from tunesmith.search.history import History
from tunesmith.search.journal import Event, Journal, replay
from tunesmith.search.journal_book import Book, Out, Records, event_of, warm_event
from tunesmith.search.prior import read_prior
from tunesmith.search.proposal import Exhausted, Proposal
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.space import Space
from tunesmith.search.spaces import space_from
from tunesmith.search.warm import earlier_trials


class Search:
    """Proposes configurations and how far to train each; is told what came of it. Scores are minimised.

    `max_budget`: units (epochs, steps, rows …) of one full training. `total`: units for everything; None for no end; `max_trials`
    configurations at most. `prior`: a value believed good of each parameter, or `(value, confidence)`. `sampler`, `budget`: names of
    the catalogues, or functions of their kind; both "auto": the default search. `options`: settings of the budget, such as `eta=4`.

    `warm`: earlier studies to learn from (`search/warm.py`): a folder, a `Study`, an Optuna study, trials, or a list of these. Their trials are
    copied into the new study; they count no units, and a resume needs them no more.

    `folder`: every proposal and every record stands there, on the disk, before it counts. With `resume` a search goes on that was
    begun there: the same proposals come as if it had not been interrupted, first those that were out at its end. Only `total` may be
    larger then. `about`: what else study.json shall say.

    Raises `DataError` for spaces, priors and budgets that cannot be, `UnknownName` for unknown members, `RunError` for a folder that
    holds something else or was begun with other settings, `RunBusy` where another process searches in it.
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
        resume: bool = False,
        workers: int = 1,
        max_trials: int | None = None,
        about: Mapping[str, Any] | None = None,
        warm: Any = None,
        **options: Any,
    ) -> None:
        self.space = space_from(space)
        self.max_budget = _whole("max_budget", max_budget)
        self.total = None if total is None else _whole("total", total)
        self.max_trials = None if max_trials is None else _whole("max_trials", max_trials)
        self.seed = seed
        self.book = Book(self.space, self.max_budget, seed)
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
        # before a folder is made, so that a wrong source leaves none behind
        earlier = None if warm is None or resume else earlier_trials(warm, self.space, self.max_budget)
        self._again: list[Out] = []
        self._journal: Journal | None = None
        self.folder = None if folder is None else Path(folder)
        if resume and self.folder is None:
            raise DataError("resume needs the folder of the search: pass folder='studies/…'")
        if self.folder is not None:
            settings = {"space": self.space.to_json(), "max_budget": self.max_budget, "total": self.total}
            settings |= {"prior": prior, "sampler": _name(sampler), "budget": _name(budget), "seed": seed}
            settings |= {"workers": workers, "max_trials": self.max_trials, "options": options, **(about or {})}
            self._open(self.folder, settings, resume)
        if warm is not None and not self.trials.earlier:
            if self.asked:
                self.close()
                raise DataError(
                    f"the search in {self.folder} was begun without earlier trials; leave warm out, or choose another folder"
                )
            if earlier is None:  # killed before it had taken them in
                earlier = earlier_trials(warm, self.space, self.max_budget)
            self._take(warm_event(earlier))

    def _open(self, folder: Path, settings: Mapping[str, Any], resume: bool) -> None:
        standing = study_settings.begin(folder, settings, resume=resume)
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        journal = Journal(folder)
        try:
            replay(journal.path, journal.events, self.book.apply)
            study_settings.write_settings(folder, standing)
        except BaseException:
            journal.close()
            raise
        self._again = sorted(self.book.out.values(), key=lambda out: out.number)
        self._journal = journal
        weakref.finalize(self, journal.close)

    @property
    def trials(self) -> History:
        """All trials so far."""
        return self.book.trials

    @property
    def asked(self) -> int:
        """How many proposals were handed out."""
        return self.book.asked

    @property
    def left(self) -> float:
        """Budget units not yet spent or promised; infinite without a total."""
        if self.total is None:
            return math.inf
        return self.total - self.trials.spent - self.trials.promised_units

    @property
    def best(self) -> Trial | None:
        """The trial with the best score so far."""
        return self.trials.best()

    def ask(self, *, worker: int = 0, at: float | None = None) -> Proposal:
        """What to train next. Raises `Exhausted` where nothing is left of the total, or the space has been gone through.

        After a resume, what was out when the search ended comes first. `worker`, `at`: who asks, and at which virtual time.
        """
        if self._again:
            return self._again.pop(0).proposal
        if self.left <= 0:
            raise Exhausted(f"all {self.total} budget units are spent or promised")
        proposal = self._next(self.trials, np.random.default_rng([self.seed, self.asked]))
        if proposal.trial == len(self.trials) and self.max_trials is not None and self.max_trials <= len(self.trials):
            raise Exhausted(f"all {self.max_trials} trials are begun")
        if proposal.upto - proposal.start > self.left:
            proposal = replace(proposal, upto=proposal.start + int(self.left))
        self.begin(proposal, worker=worker, at=at)
        return proposal

    def begin(self, proposal: Proposal, *, worker: int = 0, at: float | None = None) -> None:
        """A proposal is being carried out."""
        self._take(event_of(proposal, worker=worker, at=self.book.clock if at is None else at))

    def again(self) -> list[Out]:
        """What was out when the search was interrupted, with the units kept of it; from now on the caller carries it out."""
        held, self._again = self._again, []
        return held

    def checkpoint(self, trial: int, records: Records, *, failed: str = "") -> None:
        """Units of a running trial that need not be trained again after a crash. What is proposed does not see them until `tell`.

        Raises `DataError` for a trial that does not run.
        """
        if trial not in self.book.out:
            raise DataError(f"trial {trial} does not run; running: {sorted(self.book.out)}")
        event: Event = {"event": "checkpoint", "trial": trial, "records": [plain(dict(record)) for record in records]}
        self._take(event | ({"failed": failed} if failed else {}))

    def tell(self, trial: int, records: Records, *, failed: str = "") -> None:
        """What came of a proposal: one record a budget unit, `{"score": …}` with whatever else was measured.

        `records` are those since the trial was last told of, or all of the trial. Fewer than asked for is an end before its time: with
        `failed` the trial is over for this reason, else it may go on later. A `"cause"` in a record ends it for that cause; a score that is
        not finite fails it. Raises `DataError` for unknown trials and more records than were asked for.
        """
        fresh = self.book.fresh(trial, records)
        kept = self.book.out[trial].kept if trial in self.book.out else []
        standing = len(kept) if fresh[: len(kept)] == kept else 0
        event: Event = {"event": "told", "trial": trial, "records": fresh[standing:]}
        self._again = [out for out in self._again if out.proposal.trial != trial]
        self._take(event | ({"kept": standing} if standing else {}) | ({"failed": failed} if failed else {}))

    def remove(self, trial: int, delete: Callable[[], None]) -> None:
        """Deletes the checkpoints of a trial that goes on no more; it is written down first, so that a crash leaves none behind."""
        if trial not in self.book.removed:
            self._take({"event": "removed", "trial": trial})
        delete()

    def _take(self, event: Event) -> None:
        """On the disk first; then it counts."""
        if self._journal is not None:
            self._journal.write(event)
        self.book.apply(event)

    def close(self) -> None:
        """Lets go of the folder; the search can be read on, and resumed by anybody."""
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _name(member: Any) -> str:
    return member if isinstance(member, str) else getattr(member, "__qualname__", type(member).__qualname__)


def _whole(name: str, value: Any) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or not float(value).is_integer()
        or value < 1
    ):
        raise DataError(f"{name} is {value!r}; expected a whole number of budget units, 1 or more")
    return int(value)
