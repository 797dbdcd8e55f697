"""How many labels are wrong, told apart from classes that overlap.

Where classes overlap, the error shrinks to nothing far from their border; where labels were swapped, rows far from any
border contradict their label as often as others. So two explanations of the labels are compared by likelihood: softmax(a log p
+ b), and the same with a floor, Σ_z softmax(a log p + b)_z T_zy, where T is the chance that class z was written y: the lapse
rate of Wichmann & Hill, The psychometric function (2001), section 1; T as in Natarajan et al., Learning with Noisy Labels (2013) and
Patrini et al., arXiv:1609.03683, section 2. T is one number, one a class, or the likeliest pairs of classes: whichever the Bayesian
information criterion (Schwarz 1978) prefers, and none where none pays. The chance that a row's own label is wrong follows by Bayes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln

from tunesmith.data.spec import Array

PULL = 2.0  # rows a class that are counted as rightly labelled beforehand; assumption
CHANCE = 2.71  # gain in log likelihood of one number at p = 0.01, one-sided (chi-square of 1 degree, 5.41, halved)
NUMBERS = 200_000  # rows times classes the explanations are fitted on; assumption
# mean largest probability without the noise; set after clean wine quality (0.73) and CIFAR-10 (0.70) passed for noise, not tried on held-back data
CRISP = 0.75
CLASSES = 40  # above, no pairs; assumption


@dataclass(frozen=True, slots=True)
class Noise:
    """`form` is "none", "even" (one rate), "by class" or "by pair"."""

    form: str
    share: float  # of wrong labels
    gain: float  # in log likelihood over overlap alone, less the price of the numbers fitted; 0 without
    matrix: Array  # (C, C), T_zy: the share of class z that is labelled y
    crisp: float  # mean largest probability of what is left when the noise is taken away
    wrong: Array  # (N,): the chance that the given label is wrong
    true: Array  # (N, C): the chance of each class, given the row and its label


def fitted_noise(p: Array, codes: Array, rng: np.random.Generator) -> Noise:
    """From out-of-sample probabilities p (N, C) and the labels."""
    classes = p.shape[1]
    logits = np.maximum(np.log(np.maximum(p, 1e-9)).astype(np.float64), -20.0)
    logits -= logits.max(1, keepdims=True)
    some = np.sort(rng.permutation(len(p))[: max(NUMBERS // classes, 1000)])
    bare = _fit(logits[some], codes[some], _Form("none", classes))
    best, paid, chosen = bare, 0.0, _Form("none", classes)
    worse = 0
    for form in _forms(logits[some], codes[some], classes):
        weights, loss = _fit(logits[some], codes[some], form)
        price = CHANCE + form.choice + 0.5 * max(form.numbers - 1, 0) * np.log(len(some))
        pays = bare[1] - loss - price
        if pays > paid and _tellable(form, weights, logits[some]):
            best, paid, chosen, worse = (weights, loss), float(pays), form, 0
        elif form.pairs is not None and (worse := worse + 1) == 3:
            break  # more pairs will not pay
    matrix = chosen.matrix(best[0][1 + classes :])
    clean = _clean(logits, best[0], classes)
    true = clean * matrix[:, codes].T
    true /= np.maximum(true.sum(1, keepdims=True), 1e-300)
    wrong = np.clip(1 - true[np.arange(len(p)), codes], 0.0, 1.0)
    share = float((clean @ (1 - np.diag(matrix))).mean())
    return Noise(chosen.name, share, paid, matrix, float(clean.max(1).mean()), wrong, true)


def _forms(logits: Array, codes: Array, classes: int) -> Iterator["_Form"]:
    """The explanations tried, simple ones first; of pairs those through which most rows seem to have gone."""
    if classes < 2:
        return
    yield _Form("even", classes)
    yield _Form("by class", classes)
    if not 2 < classes <= CLASSES:
        return
    weights, _ = _fit(logits[:4000], codes[:4000], _Form("by pair", classes))
    flow = _clean(logits, weights, classes).sum(0)[:, None] * _Form("by pair", classes).matrix(weights[1 + classes :])
    np.fill_diagonal(flow, 0.0)
    order = np.argsort(-flow, axis=None)
    count = 1
    while count < classes * (classes - 1):
        pairs = np.zeros(flow.size, bool)
        pairs[order[:count]] = True
        yield _Form("by pair", classes, pairs.reshape(flow.shape))
        count *= 2
    yield _Form("by pair", classes)


def _tellable(form: "_Form", weights: Array, logits: Array) -> bool:
    """Whether a form can be told from overlap at all.

    Each class must be written as itself more often than as any other (Natarajan et al.), and where classes that overlap in
    pairs could pass for labels swapped in pairs, what is left without the noise must tell the classes apart.
    """
    matrix = form.matrix(weights[1 + form.classes :])
    others = matrix - np.diag(np.diag(matrix))
    if not (np.diag(matrix) > others.max(1)).all():
        return False
    return form.name != "by pair" or float(_clean(logits, weights, form.classes).max(1).mean()) >= CRISP


@dataclass(frozen=True, slots=True, eq=False)
class _Form:
    """How many numbers T has, and T from them."""

    name: str
    classes: int
    pairs: Array | None = None  # bool (C, C): which may be taken for which, where not all

    @property
    def free(self) -> Array:
        return ~np.eye(self.classes, dtype=bool) if self.pairs is None else self.pairs

    @property
    def numbers(self) -> int:
        return {"none": 0, "even": 1, "by class": self.classes, "by pair": int(self.free.sum())}[self.name]

    @property
    def choice(self) -> float:
        """The price of having chosen pairs among all."""
        if self.pairs is None:
            return 0.0
        every = self.classes * (self.classes - 1)
        return float(gammaln(every + 1) - gammaln(self.numbers + 1) - gammaln(every - self.numbers + 1))

    def matrix(self, given: Array) -> Array:
        count = self.classes
        if self.name == "none":
            return np.eye(count)
        if self.name == "by pair":
            found = np.where(np.eye(count, dtype=bool), 0.0, -np.inf)
            found[self.free] = given
            found = np.exp(found - found.max(1, keepdims=True))
            return np.asarray(found / found.sum(1, keepdims=True))
        rate = np.broadcast_to(1 / (1 + np.exp(-np.clip(given, -30, 30))), (count,))
        return np.diag(1 - rate) + rate[:, None] * self.free / (count - 1)

    def slope(self, matrix: Array, told: Array) -> Array:
        """Of the negative log likelihood, by the numbers; `told` (C, C) are expected rows of class z labelled y."""
        if self.name == "none":
            return np.zeros(0)
        if self.name == "by pair":
            return np.asarray((matrix * told.sum(1, keepdims=True) - told)[self.free])
        rate, kept = 1 - np.diag(matrix), np.diag(told)
        found = rate * kept - (1 - rate) * (told.sum(1) - kept)
        return np.asarray(found if self.name == "by class" else found.sum(keepdims=True))

    def start(self, rate: float) -> Array:
        odds = np.log(rate / (1 - rate))
        return np.full(self.numbers, odds - (np.log(self.classes - 1) if self.name == "by pair" else 0.0))


def _clean(logits: Array, weights: Array, classes: int) -> Array:
    found = weights[0] * logits + weights[1 : 1 + classes]
    found = np.exp(found - found.max(1, keepdims=True))
    return np.asarray(found / found.sum(1, keepdims=True))


def _fit(logits: Array, codes: Array, form: _Form) -> tuple[Array, float]:
    """Weights (a, b, numbers of T), and the negative log likelihood there."""
    from scipy.optimize import minimize

    count, classes = logits.shape
    label = np.zeros((count, classes))
    label[np.arange(count), codes] = 1.0
    pull = PULL * np.eye(classes) if form.name != "none" else np.zeros((classes, classes))

    def parts(weights: Array) -> tuple[Array, Array, Array, Array]:
        matrix = form.matrix(weights[1 + classes :])
        clean = _clean(logits, weights, classes)
        joint = clean * matrix[:, codes].T
        return matrix, clean, joint, np.maximum(joint.sum(1), 1e-300)

    def loss(weights: Array) -> tuple[float, Array]:
        matrix, clean, joint, each = parts(weights)
        true = joint / each[:, None]
        miss = clean - true
        shift = np.append(weights[0] - 1, weights[1 : 1 + classes])
        expected = true.T @ label + pull
        value = (
            -np.log(each).sum() - PULL * np.log(np.diag(matrix)).sum() * (form.name != "none") + 0.05 * (shift**2).sum()
        )
        slope = np.append((miss * logits).sum(), miss.sum(0)) + 0.1 * shift
        return value / count, np.append(slope, form.slope(matrix, expected)) / count

    ends: list[Any] = []
    starts = {"none": ((0.1, 1.0),), "by pair": ((0.1, 1.5),)}.get(form.name, ((0.02, 1.0), (0.3, 2.5), (0.4, 6.0)))
    for rate, sharper in starts:  # from little noise and from much
        start = np.concatenate([[sharper], np.zeros(classes), form.start(rate)])
        ends.append(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 80}))
    best = min(ends, key=lambda one: float(one.fun))
    return best.x, float(-np.log(parts(best.x)[3]).sum())


@dataclass(frozen=True, slots=True)
class WildTargets:
    """What `fitted_wild` found of numbers."""

    share: float  # of targets that have nothing to do with their row
    gain: float
    wrong: Array  # (N,)


def fitted_wild(said: Array, target: Array) -> WildTargets:
    """Numbers that contradict their row by far: (N,) predictions and targets, both in robust units.

    Residuals are a Student t around 0 whose width follows the prediction, and with a share ε targets are drawn from all
    targets whatever the row. Lange, Little & Taylor, Robust Statistical Modeling Using the t Distribution (1989), section 2.
    """
    from scipy.optimize import minimize
    from scipy.stats import t as student

    residual = target - said
    width = _local_width(said, residual)
    any_target = _density(target)

    def parts(weights: Array) -> tuple[Array, Array]:
        scale = width * np.exp(np.clip(weights[0], -10, 10))
        core = student.pdf(residual / scale, 1.5 + np.exp(np.clip(weights[1], -10, 10))) / scale
        return core, any_target

    def loss(weights: Array) -> float:
        core, other = parts(weights)
        rate = _share(weights[2]) if len(weights) == 3 else 0.0
        return -float(np.log(np.maximum((1 - rate) * core + rate * other, 1e-300)).sum())

    bare = minimize(loss, np.array([0.0, 1.0]), method="Nelder-Mead", options={"maxiter": 150})
    tries = [
        minimize(loss, np.array([0.0, 1.5, np.log(rate / (1 - rate))]), method="Nelder-Mead", options={"maxiter": 300})
        for rate in (0.01, 0.2)
    ]
    best = min(tries, key=lambda one: float(one.fun))
    gain = float(bare.fun - best.fun) - 0.5 * np.log(len(target)) - CHANCE
    core, other = parts(best.x)
    rate = _share(best.x[2])
    wrong = rate * other / np.maximum((1 - rate) * core + rate * other, 1e-300)
    return WildTargets(rate if gain > 0 else 0.0, max(gain, 0.0), np.clip(wrong, 0.0, 1.0))


def _share(odds: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def _local_width(said: Array, residual: Array) -> Array:
    """The median absolute residual of rows with a like prediction, as a standard deviation."""
    order = np.argsort(said, kind="stable")
    pieces = np.array_split(order, int(np.clip(len(order) // 100, 1, 20)))
    widths = np.array([1.4826 * np.median(np.abs(residual[piece])) for piece in pieces])
    centres = np.array([np.median(said[piece]) for piece in pieces])
    floor = max(1e-3, 0.1 * float(np.median(widths)))
    return np.asarray(np.interp(said, centres, np.maximum(widths, floor)))


def _density(target: Array) -> Array:
    """How densely different targets lie around each of them: a histogram of 50 equal steps, one added to each.

    A value that many rows share, as a ceiling does, counts once.
    """
    different = np.unique(target)
    bars, edges = np.histogram(different, 50)
    place = np.clip(np.searchsorted(edges, target, side="right") - 1, 0, 49)
    return np.asarray((bars[place] + 1) / (len(different) + 50) / max(edges[1] - edges[0], 1e-12))
