"""What the events of a journal amount to: trials, what is out, units kept of it, what was removed, the virtual clock.

A search on the way, one that is resumed and one that is only read come to the same state by the same steps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.records import DataError, Trial
from tunesmith.records.plain import plain
from tunesmith.search.domains import Choice, Domain, Fixed, Ordinal
from tunesmith.search.history import SCORE, History, score_of
from tunesmith.search.journal import Event
from tunesmith.search.proposal import Proposal
from tunesmith.search.space import Config, Space

Record = Mapping[str, Any]
Records = Sequence[Record]


@dataclass(slots=True)
class Out:
    """A proposal that was handed out and is not told of yet."""

    number: int  # of the proposal, from 0, over the whole search
    proposal: Proposal
    worker: int = 0
    at: float = 0.0  # virtual time, in budget units, at which it was handed out
    kept: list[dict[str, Any]] = field(default_factory=list)  # records of units trained so far
    failed: str = ""  # why it goes on no further, where that is known already

    @property
    def due(self) -> float:
        """The virtual time at which it is told of."""
        return self.at + self.proposal.upto - self.proposal.start


class Book:
    """The state of a search. `apply` takes one event; nothing else changes it."""

    def __init__(self, space: Space, max_budget: int, seed: int) -> None:
        self.space, self.max_budget, self.seed = space, max_budget, seed
        self.trials = History()
        self.asked = 0
        self.out: dict[int, Out] = {}  # by trial
        self.removed: set[int] = set()
        self.clock = 0.0  # virtual time of the last proposal that was told of

    def apply(self, event: Event) -> None:
        """Takes the next event. Raises `DataError` where it cannot follow those before."""
        kind = event["event"]
        if kind == "warm":
            self.trials.earlier = tuple(_earlier(self.space, id, told) for id, told in enumerate(event["trials"]))
            return
        trial = event["trial"]
        if kind == "begun":
            self._begun(event)
            return
        if not 0 <= trial < len(self.trials):
            raise DataError(f"trial {trial} was never proposed; there are {len(self.trials)}")
        if kind == "checkpoint":
            self.out[trial].kept.extend(event["records"])
            self.out[trial].failed = event.get("failed", "")
        elif kind == "told":
            self._told(event)
        else:
            self.removed.add(trial)

    def _begun(self, event: Event) -> None:
        proposal = proposal_of(event, self.space)
        trial, parent = proposal.trial, proposal.copy_from
        if trial == len(self.trials):
            self.trials.put(Trial(id=trial, change=dict(proposal.config), seed=self.seed, parent=parent))
        elif not 0 <= trial < len(self.trials) or trial in self.out:
            raise DataError(
                f"trial {trial} cannot begin: there are {len(self.trials)}, of which {sorted(self.out)} are running"
            )
        elif dict(self.trials[trial].change) != dict(proposal.config):  # a population changes its members on the way
            self.trials.put(replace(self.trials[trial], change=dict(proposal.config), parent=parent))
        self.trials.memo.update(proposal.memo)
        self.removed.discard(trial)
        self.out[trial] = Out(self.asked, proposal, event.get("worker", 0), event.get("at", self.clock))
        self.asked += 1
        self.trials.begun(trial, proposal.upto)

    def _told(self, event: Event) -> None:
        trial = event["trial"]
        known, out = self.trials[trial], self.out.pop(trial, None)
        kept = out.kept[: event.get("kept", 0)] if out is not None else []
        fresh = [*kept, *event["records"]]
        whole = (*known.records, *fresh)
        state, reason = self._outcome(whole, fresh, event.get("failed", ""))
        self.trials.promised.pop(trial, None)
        self.trials.put(replace(known, records=whole, state=state, reason=reason, spent=float(len(whole))))
        if out is not None:
            self.clock = max(self.clock, out.due)

    def _outcome(self, whole: Records, fresh: Records, failed: str) -> Any:
        if failed:
            return "failed", failed
        for unit, record in enumerate(fresh, start=len(whole) - len(fresh) + 1):
            if record.get("cause"):
                return "stopped", str(record["cause"])
            if not math.isfinite(score_of(record)):
                return "failed", f"the score of unit {unit} is {record.get(SCORE)}"
        return ("done" if len(whole) >= self.max_budget else "paused"), ""

    def fresh(self, trial: int, records: Records) -> list[dict[str, Any]]:
        """Those of `records` that are new: they are all of the trial, or those since it was last told of.

        Raises `DataError` for unknown trials and for more records than were asked for.
        """
        if not 0 <= trial < len(self.trials):
            raise DataError(f"trial {trial} was never proposed; there are {len(self.trials)}")
        known = self.trials[trial]
        upto = self.trials.promised.get(trial, len(known.records))
        read = [plain(dict(record)) for record in records]
        had = len(known.records)
        fits = len(read) == upto - had  # a score that stays the same looks like one told again
        told_all = len(read) > upto - had or (
            had and not fits and read[:had] == [dict(record) for record in known.records]
        )
        found = read[had:] if told_all else read
        if had + len(found) > upto:
            raise DataError(
                f"trial {trial} came with {had + len(found)} records; it was to be trained up to {upto} units"
            )
        return found


def _earlier(space: Space, id: int, told: Mapping[str, Any]) -> Trial:
    """A trial of another study, as the event has it."""
    records = tuple(dict(record) for record in told["records"])
    config = config_of(told["change"], space)
    return Trial(
        id=id,
        change=config,
        records=records,
        state=told["state"],
        reason=told.get("reason", ""),
        spent=float(len(records)),
    )


def warm_event(trials: Sequence[Trial]) -> Event:
    """The event with which a search learns of trials of other studies."""
    told = [
        {
            "change": dict(trial.change),
            "records": [plain(dict(record)) for record in trial.records],
            "state": trial.state,
        }
        | ({"reason": trial.reason} if trial.reason else {})
        for trial in trials
    ]
    return {"event": "warm", "trials": told}


def event_of(proposal: Proposal, *, worker: int, at: float) -> Event:
    """The event with which a proposal is handed out."""
    event: Event = {"event": "begun", "trial": proposal.trial, "config": dict(proposal.config)}
    event |= {"start": proposal.start, "upto": proposal.upto, "worker": worker, "at": at}
    if proposal.copy_from is not None:
        event["copy_from"] = proposal.copy_from
    if proposal.because:
        event["because"] = proposal.because
    if proposal.memo:
        event["memo"] = plain(proposal.memo)
    return event


def proposal_of(event: Event, space: Space) -> Proposal:
    """The proposal of such an event."""
    return Proposal(
        trial=event["trial"],
        config=config_of(event["config"], space),
        upto=event["upto"],
        start=event["start"],
        copy_from=event.get("copy_from"),
        because=event.get("because", ""),
        memo=event.get("memo", {}),
    )


def config_of(read: Mapping[str, Any], space: Space) -> Config:
    """A configuration as the space has it: what came from a file as a list is a tuple again. Raises `DataError` for unknown names.

    >>> config_of({"widths": [64, 32]}, Space({"widths": Choice([(64, 32), (32, 16)])}))
    {'widths': (64, 32)}
    """
    try:
        return {
            name: value if isinstance(value, float) else _value_of(value, space[name]) for name, value in read.items()
        }
    except KeyError as missing:
        raise DataError(f"no parameter called {missing} in the space") from None


def _value_of(value: Any, domain: Domain) -> Any:
    if isinstance(domain, Ordinal | Choice):
        return domain.choices[domain.index(value)]
    return domain.value if isinstance(domain, Fixed) else value
