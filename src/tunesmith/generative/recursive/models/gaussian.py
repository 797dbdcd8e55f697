"""A normal law fitted to draws from itself. Shumailov et al., arXiv:2305.17493, section 4."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from tunesmith.generative.recursion import Estimator, gaussian_replaced
from tunesmith.generative.recursion_real import gaussian_path
from tunesmith.generative.recursive import asking
from tunesmith.generative.recursive.models import MODELS
from tunesmith.generative.recursive.subject import Array, Plan, Subject
from tunesmith.records import RecipeError

FAR = 2.0  # true deviations from the mean, beyond which is the tail; assumption


@dataclass(frozen=True, slots=True)
class Normal:
    """One law a replicate: means and variances (R,)."""

    mean: Array
    variance: Array

    def sample(self, n: int, seed: int) -> Array:
        """(R, n)."""
        drawn = np.random.default_rng(seed).standard_normal((len(self.mean), n))
        return self.mean[:, None] + np.sqrt(self.variance)[:, None] * drawn


@MODELS.add("gaussian")
def gaussian(estimator: Estimator = "unbiased", variance: float = 1.0) -> Subject:
    """Draws of a normal law of mean 0, fitted by the sample mean and the "unbiased" or "mle" variance.

    Measures `log_variance`, `variance`, `mean_square` (of the fitted mean) and `tail` (mass farther than two true deviations from its
    own mean, over what is due). Closed forms: of the log variance where each generation is replaced; else of the expected variance and mean square.
    """
    if estimator not in ("unbiased", "mle"):
        raise RecipeError(f"estimator = {estimator!r}: unbiased or mle was expected")
    return _subject(1, estimator, asking.variance("variance", variance))


def _subject(replicates: int, estimator: Estimator, variance: float) -> Subject:
    deviation = float(np.sqrt(variance))

    def real(n: int, seed: int) -> Array:
        return Normal(np.zeros(replicates), np.full(replicates, variance)).sample(n, seed)

    def fit(data: Array, seed: int) -> Normal:
        if data.shape[1] < 2:
            raise RecipeError(f"n = {data.shape[1]}: a variance takes 2 draws or more in a generation")
        return Normal(data.mean(axis=1), data.var(axis=1, ddof=int(estimator == "unbiased")))

    def measure(model: Normal, seed: int) -> Mapping[str, Array]:
        return {
            "log_variance": np.log(model.variance),
            "variance": model.variance,
            "mean_square": model.mean**2,
            "tail": ndtr(-FAR * deviation / np.sqrt(model.variance)) / ndtr(-FAR),
        }

    def expected(plan: Plan) -> Mapping[str, Array]:
        if plan.regime == "replace":  # the mean of the variance is carried by ever fewer runs: see gaussian_replaced
            steps = range(1, plan.generations + 1)
            path = [gaussian_replaced(i, plan.n, variance, estimator=estimator).log_variance for i in steps]
            return {"log_variance": np.array(path)}
        fitted, squares = gaussian_path(
            plan.regime, plan.generations, plan.n, variance, estimator=estimator, share=plan.share
        )
        return {"variance": fitted, "mean_square": squares}

    return Subject(
        name="gaussian",
        fit=fit,
        real=real,
        measure=measure,
        join=lambda parts: np.concatenate(parts, axis=1),
        expected=expected,
        many=lambda count: _subject(count, estimator, variance),
        settings={"estimator": estimator, "variance": variance},
    )
