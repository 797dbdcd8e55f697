"""zero_grad: gradients cleared after each update.

Does      clears them around the program's own step or loop.
Mends     updates that repeat all earlier ones.
Limits    only where the program steps or loops by itself.
Source    the experiment `gradients_cleared`.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "zero_grad",
    "gradients_cleared",
    lines=lambda before, after, values: ["optimizer.zero_grad()  # once an update, before backward"],
    invariant=True,
    anew=False,
)
