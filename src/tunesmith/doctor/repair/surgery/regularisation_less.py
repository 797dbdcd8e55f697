"""regularisation_less: no dropout and no weight decay.

Does      both off.
Mends     a net that is held back from its training rows.
Limits    a penalty inside loss or step is mended by `loss` and `step`.
Source    the experiment `no_regulariser`.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "regularisation_less",
    "no_regulariser",
    also=("fit.underfit",),
    lines=lambda before, after, values: [
        "for module in model.modules():",
        "    if isinstance(module, nn.Dropout): module.p = 0.0",
        'for group in optimizer.param_groups: group["weight_decay"] = 0.0',
    ],
    anew=False,
)
