"""leakage_sum: a few columns together are the target: their sum, difference, mean, product or ratio.

Sees      an exact linear relation, or one of logarithms, between the target and two or more columns of numbers: all pairs, all
          triples of up to 40 columns, and the smallest set that a least-squares fit on all columns comes down to. Rows that break it
          (a twentieth at most) are trimmed; what is found on some rows is verified on all.
Matters   the parts of a total are known when the total is, and not before: the model learns to add.
Remedies  leave the columns out (advice).
Limits    numbers only. Where the columns are the only inputs, or the other inputs of an array tell nothing, the relation is the task
          itself: a note. Coefficients that are no simple numbers: a warning for up to three columns of a table, else a note.
Source    least trimmed squares: Rousseeuw, JASA 79 (1984); concentration steps: Rousseeuw & Van Driessen, Data Min. Knowl. Disc. 12 (2006).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import Goal, Input, goals_of, inputs_of, matrix, some_rows
from tunesmith.doctor.audits.leakage_rest import drop, rest_power
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.threads import one_thread
from tunesmith.records import Evidence, Finding
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity

LOOK = 4000  # rows on which sets of columns are looked for; assumption
WIDEST = 400  # columns that are looked at, those most correlated with the target; assumption
TRIPLES = 40  # columns of which every triple is looked at: 9 880; assumption
LARGEST = 8  # columns of a relation that is still told; assumption
MOST_TARGETS = 8  # assumption
TRIED = 12  # sets of each size that are fitted robustly; assumption
PROMISING = 0.8  # R² from which a set is fitted robustly: outliers lower it; assumption
EXACT = 1e-3  # of the target's standard deviation, beyond rounding; assumption
HOLDS = 0.95  # share of rows in which an exact relation holds; assumption
NOTHING = 0.05  # power of the other inputs below which they tell nothing; assumption
ALONE = 0.9999  # R² from which a column is the target without any other: `leakage_copy` tells of it; assumption
SIMPLE = 12  # largest whole ratio between the coefficients of a simple relation; assumption


@dataclass(frozen=True, slots=True)
class Relation:
    """target = constant + Σ coefficient · input, or constant · Π input ^ coefficient."""

    how: Literal["sum", "product"]
    inputs: tuple[Input, ...]
    coefficients: tuple[float, ...]
    constant: float
    simple: bool
    share: float  # of all rows in which it holds
    rows: int

    def told(self) -> str:
        """The right-hand side, as one would write it."""
        return _sum_told(self) if self.how == "sum" else _product_told(self)


@audit("leakage_sum", faults=("data.leakage",), cost=PASS)
def leakage_sum(material: Material) -> Iterator[Finding]:
    goals, inputs = _goals(material), _numbers(material)
    if not goals or len(goals) > MOST_TARGETS:
        raise Inapplicable("the target is not a number")
    if len(inputs) < 2:
        raise Inapplicable("fewer than two columns of numbers")
    found = found_relations(material)
    for goal in goals:
        if goal.name in found:
            names = [one.name for one in found[goal.name].inputs]
            rest, others = rest_power(material, goal, names)
            yield _finding(goal, found[goal.name], _severity(material, found[goal.name], rest, others), rest)


def found_relations(material: Material) -> dict[str, Relation]:
    """Relations by target."""

    def make() -> dict[str, Relation]:
        goals, inputs = _goals(material), _numbers(material)
        if len(goals) > MOST_TARGETS or len(inputs) < 2:
            return {}
        with one_thread():
            found = {goal.name: _relation(material, goal, inputs) for goal in goals}
        return {name: relation for name, relation in found.items() if relation is not None}

    return material.kept("leakage sums", make)


def summed(material: Material) -> set[str]:
    """Names of the inputs that make up a target."""
    return {one.name for relation in found_relations(material).values() for one in relation.inputs}


def _goals(material: Material) -> list[Goal]:
    return [goal for goal in goals_of(material) if not goal.classes]


def _numbers(material: Material) -> list[Input]:
    return [one for one in inputs_of(material) if not one.levels]


def _severity(material: Material, relation: Relation, rest: float, others: int) -> Severity:
    if not others or (material.form == "arrays" and rest < NOTHING):
        return "note"
    if relation.simple:
        return "error"
    return "warning" if len(relation.inputs) <= 3 and material.form == "table" else "note"


def _finding(goal: Goal, relation: Relation, severity: Severity, rest: float) -> Finding:
    names = [one.name for one in relation.inputs]
    values: dict[str, object] = {"columns": ", ".join(names), "target": goal.name, "formula": relation.told()}
    values |= {"share": relation.share, "rows": relation.rows}
    return Finding(
        fault="data.leakage",
        severity=severity,
        message="leakage.sum",
        values=values,
        evidence=(
            Evidence(name="share of rows in which the relation holds", value=relation.share, threshold=HOLDS),
            Evidence(name="power of the other inputs", value=rest, where=goal.name),
        ),
        remedies=(drop(names),),
        confidence=0.98 if relation.simple else 0.7,
        status="confirmed" if severity == "error" else "suspected",
        subject={"columns": names},
    )


def _relation(material: Material, goal: Goal, inputs: list[Input]) -> Relation | None:
    known = ~np.isnan(goal.values)
    if known.sum() < 50:
        return None
    rows = some_rows(material, LOOK, f"leakage_sum {goal.name}", known)
    numbers, target = matrix(inputs, material.whole, rows), goal.values[rows]
    if target.std() == 0:
        return None
    for how in ("sum", "product"):
        made = _as_logs(numbers, target) if how == "product" else (numbers, target, np.ones(numbers.shape[1], bool))
        if made is None:
            continue
        X, y, usable = made
        for chosen in _candidates(X, y, usable, material, how):
            relation = _verified(material, goal, [inputs[place] for place in chosen], X[:, chosen], y, how)
            if relation is not None:
                return relation
    return None


def _as_logs(numbers: Array, target: Array) -> tuple[Array, Array, Array] | None:
    """Logarithms of absolute values, in rows whose target is not 0, of columns that are hardly ever 0 there."""
    rows = target != 0
    if rows.sum() < 50:
        return None
    X, y = numbers[rows], target[rows]
    usable = (X == 0).mean(0) < 0.01
    with np.errstate(divide="ignore"):
        logs = np.log(np.abs(X))
    logs[~np.isfinite(logs)] = np.nan
    y = np.log(np.abs(y))
    return (logs, y, usable) if y.std() > 0 else None


def _candidates(X: Array, y: Array, usable: Array, material: Material, how: str) -> Iterator[list[int]]:
    """Sets of columns of which the target may be an exact function, the smallest first."""
    centre = np.nanmedian(np.where(np.isnan(X).all(0), 0.0, X), axis=0)
    filled = np.where(np.isnan(X), centre, X)
    spread = filled.std(0)
    kept = np.flatnonzero(usable & (spread > 0) & (np.isnan(X).mean(0) < 0.5))
    if len(kept) < 2:
        return
    Z = (filled[:, kept] - filled[:, kept].mean(0)) / spread[kept]
    t = (y - y.mean()) / y.std()
    order = np.argsort(-np.abs(Z.T @ t), kind="stable")[:WIDEST]
    order = order[(Z[:, order].T @ t / len(t)) ** 2 < ALONE]
    if len(order) < 2:
        return
    Z, kept = Z[:, order], kept[order]
    R, r = Z.T @ Z / len(t), Z.T @ t / len(t)
    for pair in _best_pairs(R, r):
        yield sorted(int(kept[place]) for place in pair)
    for triple in _best_triples(R, r):
        yield sorted(int(kept[place]) for place in triple)
    if how == "sum" and len(kept) < len(t) / 3:
        smallest = _smallest_set(Z, t, material.rng("leakage_sum starts"))
        if smallest:
            yield sorted(int(kept[place]) for place in smallest)


def _best_pairs(R: Array, r: Array) -> list[tuple[int, ...]]:
    """Pairs with the highest R², from correlations: (r_i² + r_j² - 2 r_i r_j R_ij) / (1 - R_ij²)."""
    apart = 1 - R**2
    told = (r[:, None] ** 2 + r[None, :] ** 2 - 2 * r[:, None] * r[None, :] * R) / np.where(apart > 1e-6, apart, np.inf)
    rows, columns = np.triu_indices(len(r), 1)
    flat = told[rows, columns]
    best = np.argsort(-flat, kind="stable")[:TRIED]
    return [(int(rows[place]), int(columns[place])) for place in best if flat[place] > PROMISING]


def _best_triples(R: Array, r: Array) -> list[tuple[int, ...]]:
    width = min(len(r), TRIPLES)
    if width < 3:
        return []
    sets = np.array(list(combinations(range(width), 3)))
    blocks = R[sets[:, :, None], sets[:, None, :]]
    right = r[sets]
    regular = np.linalg.det(blocks) > 1e-6
    told = np.zeros(len(sets))
    solved = np.linalg.solve(blocks[regular], right[regular][:, :, None])[:, :, 0]
    told[regular] = (solved * right[regular]).sum(1)
    best = np.argsort(-told, kind="stable")[:TRIED]
    return [tuple(int(one) for one in sets[place]) for place in best if told[place] > PROMISING]


def _smallest_set(Z: Array, t: Array, rng: np.random.Generator) -> list[int]:
    """Columns that are left when those are taken away one by one without which the relation still holds; [] without one."""
    width = Z.shape[1]
    fitted = _trimmed_fit(Z, t, rng)
    if fitted is None:
        return []
    rows = fitted
    A, b = Z[rows], t[rows] - t[rows].mean()
    A = A - A.mean(0)
    kept = list(range(width))
    while len(kept) > 1:
        G = A[:, kept].T @ A[:, kept] + 1e-10 * len(b) * np.eye(len(kept))
        inverse = np.linalg.inv(G)
        weights = inverse @ (A[:, kept].T @ b)
        cost = weights**2 / np.diag(inverse)  # what the squared error grows by without the column
        least = int(cost.argmin())
        if cost[least] > EXACT**2 * len(b) / 4:
            break
        del kept[least]
    return kept if 2 <= len(kept) <= LARGEST else []


def _trimmed_fit(Z: Array, t: Array, rng: np.random.Generator) -> Array | None:
    """Rows of the half that a plane through all columns fits best, if it fits them exactly."""
    width, half = Z.shape[1], int(0.75 * len(t))
    A = np.column_stack([np.ones(len(t)), Z])
    starts = [np.arange(len(t))]
    if width <= 30:
        starts += [rng.choice(len(t), min(len(t), width + 1), replace=False) for _ in range(10)]
    for rows in starts:
        for _ in range(3):
            weights = np.linalg.lstsq(A[rows], t[rows], rcond=None)[0]
            residuals = np.abs(t - A @ weights)
            rows = np.argpartition(residuals, half)[:half]
        if residuals[rows].max() <= EXACT:
            return np.flatnonzero(residuals <= EXACT)
    return None


def _verified(
    material: Material, goal: Goal, inputs: Sequence[Input], X: Array, y: Array, how: Literal["sum", "product"]
) -> Relation | None:
    """The relation with its coefficients, if it holds on all rows."""
    weights = _robust(X, y)
    if weights is None or (np.abs(weights[1:]) < 1e-9).any():
        return None
    snapped, simple = _snapped(weights[1:], how)
    whole = matrix(list(inputs), material.whole)
    told = np.isfinite(goal.values) & np.isfinite(whole).all(1)
    if told.sum() < 50:
        return None
    values, target = whole[told], goal.values[told]
    for coefficients, is_simple in ((snapped, simple), (weights[1:], False)):
        if how == "product" and not is_simple:
            continue
        constant, came = _carried_out(values, target, coefficients, how)
        gap = np.abs(target - came) <= _tolerance(target)
        common = target == _commonest(target)
        share = min(float(gap.mean()), float(gap[~common].mean()) if (~common).any() else 0.0)
        if share >= HOLDS:
            found = tuple(float(one) for one in coefficients)
            return Relation(how, tuple(inputs), found, constant, is_simple, share, int(told.sum()))
    return None


def _robust(X: Array, y: Array) -> Array | None:
    """Least trimmed squares with a constant, by concentration steps from least squares; None where it fits no three quarters."""
    rows = np.isfinite(X).all(1)
    if rows.sum() < 50:
        return None
    A, t = np.column_stack([np.ones(int(rows.sum())), X[rows]]), y[rows]
    keep, half = np.arange(len(t)), int(0.75 * len(t))
    for _ in range(8):
        weights = np.linalg.lstsq(A[keep], t[keep], rcond=None)[0]
        residuals = np.abs(t - A @ weights)
        keep = np.argpartition(residuals, half)[:half]
    return np.asarray(weights) if residuals[keep].max() <= 0.1 * t.std() else None


def _snapped(weights: Array, how: str) -> tuple[Array, bool]:
    """Coefficients as simple numbers where they are nearly so: whole multiples of the smallest, or whole and half powers."""
    unit = 0.5 if how == "product" else float(np.abs(weights).min())
    ratios = weights / unit
    whole = np.round(ratios)
    simple = bool((np.abs(ratios - whole) <= 0.02 * np.abs(whole)).all() and (np.abs(whole) <= SIMPLE).all())
    if not simple or (whole == 0).any():
        return weights, False
    if how == "sum":
        unit = float(np.median(weights / whole))
        unit = next((one for one in _units(len(weights)) if abs(unit - one) <= 0.005 * abs(one)), unit)
    return whole * unit, True


def _units(count: int) -> tuple[float, ...]:
    return (1.0, 1 / count, 0.5, 1 / 3, 0.25, 0.1, 0.01, 10.0, 100.0, 1000.0)


def _carried_out(X: Array, y: Array, powers: Array, how: str) -> tuple[float, Array]:
    if how == "sum":
        part = X @ powers
        constant = float(np.median(y - part))
        constant = 0.0 if abs(constant) <= _tolerance(y) else constant
        return constant, constant + part
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = bool((powers == np.round(powers)).all())
        part = np.prod(X**powers if whole else np.abs(X) ** powers, axis=1)
    part = np.where(np.isfinite(part), part, np.nan)
    usable = (part != 0) & np.isfinite(part) & (y != 0)
    constant = float(np.median(y[usable] / part[usable])) if usable.any() else 1.0
    return constant, constant * part


def _tolerance(y: Array) -> float:
    """Half a unit of the last digit in which the target is written, where that is fine, or a thousandth of its spread."""
    spread = float(y.std())
    for decimals in range(7):
        unit = 10.0**-decimals
        if unit > 0.05 * spread:
            continue
        scaled = y / unit
        if (np.abs(scaled - np.round(scaled)) < 1e-6 * np.maximum(1, np.abs(scaled))).all():
            return max(0.5001 * unit if decimals else 0.0, EXACT * spread)
    return EXACT * spread


def _commonest(y: Array) -> float:
    values, counts = np.unique(y, return_counts=True)
    return float(values[counts.argmax()])


def _sum_told(relation: Relation) -> str:
    pieces = []
    for one, weight in zip(relation.inputs, relation.coefficients, strict=True):
        sign = "-" if weight < 0 else "+"
        size = "" if abs(abs(weight) - 1) < 1e-9 else f"{abs(weight):.4g} × "
        pieces.append(f"{sign} {size}{one.name}")
    if relation.constant:
        pieces.append(f"{'-' if relation.constant < 0 else '+'} {abs(relation.constant):.4g}")
    return " ".join(pieces).removeprefix("+ ")


def _product_told(relation: Relation) -> str:
    def power(name: str, size: float) -> str:
        return name if size == 1 else f"{name}^{size:g}"

    named = list(zip((one.name for one in relation.inputs), relation.coefficients, strict=True))
    over = [power(name, -size) for name, size in named if size < 0]
    above = [power(name, size) for name, size in named if size > 0]
    if abs(relation.constant - 1) > 1e-6:
        above.insert(0, f"{relation.constant:.4g}")
    return " / ".join([" × ".join(above) or "1", *over])
