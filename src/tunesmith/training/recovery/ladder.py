"""What to do about too little memory, in this order, and what each costs: first what keeps the mathematics.

Costs: Chen et al., arXiv:1604.06174 (one more forward pass, about a third more time); Micikevicius et al., arXiv:1710.03740 (half
precision); Ren et al., arXiv:2101.06840 (states of the optimizer on the host: the transfer of each update).
"""

import re
from dataclasses import dataclass

from tunesmith.records import Recipe, Remedy, Safety

FRAGMENTED = 0.5  # memory reserved and not used, over what is; assumption, as in the rule memory.oom
KEPT = 8  # tensors with a graph between updates, as in the probe watcher_graphs; assumption
SIZES = {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
TOLD = re.compile(r"([\d.]+) (KiB|MiB|GiB) is (allocated by PyTorch|reserved by PyTorch but unallocated)")
STATES = {
    "sgd": 0,
    "adam": 2,
    "adamw": 2,
    "nadam": 2,
    "radam": 2,
    "adamax": 2,
    "rmsprop": 1,
    "adagrad": 1,
}  # tensors a weight


@dataclass(frozen=True, slots=True)
class Situation:
    """What the offers go by."""

    recipe: Recipe
    device: str
    tokens: int = 0  # the longest sequence; 0 where the inputs are none
    weights: int = 0  # trainable parameters
    coupled: bool = False  # batch norm: parts have statistics of their own


def offers(situation: Situation, text: str = "", graphs: int = 0) -> tuple[Remedy, ...]:
    """The rungs of the ladder that fit, the first first. `text` is what the allocator said, `graphs` tensors keep theirs alive."""
    recipe = situation.recipe
    batch, accumulate = int(recipe.train.batch_size), recipe.train.accumulate
    found = []
    if graphs >= KEPT:
        found.append(Remedy(title="recovery.do_detach", safety=Safety.ADVICE, values={"tensors": graphs}))
    if situation.device == "cuda" and torn(text) > FRAGMENTED:
        found.append(Remedy(title="recovery.do_expandable", safety=Safety.ADVICE, values={"share": torn(text)}))
    if batch > 1:
        half = {"train.batch_size": batch // 2, "train.accumulate": 2 * accumulate}
        safety = Safety.RISKY if situation.coupled else Safety.SAFE
        found.append(
            Remedy(
                title="recovery.do_halve",
                safety=safety,
                change=half,
                values={"rows": batch // 2, "parts": 2 * accumulate},
            )
        )
    found.append(Remedy(title="recovery.do_checkpointing", safety=Safety.ADVICE))
    if recipe.train.precision in ("fp32", "fp64"):
        lower = "bf16" if recipe.train.precision == "fp32" else "fp32"
        found.append(
            Remedy(
                title="recovery.do_precision",
                safety=Safety.RISKY,
                change={"train.precision": lower},
                values={"precision": lower},
            )
        )
    if situation.tokens > 1:
        half_length = situation.tokens // 2
        found.append(
            Remedy(
                title="recovery.do_shorter",
                safety=Safety.RISKY,
                change={"data.max_seq_len": half_length},
                values={"tokens": half_length, "whole": situation.tokens},
            )
        )
    held = STATES.get(recipe.optim.name, 2)
    if held:
        megabytes = 4.0 * held * situation.weights / 2**20
        found.append(
            Remedy(title="recovery.do_offload", safety=Safety.ADVICE, values={"megabytes": megabytes, "states": held})
        )
    return tuple(found)


def torn(text: str) -> float:
    """What torch says it has reserved and cannot use, over what is in use; 0 where it does not say.

    >>> torn("... 2.00 GiB is allocated by PyTorch, and 1.00 GiB is reserved by PyTorch but unallocated.")
    0.5
    """
    told = {what: float(size) * SIZES[unit] for size, unit, what in TOLD.findall(text)}
    if len(told) < 2:
        return 0.0
    return told["reserved by PyTorch but unallocated"] / max(told["allocated by PyTorch"], 1.0)
