"""Bias and variance beside mlxtend's `bias_variance_decomp`, by its own protocol in one process.

The same bootstrap samples (drawn as mlxtend draws them, from `RandomState(seed)`), the same estimator, the same test rows. mlxtend gives
loss, bias and variance as they are for so many rounds; ours are corrected for the number of refits and have intervals. `apart` is the largest
difference between mlxtend's three numbers and ours with that correction taken out again: they are to be equal. The first two cases are those
of mlxtend's guide (iris; it prints 0.062, 0.022, 0.040 for the tree).
"""

import time
from typing import Any

import numpy as np
from tables import by_case, markdown

SEED = 123
HELD = 0.3


def cases() -> list[dict[str, Any]]:
    found = [("iris", "tree", 200), ("iris", "bagged trees", 50), ("diabetes", "tree", 200), ("diabetes", "ridge", 200)]
    return [{"data": data, "estimator": name, "rounds": rounds, "env": "variance"} for data, name, rounds in found]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    from mlxtend.evaluate import bias_variance_decomp

    from tunesmith import error_parts

    (X, y, X_test, y_test), loss = rows(case["data"])
    estimator = estimators()[case["data"], case["estimator"]]
    start = time.perf_counter()
    theirs = bias_variance_decomp(
        estimator, X, y, X_test, y_test, loss=loss, num_rounds=case["rounds"], random_seed=SEED
    )
    between = time.perf_counter()
    rng = np.random.RandomState(SEED)
    samples = [rng.choice(np.arange(len(X)), size=len(X), replace=True) for _ in range(case["rounds"])]
    ours = error_parts(
        estimator, (X, y), test=(X_test, y_test), samples=samples, loss="squared" if loss == "mse" else "zero_one"
    )
    seconds = time.perf_counter() - between
    if loss == "mse":
        inflated = ours.variance / ours.refits
        plain = (ours.error, ours.bias2_and_noise + inflated, ours.variance - inflated)
    else:
        plain = (ours.error, ours.bias, ours.variance)
    return {
        "mlxtend error": float(theirs[0]),
        "mlxtend bias": float(theirs[1]),
        "mlxtend variance": float(theirs[2]),
        "error": ours.error,
        "bias": ours.bias2_and_noise if loss == "mse" else ours.bias,
        "variance": ours.variance,
        "apart": max(abs(one - other) for one, other in zip(plain, theirs, strict=True)),
        "mlxtend seconds": between - start,
        "seconds": seconds,
    }


def rows(name: str) -> tuple[tuple[Any, Any, Any, Any], str]:
    from sklearn.datasets import load_diabetes, load_iris
    from sklearn.model_selection import train_test_split

    X, y = (load_iris if name == "iris" else load_diabetes)(return_X_y=True)
    classes = name == "iris"
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=HELD, random_state=SEED, shuffle=True, stratify=y if classes else None
    )
    return (X, y, X_test, y_test), "0-1_loss" if classes else "mse"


def estimators() -> dict[tuple[str, str], Any]:
    from sklearn.ensemble import BaggingClassifier
    from sklearn.linear_model import Ridge
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree = DecisionTreeClassifier(random_state=SEED)
    return {
        ("iris", "tree"): tree,
        ("iris", "bagged trees"): BaggingClassifier(estimator=tree, n_estimators=100, random_state=SEED),
        ("diabetes", "tree"): DecisionTreeRegressor(random_state=SEED),
        ("diabetes", "ridge"): Ridge(1.0),
    }


def table(rows: Any) -> str:
    """One row a case: theirs, ours, how far apart, seconds."""
    heads = (
        "data",
        "estimator",
        "rounds",
        "mlxtend: error, bias, variance",
        "ours",
        "apart",
        "seconds, mlxtend and ours",
    )
    lines = []
    for group in by_case(rows):
        case, last = group[-1]["case"], group[-1]["measured"]
        lines.append(
            [
                case["data"],
                case["estimator"],
                str(case["rounds"]),
                ", ".join(f"{last[f'mlxtend {name}']:.4g}" for name in ("error", "bias", "variance")),
                ", ".join(f"{last[name]:.4g}" for name in ("error", "bias", "variance")),
                f"{last['apart']:.1e}",
                f"{last['mlxtend seconds']:.2f}, {last['seconds']:.2f}",
            ]
        )
    return markdown(heads, lines)
