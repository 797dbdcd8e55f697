"""normalisation_swapped: group or layer norm in place of batch norm.

Does      exchanges each batch norm.
Mends     statistics of few rows, statistics that never move, rows that leak into each other.
Limits    nets with batch norm.
Source    the experiment `other_norm`; Wu & He, arXiv:1803.08494.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "normalisation_swapped",
    "other_norm",
    also=("batch.too_small", "batch.coupled_loss", "model.train_eval_mode", "run.crash"),
    lines=lambda before, after, values: ['tunesmith.swap_norm(model, "group")  # before the optimizer is made'],
    crashed=True,
)
