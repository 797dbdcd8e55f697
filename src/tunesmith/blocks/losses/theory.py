"""The member of the catalogue that computes what a loss module of torch does, for what is known of it at the start."""

from typing import Any

from torch import nn

from tunesmith.records import ModelError


def counterpart(module: nn.Module) -> Any:
    """Our member with the module's settings. Raises `ModelError` where the catalogue has none, or the mean is not taken."""
    from tunesmith.blocks.losses import LOSSES  # late: the catalogue's room imports `adopt`

    found = None
    if module.reduction == "mean":
        found = _named(module)
    if found is None:
        raise ModelError(
            f"no theory tells what {type(module).__name__} is at the start, with the settings {_settings(module)}; measure "
            "it on constant outputs"
        )
    name, settings = found
    return LOSSES[name](**settings)


def _named(module: nn.Module) -> tuple[str, dict[str, Any]] | None:
    weight = getattr(module, "weight", None)
    match module:
        case nn.CrossEntropyLoss():
            held = {"label_smoothing": module.label_smoothing, "ignore_index": module.ignore_index}
            return "cross_entropy", {"class_weights": weight, **held}
        case nn.BCEWithLogitsLoss() if weight is None:
            return "binary_cross_entropy", {"pos_weight": module.pos_weight}
        case nn.MultiMarginLoss() if weight is None and module.p in (1, 2):
            return "hinge", {"margin": module.margin, "power": module.p}
        case nn.PoissonNLLLoss() if module.log_input:
            return "poisson_nll", {"full": module.full}
        case nn.SmoothL1Loss() if module.beta > 0:
            return "smooth_l1", {"beta": module.beta}
        case nn.HuberLoss():
            return "huber", {"delta": module.delta}
        case nn.MSELoss():
            return "mse", {}
        case nn.L1Loss():
            return "mae", {}
    return None


def _settings(module: nn.Module) -> str:
    names = ("reduction", "weight", "p", "log_input")
    return ", ".join(f"{name} {getattr(module, name)}" for name in names if hasattr(module, name))
