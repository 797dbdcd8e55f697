"""Where a model's error comes from: bias, variance and noise by refits; the error against rows of training data.

    error = bias² + variance + noise

Imports no torch.
"""

from tunesmith.doctor.bias_variance.curve import LearningCurve, Outlook, curve_of, sizes_of
from tunesmith.doctor.bias_variance.decomposition import ErrorParts, decomposed
from tunesmith.doctor.bias_variance.noise import Noise, noise_in, unclaimed
from tunesmith.doctor.bias_variance.numbers import Number
from tunesmith.doctor.bias_variance.refits import Refit, bootstrap, disjoint, fixed_order, predictions_of, refit_of
from tunesmith.doctor.bias_variance.units import equal_units

__all__ = [
    "ErrorParts",
    "LearningCurve",
    "Noise",
    "Number",
    "Outlook",
    "Refit",
    "bootstrap",
    "curve_of",
    "decomposed",
    "disjoint",
    "equal_units",
    "fixed_order",
    "noise_in",
    "predictions_of",
    "refit_of",
    "sizes_of",
    "unclaimed",
]
