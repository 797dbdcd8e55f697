"""What the page of a study shows, worked out once."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tunesmith.records import DataError, Finding, Trial
from tunesmith.search import Domain, Space, as_space
from tunesmith.search.history import History, as_history
from tunesmith.search.understanding.at_edges import edges
from tunesmith.search.understanding.importances import importance
from tunesmith.search.understanding.repeats import duplicates


@dataclass(frozen=True)
class StudyFacts:
    """A space and its trials, and what they were searched with. `settings`: plain words for the top of the page."""

    title: str
    space: Space
    trials: History
    settings: Mapping[str, Any]
    language: str = "en"

    @cached_property
    def values(self) -> Any:
        """(N,) the best score of each trial; infinite where it has none."""
        return self.trials.values()

    @cached_property
    def order(self) -> list[int]:
        """Ids of the trials with a score, best first; failed ones left out, as by the whole study."""
        ranks = np.argsort(self.values, kind="stable")
        return [int(id) for id in ranks if math.isfinite(self.values[id]) and self.trials[int(id)].state != "failed"]

    @cached_property
    def states(self) -> Counter[str]:
        return Counter(trial.state for trial in self.trials)

    @cached_property
    def reasons(self) -> list[tuple[str, str, int]]:
        """State, reason and how many, commonest first."""
        told = Counter((trial.state, trial.reason) for trial in self.trials if trial.reason)
        return [(state, reason, count) for (state, reason), count in told.most_common()]

    @cached_property
    def shares(self) -> dict[str, float]:
        """Importance by parameter; empty where too few trials can be compared."""
        try:
            return importance(self.space, self.trials)
        except DataError:
            return {}

    @cached_property
    def findings(self) -> list[Finding]:
        return [*edges(self.space, self.trials), *duplicates(self.space, self.trials)]

    @cached_property
    def parameters(self) -> list[str]:
        """The searched parameters, most important first."""
        return list(self.shares) or self.space.searched

    @cached_property
    def units(self) -> int:
        """Budget units of the longest trial."""
        return max((len(self.trials.scores(trial.id)) for trial in self.trials), default=0)


def study_facts(
    space: Space | Mapping[str, Domain],
    trials: Sequence[Trial],
    *,
    title: str = "Search",
    settings: Mapping[str, Any] | None = None,
    language: str = "en",
) -> StudyFacts:
    """Of any space and trials."""
    return StudyFacts(title, as_space(space), as_history(trials), settings or {}, language)
