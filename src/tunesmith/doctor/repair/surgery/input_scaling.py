"""input_scaling: inputs standardised by the training rows, inside the model.

Does      subtracts the mean of the training rows and divides by their spread, for tables by column, for pictures by channel.
Mends     features of very different or very large scale.
Limits    inputs that are one tensor of floating numbers.
Source    the experiment `input_scaling`; LeCun et al., Efficient BackProp (1998), section 4.3.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "input_scaling",
    "input_scaling",
    also=("act.saturated", "act.dead_relu", "grad.exploding", "loss.diverging", "data.outliers", "lr.too_high"),
    lines=lambda before, after, values: [
        "mean, spread = X_train.mean(0), X_train.std(0)  # of pictures by channel; spread 0 as 1",
        "model.register_forward_pre_hook(lambda module, given: ((given[0] - mean) / spread,))",
    ],
)
