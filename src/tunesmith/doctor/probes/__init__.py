"""Passive measurements and short active experiments: the curvature of a loss, and the noise of its gradient.

All of them look at a model with any loss(outputs, target) over fixed batches, a list of (x, y), in evaluation mode, and
leave it bit for bit as it was. They take float32 and float64, and never build the Hessian.
"""

from tunesmith.doctor.probes.ball import epsilon_sharpness
from tunesmith.doctor.probes.hessian import HessianEnds, hessian_ends, hessian_trace
from tunesmith.doctor.probes.keskar import keskar_sharpness
from tunesmith.doctor.probes.line import Line, loss_on_line
from tunesmith.doctor.probes.noise_estimate import NoiseScale, noise_scale_of, two_batch_estimates
from tunesmith.doctor.probes.noise_scale import noise_scale
from tunesmith.doctor.probes.sharpness import RESCALING, Sharpness

__all__ = [
    "RESCALING",
    "HessianEnds",
    "Line",
    "NoiseScale",
    "Sharpness",
    "epsilon_sharpness",
    "hessian_ends",
    "hessian_trace",
    "keskar_sharpness",
    "loss_on_line",
    "noise_scale",
    "noise_scale_of",
    "two_batch_estimates",
]
