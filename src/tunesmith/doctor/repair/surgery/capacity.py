"""capacity: a plain net of decent size in place of the program's own.

Does      a net for the same inputs and outputs, trained by the program's optimizer.
Mends     a net that cannot hold what there is to learn, or that cuts its own gradient.
Limits    the net is another one then: the last thing to try, and never where another change does.
Source    the experiment `more_capacity`.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "capacity",
    "more_capacity",
    also=("model.missing_nonlinearity", "model.batch_leak", "optim.unregistered_params", "fit.underfit"),
    lines=lambda before, after, values: ["model = …  # wider: at least four times the width of its narrowest layer"],
)
