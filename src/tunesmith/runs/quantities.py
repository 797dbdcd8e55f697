"""The names of what is measured in a run, and what a number of each means."""

from collections.abc import Mapping

QUANTITIES: Mapping[str, str] = {
    # of each update
    "loss": "loss; of a batch (per update), of an epoch, or of a held part; `where` is a term of a sum of losses",
    "lr": "learning rate of the first parameter group; `where` a further group",
    "grad_norm": "length of the gradient before clipping; `where` a layer",
    "batch_rows": "rows of the batch",
    "epoch": "epochs since the start",
    # of the weights
    "weight_norm": "length of the weights of a layer",
    "update_ratio": "length of an update over the length of the weights of a layer",
    "update_norm": "length of an update of a layer",
    "moved": "length of the way from the start over the length of the weights of a layer",
    "adam_update_rms": "root mean square of the update m / (sqrt(v) + eps) of Adam, bias-corrected; near 1 is a coordinate at full speed",
    "adam_update_tail": "share of coordinates whose update m / sqrt(v) is beyond 0.9 either way",
    "adam_surprise": "root mean square of g / sqrt(v): above 1 the second moment lags behind (StableAdamW)",
    "adam_eps_share": "share of coordinates whose sqrt(v) is below eps",
    # of the gradient
    "gradient_cosine": "cosine of two successive gradients",
    "noise_scale": "simple gradient noise scale, in rows (McCandlish et al., arXiv:1812.06162, eq. 2.9)",
    "hessian_top": "largest eigenvalue of the Hessian of the loss on one batch",
    "zero_gradient": "share of parameters of a layer with gradient exactly 0, or without any (1)",
    # of the activations, on training batches
    "activation_mean": "mean output of a layer",
    "activation_std": "standard deviation of the outputs of a layer",
    "activation_spread": "standard deviation over rows of the outputs of a layer, averaged over units, as a share of activation_std",
    "dead_fraction": "share of the units of an activation layer that were 0 on every row seen since the last value",
    "saturated_fraction": "share of the units of a bounded activation that stay within 1 % of an end on nearly every row",
    "gradient_std": "standard deviation of the gradient at the outputs of a layer",
    # of the inputs and outputs
    "input_mean": "mean of the model's inputs",
    "input_std": "standard deviation of the model's inputs",
    "input_max": "largest absolute input",
    "input_column_ratio": "largest over smallest standard deviation of the columns of a flat input",
    "output_spread": "standard deviation over rows of the outputs, averaged over outputs",
    "output_scale": "root mean square of the outputs",
    "confidence": "mean probability of the answer given, of outputs that are classes",
    "confidence_high": "share of answers given with more than 0.99",
    "output_entropy": "mean entropy of the answers in nats",
    "predicted_share": "share of a class among the answers; `where` the class",
    "label_share": "share of a class among the labels; `where` the class",
    "label_repeat": "share of neighbours in a batch with equal labels over what chance gives",
    "label_entropy": "entropy of the labels of a batch in nats",
    "class_loss": "loss of the rows of a class; `where` the class",
    "target_mean": "mean of the targets",
    "target_std": "standard deviation of the targets",
    # of the machine
    "data_wait": "share of the time spent waiting for data",
    "seconds_per_step": "seconds an update takes",
    "memory_mb": "peak memory of the process or the device",
    "live_bytes": "bytes of tensors alive after an update",
    "live_tensors": "tensors alive after an update",
    "watch_share": "share of the time that the watch itself took",
    # scores
    "score": "the main metric, higher is better",
    "accuracy": "share of right answers",
    "error": "share of wrong answers",
}
LOWER_IS_BETTER = frozenset({"loss", "error", "mae", "rmse", "mse", "log_loss", "perplexity", "wer", "cer"})
