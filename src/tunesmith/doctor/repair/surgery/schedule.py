"""schedule: a constant rate.

Does      the rate its schedule starts from, all along.
Mends     a schedule that decays to nothing early, never warms up, or restarts too wildly.
Limits    a constant rate is where to begin: lay a schedule over the updates of the run when it learns.
Source    the experiment `flat_schedule`; Karpathy, A Recipe for Training Neural Networks (2019).
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "schedule",
    "flat_schedule",
    also=("lr.too_low", "lr.too_high", "optim.scheduler_before_optimizer"),
    lines=lambda before, after, values: ["scheduler = None  # a constant rate; leave out scheduler.step()"],
    anew=False,
)
