"""batch: batches of another size.

Does      an eighth or eight times the rows in each batch, over the same rows.
Mends     too few updates, or updates that are mostly noise; answers that collapsed to one under such noise.
Limits    the rate is as it was: it may want to be tuned with the batch.
Source    the experiments `smaller_batch` and `larger_batch`.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "batch",
    "smaller_batch",
    "larger_batch",
    also=("fit.too_few_epochs", "model.bad_normalization", "lr.too_low", "collapse.constant_prediction"),
    lines=lambda before, after, values: [f"batch_size = {after.batch_size}  # was {before.batch_size}"],
    anew=False,
)
