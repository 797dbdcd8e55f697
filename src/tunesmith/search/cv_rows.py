"""The rows of `cv_results_` while a search is on its way: batch after batch, those that could not be fitted among them.

scikit-learn's `evaluate_candidates` works out all results anew after every batch, and gives up where every fit of a batch fails. Both are
right for one large batch; a search that learns from each result has many small ones, and a configuration that cannot be fitted tells it
something. So the results of a batch are worked out alone, and those of all at the end, with the failed rows in their places.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Params = Mapping[str, Any]
Results = dict[str, Any]
FAILED = "fits failed"  # words of scikit-learn's message where every fit of a batch failed


@dataclass
class Failure:
    """A row without a fit."""

    place: int  # among all rows
    params: Params
    more: Mapping[str, Any]
    reason: str
    seconds: float


@dataclass
class Rows:
    """What was evaluated. `keep` stands in the place of the search's `_format_results`."""

    formatted: Callable[..., Results]
    evaluate_candidates: Callable[..., Any]
    splits: int
    error_score: Any
    results: Results = field(default_factory=dict)  # the very dictionary that the search will keep
    failures: list[Failure] = field(default_factory=list)
    count: int = 0
    _latest: Results = field(default_factory=dict)
    _whole: tuple[Any, ...] = ()
    _expected: int = 0
    _error: ValueError | None = None

    def evaluate(
        self, batch: Sequence[Params], cv: Any = None, more: Mapping[str, Sequence[Any]] | None = None
    ) -> list[Results]:
        """Results of each of the batch, one row each; of those that could not be fitted `{"reason": …}`."""
        self._expected = len(batch)
        asked = {} if cv is None else {"cv": cv}
        started = time.perf_counter()
        try:
            self.evaluate_candidates(list(batch), more_results=more, **asked)
        except ValueError as error:
            if FAILED not in str(error):
                raise
            self._error = error
            return self._failed(batch, more or {}, str(error), time.perf_counter() - started)
        self.count += len(batch)
        return [{name: column[place] for name, column in self._latest.items()} for place in range(len(batch))]

    def _failed(
        self, batch: Sequence[Params], more: Mapping[str, Sequence[Any]], said: str, seconds: float
    ) -> list[Results]:
        reason = last_line(said)
        for place, params in enumerate(batch):
            extra = {name: values[place] for name, values in more.items()}
            self.failures.append(Failure(self.count, params, extra, reason, seconds / len(batch) / self.splits))
            self.count += 1
        return [{"reason": reason} for _ in batch]

    def keep(self, params: list[Params], splits: int, out: list[Any], more: Mapping[str, list[Any]] | None) -> Results:
        """Works out the latest batch alone, and gives the dictionary that will hold all."""
        self._whole = (params, splits, out, more)
        count = self._expected
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "One or more of the", UserWarning)  # said once, at the end
            self._latest = self.formatted(
                params[-count:],
                splits,
                out[-count * splits :],
                {name: values[-count:] for name, values in (more or {}).items()},
            )
        return self.results

    def finish(self) -> None:
        """Works out all rows. Raises scikit-learn's error where none could be fitted."""
        if not self._whole:
            if self._error is not None:
                raise self._error
            return
        params, splits, out, more = self._whole
        params, out = list(params), list(out)
        columns = {name: list(values) for name, values in (more or {}).items()}
        sample = out[0]
        for failure in self.failures:  # in the order of their places
            params.insert(failure.place, failure.params)
            at = failure.place * splits
            out[at:at] = [_unfitted(sample, failure, self.error_score) for _ in range(splits)]
            for name, values in columns.items():
                values.insert(failure.place, failure.more[name])
        self.results.clear()
        self.results.update(self.formatted(params, splits, out, columns))
        if self.failures:
            self._warn()

    def _warn(self) -> None:
        from sklearn.exceptions import FitFailedWarning

        said = f"{len(self.failures)} of {self.count} configurations could not be fitted; the first: {self.failures[0].reason}"
        warnings.warn(said, FitFailedWarning, stacklevel=2)


def _unfitted(sample: Mapping[str, Any], failure: Failure, error_score: Any) -> dict[str, Any]:
    """What a fit that failed leaves, after the pattern of one that did not."""
    scores = {
        name: dict.fromkeys(sample[name], error_score) if isinstance(sample[name], dict) else error_score
        for name in ("test_scores", "train_scores")
        if name in sample
    }
    return {**sample, **scores, "fit_error": failure.reason, "fit_time": failure.seconds, "score_time": 0.0}


def last_line(said: str) -> str:
    """The last line with something in it: of a traceback, what went wrong.

    >>> last_line("Traceback …\\nValueError: C is negative\\n")
    'ValueError: C is negative'
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else said
