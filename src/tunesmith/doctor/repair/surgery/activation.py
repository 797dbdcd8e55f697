"""activation: ReLU inside, or a norm before each activation.

Does      ReLU in place of sigmoids and tanhs inside, the weights drawn anew to fit; in deep stacks a layer norm before each activation.
Mends     gradients that vanish through bounded layers, units that are pinned.
Limits    activations that are functions inside a forward stay.
Source    the experiment `swapped_activation`; Glorot & Bengio, AISTATS 2010, section 3.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "activation",
    "swapped_activation",
    also=("grad.vanishing", "act.saturated", "loss.plateau_at_chance", "grad.exploding", "init.bad_scale"),
    lines=lambda before, after, values: [
        "model = …  # nn.ReLU() in place of hidden Sigmoid and Tanh, or nn.LayerNorm before each activation",
        "tunesmith.initialise(model)",
    ],
)
