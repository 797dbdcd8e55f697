"""The parameter groups of an optimizer as a text table."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

HEADS = ("group", "parameters of", "tensors", "numbers", "lr", "weight decay")
WIDEST = 48  # characters of a list of names


def group_table(optimizer_or_groups: Optimizer | Iterable[Mapping[str, Any]], model: nn.Module | None = None) -> str:
    """One line a group: its parameters by name, how many tensors and numbers, peak rate and weight decay.

    Names are those the groups hold (`names`, or torch's `param_names`), or those of `model`. The rate is the peak
    (`initial_lr`) where a schedule has noted it; without any it is the factor on the peak.

    >>> net = nn.Linear(3, 2)
    >>> print(group_table([{"params": [net.weight], "names": ["weight"], "lr": 0.1, "weight_decay": 0.01}]))
    group  parameters of  tensors  numbers  lr   weight decay
    0      weight         1        6        0.1  0.01
    """
    parts = optimizer_or_groups.param_groups if isinstance(optimizer_or_groups, Optimizer) else optimizer_or_groups
    known = {id(weight): name for name, weight in model.named_parameters()} if model is not None else {}
    rows = [HEADS, *(_row(place, part, known) for place, part in enumerate(parts))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def group_lines(optimizer: Optimizer) -> list[str]:
    """A sentence for each group, where a table has no room."""
    rows = [_row(place, part, {}) for place, part in enumerate(optimizer.param_groups)]
    return [
        f"parameter group {place}: {names} · tensors {tensors}, numbers {numbers} · lr {rate} · weight decay {decay}"
        for place, names, tensors, numbers, rate, decay in rows
    ]


def _row(place: int, part: Mapping[str, Any], known: Mapping[int, str]) -> tuple[str, ...]:
    weights = list(part["params"])
    names = list(part.get("names") or part.get("param_names") or [known.get(id(weight), "?") for weight in weights])
    rate = part.get("initial_lr", part.get("lr"))
    shown = f"{float(rate):.4g}" if rate is not None else f"x {part.get('rate', 1.0):.4g}"
    decay = part.get("weight_decay")
    return (
        str(place),
        summary(names),
        str(len(weights)),
        str(sum(weight.numel() for weight in weights)),
        shown,
        "-" if decay is None else f"{float(decay):.4g}",
    )


def summary(names: list[str]) -> str:
    """Names in few words: their first parts, each with how many parameters it stands for.

    >>> summary(["body.0.weight", "body.0.bias", "body.1.weight", "head.weight"])
    'body.* (3), head.weight'
    """
    firsts: dict[str, list[str]] = {}
    for name in names:
        firsts.setdefault(name.partition(".")[0], []).append(name)
    words = [held[0] if len(held) == 1 else f"{first}.* ({len(held)})" for first, held in firsts.items()]
    text = ", ".join(words)
    if len(text) <= WIDEST:
        return text
    kept = [word for place, word in enumerate(words) if len(", ".join(words[: place + 1])) <= WIDEST - 8] or words[:1]
    return f"{', '.join(kept)}, … ({len(names)})"
