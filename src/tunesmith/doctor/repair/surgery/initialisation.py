"""initialisation: weights drawn anew.

Does      draws the weights by the activation that follows each layer, or as torch draws them.
Mends     signals that grow or vanish through the layers, units that start alike or asleep.
Limits    a pretrained net loses what it knows: the scores decide.
Source    the experiment `fresh_init`; He et al., arXiv:1502.01852, section 2.2.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "initialisation",
    "fresh_init",
    also=(
        "init.symmetric",
        "act.dead_relu",
        "act.saturated",
        "grad.vanishing",
        "grad.exploding",
        "loss.plateau_at_chance",
    ),
    lines=lambda before, after, values: ["tunesmith.initialise(model)  # before the optimizer is made"],
)
