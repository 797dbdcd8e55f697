"""output_activation: raw outputs at the end, and the loss that takes them.

Does      takes the last activation away; exchanges NLL for cross-entropy, BCE for its form with logits.
Mends     outputs that cannot reach their targets, or that are squashed twice.
Limits    an activation that is a function inside a forward stays.
Source    the experiment `swapped_output`.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "output_activation",
    "swapped_output",
    also=("loss.mismatch", "loss.plateau_at_chance", "collapse.constant_prediction", "numerics.unsafe_op"),
    lines=lambda before, after, values: [
        "model = …  # without its last activation",
        f"loss_fn = nn.{type(after.loss_fn).__name__}()  # takes raw outputs",
    ],
)
