"""Generators and embeddings: what they lack, measured; and what keeps them from lacking it."""

from tunesmith.generative.cures import CURES
from tunesmith.generative.cures.alignment_uniformity import alignment_uniformity
from tunesmith.generative.cures.barlow_twins import barlow_twins
from tunesmith.generative.cures.byol import MomentumTarget, byol, target_momentum
from tunesmith.generative.cures.encoders import mode_regulariser, noise_reconstruction, paired
from tunesmith.generative.cures.gradient_penalty import gradient_penalty, r1
from tunesmith.generative.cures.heads import predictor, projector
from tunesmith.generative.cures.hinge import Hinge
from tunesmith.generative.cures.info_nce import info_nce
from tunesmith.generative.cures.least_squares import LeastSquares
from tunesmith.generative.cures.matching import cycle_loss, identity_loss, pixel_loss
from tunesmith.generative.cures.minibatch_discrimination import MinibatchDiscrimination
from tunesmith.generative.cures.nonsaturating import Minimax, NonSaturating
from tunesmith.generative.cures.packing import Packed, pack
from tunesmith.generative.cures.simsiam import simsiam
from tunesmith.generative.cures.spectral_norm import spectral_norm
from tunesmith.generative.cures.unrolled import unrolled
from tunesmith.generative.cures.vicreg import covariance_term, variance_term, vicreg
from tunesmith.generative.cures.wasserstein import Wasserstein, clip_weights
from tunesmith.generative.embedding.probe import Probe, embed, linear_probe
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
from tunesmith.generative.measures.common_direction import common_direction
from tunesmith.generative.measures.effective_rank import effective_rank
from tunesmith.generative.measures.embedding_health import EmbeddingHealth, embedding_health
from tunesmith.generative.measures.fid import Frechet, frechet_at_infinity, frechet_distance, frechet_of_moments
from tunesmith.generative.measures.inference import Inference, InferenceGap, inference, inference_gap
from tunesmith.generative.measures.kid import Kernel, kernel_distance
from tunesmith.generative.measures.lost_mass import Lost, lost_mass
from tunesmith.generative.measures.lpips import Perceptual, lpips_distance, perceptual_distance
from tunesmith.generative.measures.missing_modes import Missing, missing_modes
from tunesmith.generative.measures.modes import Modes, grid, mixture, modes, quality_ceiling, ring
from tunesmith.generative.measures.pairwise import Apart, pairwise_distance, pairwise_ratio
from tunesmith.generative.measures.prdc import Prdc, expected_coverage, prdc
from tunesmith.generative.measures.shared_rank import shared_rank
from tunesmith.generative.measures.sphere import alignment, uniformity
from tunesmith.generative.measures.spread import normalised_spread, raw_spread

__all__ = [
    "CURES",
    "MEASURES",
    "Apart",
    "Birthday",
    "Divergences",
    "EmbeddingHealth",
    "Frechet",
    "Hinge",
    "Inference",
    "InferenceGap",
    "Kernel",
    "LeastSquares",
    "Lost",
    "MinibatchDiscrimination",
    "Minimax",
    "Missing",
    "Modes",
    "MomentumTarget",
    "NonSaturating",
    "Packed",
    "Perceptual",
    "Prdc",
    "Probe",
    "Wasserstein",
    "alignment",
    "alignment_uniformity",
    "barlow_twins",
    "birthday",
    "byol",
    "class_correlation",
    "class_divergence",
    "clip_weights",
    "closest_pairs",
    "common_direction",
    "covariance_term",
    "cycle_loss",
    "effective_rank",
    "embed",
    "embedding_health",
    "expected_coverage",
    "frechet_at_infinity",
    "frechet_distance",
    "frechet_of_moments",
    "gradient_penalty",
    "grid",
    "identity_loss",
    "inception_features",
    "inception_score",
    "inference",
    "inference_gap",
    "info_nce",
    "kernel_distance",
    "label_counts",
    "linear_probe",
    "lost_mass",
    "lpips_distance",
    "missing_modes",
    "mixture",
    "mode_regulariser",
    "mode_score",
    "modes",
    "nearest_distances",
    "noise_reconstruction",
    "normalised_spread",
    "pack",
    "paired",
    "pairwise_distance",
    "pairwise_ratio",
    "perceptual_distance",
    "pixel_loss",
    "prdc",
    "predictor",
    "projector",
    "quality_ceiling",
    "r1",
    "raw_spread",
    "ring",
    "shared_rank",
    "simsiam",
    "spectral_norm",
    "target_momentum",
    "uniformity",
    "unrolled",
    "variance_term",
    "vicreg",
]
