"""epochs: four times the epochs.

Does      trains four times as long; a schedule gives way to a constant rate.
Mends     a run that ends while it still improves.
Limits    only short runs; costs four trainings.
Source    the experiment `longer_run`.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "epochs",
    "longer_run",
    also=("batch.too_large",),
    lines=lambda before, after, values: [f"epochs = {after.epochs}  # was {before.epochs}"],
    anew=False,
)
