"""One dial for the dropout of a whole net, whoever wrote it."""

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from tunesmith.records import ModelError

HELD = ("dropout", "drop_rate")  # shares that recurrent layers, attention and the nets of timm keep as a number


def dropouts(model: nn.Module) -> list[tuple[str, nn.Module, list[str]]]:
    """The layers that drop: name, layer, and the attributes that hold the rate."""
    found = []
    for name, layer in model.named_modules():
        held = ["p"] if isinstance(layer, _DropoutNd) else []
        held += [one for one in HELD if type(vars(layer).get(one)) is float]
        found += [(name or type(model).__name__, layer, held)] if held else []
    return found


def set_dropout(model: nn.Module, rate: float) -> list[str]:
    """Gives every dropout layer the rate, and every layer that keeps a rate of its own; their names.

    Raises `ModelError` for a rate above 0 that nothing in the net takes.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Dropout2d(0.1))
    >>> set_dropout(net, 0.0), net[1].p
    (['1', '2'], 0.0)
    """
    found = dropouts(model)
    for _, layer, held in found:
        for one in held:
            setattr(layer, one, rate)
    if rate and not found:
        raise ModelError(
            f"model.dropout = {rate:g}, but the net {type(model).__name__} has no dropout layer that could take it; add nn.Dropout, or leave it out"
        )
    return [name for name, _, _ in found]
