"""target_scaling: targets standardised by the training rows, answers in their own units.

Does      the loss sees standardised targets, the model answers in the units of the targets.
Mends     targets far from mean 0 and spread 1.
Limits    regressions alone.
Source    the experiment `target_scaling`.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "target_scaling",
    "target_scaling",
    also=("loss.diverging", "grad.exploding", "data.outliers", "loss.unbalanced_tasks", "lr.too_high"),
    lines=lambda before, after, values: [
        "mean, spread = y_train.mean(0), y_train.std(0)",
        "plain, loss_fn = loss_fn, lambda out, y: plain((out - mean) / spread, (y - mean) / spread)",
        "model.register_forward_hook(lambda module, given, out: out * spread + mean)",
    ],
)
