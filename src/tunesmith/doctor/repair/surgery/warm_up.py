"""warm_up: the rate rises from nothing over the first tenth of the updates.

Does      a linear warm-up, where the program has no schedule yet.
Mends     first updates that are too long for fresh weights and empty moments.
Limits    of a loop that steps by itself the updates are paced from outside.
Source    the experiment `warm_up`; rules of thumb, schedule.warmup.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "warm_up",
    "warm_up",
    also=("loss.spike", "lr.too_high", "loss.diverging"),
    lines=lambda before, after, values: [
        f"warm = lambda step: min(1.0, (step + 1) / {values['length']})",
        "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, warm)  # scheduler.step() after every update",
    ],
)
