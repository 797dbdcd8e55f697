"""Generators and embeddings: what they lack, measured."""

from tunesmith.generative.inception import inception_features
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.measures.birthday import Birthday, birthday, closest_pairs, nearest_distances
from tunesmith.generative.measures.class_histogram import (
    Divergences,
    class_correlation,
    class_divergence,
    label_counts,
)
from tunesmith.generative.measures.class_scores import inception_score, mode_score
from tunesmith.generative.measures.effective_rank import effective_rank
from tunesmith.generative.measures.embedding_health import EmbeddingHealth, embedding_health
from tunesmith.generative.measures.fid import Frechet, frechet_at_infinity, frechet_distance, frechet_of_moments
from tunesmith.generative.measures.inference import Inference, InferenceGap, inference, inference_gap
from tunesmith.generative.measures.kid import Kernel, kernel_distance
from tunesmith.generative.measures.lpips import Perceptual, lpips_distance, perceptual_distance
from tunesmith.generative.measures.missing_modes import Missing, missing_modes
from tunesmith.generative.measures.modes import Modes, grid, mixture, modes, quality_ceiling, ring
from tunesmith.generative.measures.pairwise import Apart, pairwise_distance, pairwise_ratio
from tunesmith.generative.measures.prdc import Prdc, expected_coverage, prdc
from tunesmith.generative.measures.sphere import alignment, uniformity
from tunesmith.generative.measures.spread import normalised_spread, raw_spread

__all__ = [
    "MEASURES",
    "Apart",
    "Birthday",
    "Divergences",
    "EmbeddingHealth",
    "Frechet",
    "Inference",
    "InferenceGap",
    "Kernel",
    "Missing",
    "Modes",
    "Perceptual",
    "Prdc",
    "alignment",
    "birthday",
    "class_correlation",
    "class_divergence",
    "closest_pairs",
    "effective_rank",
    "embedding_health",
    "expected_coverage",
    "frechet_at_infinity",
    "frechet_distance",
    "frechet_of_moments",
    "grid",
    "inception_features",
    "inception_score",
    "inference",
    "inference_gap",
    "kernel_distance",
    "label_counts",
    "lpips_distance",
    "missing_modes",
    "mixture",
    "mode_score",
    "modes",
    "nearest_distances",
    "normalised_spread",
    "pairwise_distance",
    "pairwise_ratio",
    "perceptual_distance",
    "prdc",
    "quality_ceiling",
    "raw_spread",
    "ring",
    "uniformity",
]
