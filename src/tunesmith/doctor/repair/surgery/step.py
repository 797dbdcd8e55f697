"""step: the usual training step in place of the program's own.

Does      zero_grad, forward, loss, backward, clip, update.
Mends     a step that leaves out or adds something.
Limits    what is meant to be in the step is left out too: put it back one thing at a time.
Source    the experiment `usual_step`.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "step",
    "usual_step",
    also=(
        "optim.missing_zero_grad",
        "optim.unregistered_params",
        "lr.too_low",
        "optim.lost_state",
        "numerics.unsafe_op",
        "loss.unbalanced_tasks",
    ),
    lines=lambda before, after, values: [
        "optimizer.zero_grad()",
        "loss = loss_fn(model(xb), yb)",
        "loss.backward()",
        "optimizer.step()",
    ],
)
