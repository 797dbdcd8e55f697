"""loss: the usual loss of the task.

Does      cross-entropy for classes, with logits for yes and no, mean squared error for numbers, on the outputs as they are.
Mends     a loss that asks for something else, of the wrong sign, over wrongly paired rows, or by an unsafe formula.
Limits    shapes of outputs and targets must fit it.
Source    the experiment `usual_loss`.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith.doctor.repair.surgery.catalogue import of_experiment
from tunesmith.records import Program


def _lines(before: Program, after: Program, values: Mapping[str, Any]) -> list[str]:
    name = getattr(after.loss_fn, "__name__", "")
    named = {
        "classes": "loss_fn = nn.CrossEntropyLoss()  # of raw outputs (N, C) and labels (N,)",
        "yes_no": "loss_fn = lambda out, y: F.binary_cross_entropy_with_logits(out.reshape(-1), y.reshape(-1).float())",
    }
    return [named.get(name, "loss_fn = lambda out, y: F.mse_loss(out.reshape(y.shape), y)")]


of_experiment(
    "loss",
    "usual_loss",
    also=(
        "loss.shape_broadcast",
        "numerics.unsafe_op",
        "loss.nonfinite",
        "loss.wrong_reduction",
        "loss.unbalanced_tasks",
        "data.label_out_of_range",
        "output.wrong_activation",
        "run.crash",
    ),
    lines=_lines,
    crashed=True,
)
