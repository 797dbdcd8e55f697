"""Gradient boosting of trees: scikit-learn's histogram boosting, kept as arrays of nodes and read by NumPy.

Friedman, Greedy Function Approximation (2001), algorithm 1; the trees are those of `HistGradientBoostingClassifier` and `-Regressor`, grown until the
validation rows say stop.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tunesmith.autopilot.simple.features import matrix
from tunesmith.data.spec import Array, InputSpec, Part
from tunesmith.records.check import Inapplicable

CLASSED = ("binary", "multiclass")
AT_ONCE = 10  # rounds between two looks at the validation rows,
TREES = 40  # or fewer, where these are more trees: each round has one for each of many classes
PATIENCE = 3  # times AT_ONCE rounds without a better score
MOST = 500  # trees a class
SETTINGS: tuple[
    Mapping[str, Any], ...
] = (  # in the order they are tried; assumption: near scikit-learn's own, slower, and smaller
    {"learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20},
    {"learning_rate": 0.05, "max_leaf_nodes": 15, "min_samples_leaf": 20},
    {"learning_rate": 0.1, "max_leaf_nodes": 63, "min_samples_leaf": 5},
    {"learning_rate": 0.05, "max_leaf_nodes": 31, "min_samples_leaf": 50, "l2_regularization": 1.0},
)
FIELDS = (
    "value",
    "feature_idx",
    "num_threshold",
    "missing_go_to_left",
    "left",
    "right",
    "is_leaf",
    "is_categorical",
    "bitset_idx",
)


class Boosted:
    """Trees as arrays: `first` (T + 1,) where the nodes of each tree begin, `output` (T,) the class it adds to, one array a field of a node."""

    name = "gradient boosting"

    def __init__(self, spec: Mapping[str, InputSpec], kind: str, arrays: Mapping[str, Array]) -> None:
        self.spec, self.kind, self.arrays = spec, kind, dict(arrays)

    @classmethod
    def fitted(
        cls,
        part: Part,
        held: Part,
        spec: Mapping[str, InputSpec],
        kind: str,
        setting: Mapping[str, Any],
        loss: Callable[[Array], float],
        out_of_time: Callable[[], bool],
        seed: int,
        classes: int,
    ) -> "Boosted":
        """Grows trees on the rows of a part until `loss` of the predictions for `held` no longer falls, or time is over.

        Raises `Inapplicable` for kinds without trees.
        """
        if kind not in (*CLASSED, "regression"):
            raise Inapplicable(f"there is no gradient boosting of a {kind} task here")
        at_once = max(1, min(AT_ONCE, TREES // classes)) if kind == "multiclass" else AT_ONCE
        model, columns, target, weight = _made(part, spec, kind, setting, at_once, seed)
        seen, _ = matrix(held, spec)
        best, kept, since = np.inf, 0, 0
        while model.max_iter <= MOST:
            model.fit(columns, target, sample_weight=weight)
            now = loss(_said(model, seen, kind, classes))
            if now < best:
                best, kept, since = now, model.max_iter, 0
            else:
                since += 1
            if since * at_once >= PATIENCE * AT_ONCE or out_of_time():
                break
            model.max_iter += at_once
        return cls.of(model, spec, kind, kept or model.max_iter)

    @classmethod
    def grown(
        cls, part: Part, spec: Mapping[str, InputSpec], kind: str, setting: Mapping[str, Any], rounds: int, seed: int
    ) -> "Boosted":
        """So many trees a class on the rows of a part."""
        model, columns, target, weight = _made(part, spec, kind, setting, rounds, seed)
        return cls.of(model.fit(columns, target, sample_weight=weight), spec, kind)

    @property
    def rounds(self) -> int:
        """Trees a class."""
        return len(self.arrays["output"]) // (int(self.arrays["output"].max()) + 1)

    @classmethod
    def of(cls, model: Any, spec: Mapping[str, InputSpec], kind: str, most: int | None = None) -> "Boosted":
        """The first `most` trees of each class of a fitted model of scikit-learn."""
        trees = [(tree, output) for round_ in model._predictors[:most] for output, tree in enumerate(round_)]
        nodes = [tree.nodes for tree, _ in trees]
        sets = [tree.raw_left_cat_bitsets.reshape(-1, 8) for tree, _ in trees]
        arrays: dict[str, Array] = {
            "joined": np.array(True),  # trees from before were grown on the features of an encoding
            "first": np.cumsum([0, *(len(one) for one in nodes)]),
            "output": np.array([output for _, output in trees]),
            "sets_first": np.cumsum([0, *(len(one) for one in sets)]),
            "sets": np.concatenate(sets).astype(np.uint32),
            "baseline": np.atleast_1d(np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)),
        }
        arrays |= {name: np.concatenate([one[name] for one in nodes]) for name in FIELDS}
        if kind in CLASSED:
            arrays["classes"] = np.asarray(model.classes_, dtype=np.int64)
        encoder = getattr(model, "_preprocessor", None)
        if encoder is not None:  # codes are numbered by their order, and come first
            arrays["codes"] = np.asarray(model.is_categorical_)
            arrays |= {
                f"levels_{place}": np.asarray(levels)
                for place, levels in enumerate(encoder.named_transformers_["encoder"].categories_)
            }
        return cls(spec, kind, arrays)

    def predict(self, part: Part, classes: int) -> Array:
        """Probabilities (N, classes), or values on the scale of the net's target (N,)."""
        columns, codes = matrix(part, self.spec, joined="joined" in self.arrays)
        if "codes" in self.arrays:
            columns = self._encoded(columns, codes)
        raw = np.tile(self.arrays["baseline"], (len(columns), 1))
        for tree, output in enumerate(self.arrays["output"].tolist()):
            raw[:, output] += self._tree(tree, columns)
        if self.kind not in CLASSED:
            return raw[:, 0]
        if raw.shape[1] == 1:
            yes = 1 / (1 + np.exp(-raw[:, 0]))
            found = np.stack([1 - yes, yes], axis=1)
        else:
            found = np.exp(raw - raw.max(axis=1, keepdims=True))
            found /= found.sum(axis=1, keepdims=True)
        whole = np.zeros((len(found), classes))
        whole[:, self.arrays["classes"]] = found
        return whole

    def _encoded(self, columns: Array, codes: Array) -> Array:
        """Codes as scikit-learn numbers them: their place among those seen in training, not a number where unseen; codes first."""
        found = []
        for place, column in enumerate(np.flatnonzero(codes)):
            levels = self.arrays[f"levels_{place}"]
            at = np.searchsorted(levels, columns[:, column]).clip(0, len(levels) - 1)
            found.append(np.where(levels[at] == columns[:, column], at, np.nan))
        return np.column_stack([*found, columns[:, ~codes]])

    def _tree(self, tree: int, columns: Array) -> Array:
        begin, end = self.arrays["first"][tree : tree + 2]
        node = {name: self.arrays[name][begin:end] for name in FIELDS}
        sets = self.arrays["sets"][self.arrays["sets_first"][tree] : self.arrays["sets_first"][tree + 1]]
        rows = np.arange(len(columns))
        at = np.zeros(len(columns), dtype=np.int64)
        inner = ~node["is_leaf"].astype(bool)
        while True:
            moving = inner[at]
            if not moving.any():
                return np.asarray(node["value"][at])
            here = at[moving]
            value = columns[rows[moving], node["feature_idx"][here]].astype(np.float64)
            missing = np.isnan(value)
            left = value <= node["num_threshold"][here]
            chosen = node["is_categorical"][here].astype(bool)
            if chosen.any():
                code = np.nan_to_num(value[chosen]).astype(np.int64)
                bits = sets[node["bitset_idx"][here][chosen], code // 32]
                left[chosen] = (bits >> (code % 32).astype(np.uint32)) & 1
            left = np.where(missing, node["missing_go_to_left"][here].astype(bool), left)
            at[moving] = np.where(left, node["left"][here], node["right"][here])


def _made(
    part: Part, spec: Mapping[str, InputSpec], kind: str, setting: Mapping[str, Any], rounds: int, seed: int
) -> tuple[Any, Array, Array, Array | None]:
    """A model of scikit-learn before its fit, with columns, target and weights of the rows that have a target."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    columns, codes = matrix(part, spec)
    target = np.asarray(part.target)
    good = np.isfinite(target.astype(np.float64))
    maker = HistGradientBoostingClassifier if kind in CLASSED else HistGradientBoostingRegressor
    about = {"early_stopping": False, "warm_start": True, "random_state": seed % 2**32}
    model = maker(max_iter=rounds, categorical_features=codes if codes.any() else None, **about, **setting)
    return model, columns[good], target[good], None if part.weight is None else part.weight[good]


def _said(model: Any, columns: Array, kind: str, classes: int) -> Array:
    """What scikit-learn's own model says: the same, and quicker while it grows."""
    if kind not in CLASSED:
        return np.asarray(model.predict(columns))
    whole = np.zeros((len(columns), classes))
    whole[:, model.classes_] = model.predict_proba(columns)
    return whole
