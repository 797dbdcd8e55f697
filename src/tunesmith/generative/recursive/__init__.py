"""Generations trained on the output of the one before: a simulator for any model that can be fitted and sampled."""

from tunesmith.generative.recursion_real import REGIMES, Regime
from tunesmith.generative.recursive.measuring import measures_against
from tunesmith.generative.recursive.models import MODELS
from tunesmith.generative.recursive.result import Recursion
from tunesmith.generative.recursive.simulating import simulate
from tunesmith.generative.recursive.subject import Fit, Model, Plan, Subject

__all__ = [
    "MODELS",
    "REGIMES",
    "Fit",
    "Model",
    "Plan",
    "Recursion",
    "Regime",
    "Subject",
    "measures_against",
    "simulate",
]
