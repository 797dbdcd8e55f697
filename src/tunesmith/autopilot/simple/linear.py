"""Logistic or ridge regression over standardised columns, or over weighted words of a text."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from tunesmith.autopilot.simple.features import HASHED, one_hot, words
from tunesmith.data.spec import Array, InputSpec, Part, Tokens
from tunesmith.records.check import Inapplicable

STRENGTHS = (0.1, 1.0, 10.0)  # of C, or 1 / alpha; the best on the validation rows
ITERATIONS = 200
MOST_ROWS = 20_000  # more are drawn from; assumption: a linear model has learnt what it can
CLASSED = ("binary", "multiclass")


class Linear:
    """`coefficients` (F, K), `offset` (K,): scores of the classes, or values; columns as `columns` makes them."""

    name = "linear model"

    def __init__(self, spec: Mapping[str, InputSpec], kind: str, arrays: Mapping[str, Array]) -> None:
        self.spec, self.kind, self.arrays = spec, kind, dict(arrays)

    @classmethod
    def fitted(cls, part: Part, spec: Mapping[str, InputSpec], kind: str, strength: float, seed: int) -> "Linear":
        """Fits on the rows of a part. Raises `Inapplicable` for several labels a row, and where there is one class."""
        from sklearn.linear_model import LogisticRegression, Ridge

        if kind not in (*CLASSED, "regression", "multi_regression"):
            raise Inapplicable(f"there is no linear model of a {kind} task here")
        assert part.target is not None
        kept = np.random.default_rng(seed).permutation(len(part))[:MOST_ROWS]
        made = cls(spec, kind, {})
        made._learn_columns(part)
        columns, target = made.columns(part)[kept], np.asarray(part.target)[kept]
        weight = None if part.weight is None else part.weight[kept]
        if kind in CLASSED:
            if len(np.unique(target)) < 2:
                raise Inapplicable("the training rows hold one class")
            model = LogisticRegression(C=strength, max_iter=ITERATIONS)
        else:
            good = np.isfinite(target.reshape(len(target), -1)).all(axis=1)
            columns, target, weight = columns[good], target[good], None if weight is None else weight[good]
            model = Ridge(alpha=1.0 / strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that were cut off: their score on held rows is what counts
            model.fit(columns, target, sample_weight=weight)
        coefficients, offset = np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)
        if kind in CLASSED:
            made.arrays["classes"] = np.asarray(model.classes_, dtype=np.int64)
            if coefficients.shape[1] == 1:
                coefficients = np.hstack([np.zeros_like(coefficients), coefficients])
                offset = np.array([0.0, offset[0]])
        made.arrays |= {"coefficients": coefficients, "offset": offset}
        return made

    def _learn_columns(self, part: Part) -> None:
        if any(isinstance(one, Tokens) for one in self.spec.values()):
            counts = words(part, self.spec)
            held = np.asarray((counts > 0).sum(axis=0)).ravel()
            self.arrays["rarity"] = np.log((1 + len(part)) / (1 + held)) + 1  # as scikit-learn's TfidfTransformer
        if all(isinstance(one, Tokens) for one in self.spec.values()):
            return
        wide = one_hot(part, self.spec)
        if wide.shape[1] > HASHED:
            raise Inapplicable(f"{wide.shape[1]} columns are too many for a linear model")
        spread = wide.std(axis=0)
        self.arrays |= {"center": wide.mean(axis=0), "scale": np.where(spread > 0, spread, 1.0)}

    def columns(self, part: Part) -> Any:
        """(N, F) as the coefficients want them: weighted words, then standardised columns."""
        told: list[Any] = []
        if "rarity" in self.arrays:
            from sklearn.preprocessing import normalize

            counts = words(part, self.spec)
            counts.data = 1 + np.log(counts.data)
            told.append(normalize(counts.multiply(self.arrays["rarity"][None]).tocsr()))
        if "center" in self.arrays:
            told.append((one_hot(part, self.spec) - self.arrays["center"]) / self.arrays["scale"])
        if len(told) == 1:
            return told[0]
        from scipy.sparse import csr_matrix, hstack

        return hstack([told[0], csr_matrix(told[1])]).tocsr()

    def predict(self, part: Part, classes: int) -> Array:
        """Probabilities (N, classes), or values on the scale of the net's target."""
        found = np.asarray(self.columns(part) @ self.arrays["coefficients"]) + self.arrays["offset"]
        if self.kind not in CLASSED:
            return found[:, 0] if self.kind == "regression" else found
        found = np.exp(found - found.max(axis=1, keepdims=True))
        whole = np.zeros((len(found), classes))
        whole[:, self.arrays["classes"]] = found / found.sum(axis=1, keepdims=True)
        return whole
