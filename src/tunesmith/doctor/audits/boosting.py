"""Gradient-boosted trees that also take columns without a single number."""

from typing import Any, Self

import numpy as np

from tunesmith.data.spec import Array


class Boosted:
    """scikit-learn's histogram boosting; a column without a finite number among the rows to fit is taken as 0 throughout.

    Gaps (NaN) are fine; a column that holds nothing else breaks the binning.

    >>> X = np.array([[np.nan, 0.0], [np.nan, 1.0]] * 30)
    >>> Boosted(2, max_iter=5).fit(X, np.array([0, 1] * 30)).predict(X[:2]).tolist()
    [0, 1]
    """

    def __init__(self, classes: int, **settings: Any) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        self.model = (
            HistGradientBoostingClassifier(**settings) if classes else HistGradientBoostingRegressor(**settings)
        )
        self.empty: Array = np.zeros(0, bool)

    def fit(self, numbers: Array, target: Array) -> Self:
        """Numbers (N, D), target (N,)."""
        self.empty = np.asarray(~np.isfinite(numbers).any(0))
        self.model.fit(self._filled(numbers), target)
        return self

    def predict(self, numbers: Array) -> Array:
        return np.asarray(self.model.predict(self._filled(numbers)))

    def predict_proba(self, numbers: Array) -> Array:
        return np.asarray(self.model.predict_proba(self._filled(numbers)))

    @property
    def classes_(self) -> Array:
        return np.asarray(self.model.classes_)

    def _filled(self, numbers: Array) -> Array:
        if not self.empty.any():
            return numbers
        filled = numbers.copy()
        filled[:, self.empty] = 0.0
        return filled
