"""How fast our decoder is beside Transformers' Llama: a step forward and backward, and generation with a cache.

Both nets have the same sizes and the same weights (ours are written as a Llama and read by Transformers), on one thread, in single
precision; they run in turn in one process, by CPU time, and the ratio is taken pair by pair (below 1: ours is faster). The table has its
median with the middle half. A step is cross-entropy on 8 texts of 128 tokens and its gradient; generation continues 4 prompts of 16 tokens
by 48, the most probable each time. `differ` is the largest difference of the logits, and for generation whether the tokens are others: the
same work is compared. `attention` is what Transformers is asked for; ours is always torch's fused one.

Needs the extra `text`, or transformers on the path; no bar: a claim of speed is only that ours costs no more.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tables import by_case, markdown
from torch import nn

from tunesmith.blocks import models
from tunesmith.blocks.models import stored
from tunesmith.blocks.models.generating import generate
from tunesmith.records import Recipe, revise

PAIRS, TEXTS, LENGTH, PROMPTS, PROMPT, NEW = 11, 8, 128, 4, 16, 48
SIZES: dict[str, dict[str, int]] = {
    "0.26 M": {"width": 64, "depth": 5, "heads": 8, "kv_heads": 4, "feed_forward": 172, "vocabulary": 512},
    "4.9 M": {"width": 256, "depth": 6, "heads": 8, "kv_heads": 4, "feed_forward": 688, "vocabulary": 2048},
}


def cases() -> list[dict[str, Any]]:
    return [
        {"size": size, "work": work, "attention": attention}
        for size in SIZES
        for work, attention in (("step", "sdpa"), ("step", "eager"), ("generation", "sdpa"))
    ]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(1)
    ours, theirs = both(SIZES[case["size"]], case["attention"])
    works = {"step": stepping, "generation": generating}
    mine, other, differ = works[case["work"]](ours, theirs, SIZES[case["size"]]["vocabulary"])
    timed(mine), timed(other)  # caches
    times: list[tuple[float, float]] = []
    for pair in range(PAIRS):
        if pair % 2:
            times.append((timed(mine), timed(other)))
        else:
            second = timed(other)
            times.append((timed(mine), second))
    ratios = [one / two for one, two in times]
    lower, middle, upper = statistics.quantiles(ratios, n=4)
    tokens = TEXTS * LENGTH if case["work"] == "step" else PROMPTS * NEW
    return {
        "ratio": middle,
        "lower": lower,
        "upper": upper,
        "tokens/s": tokens / statistics.median(one for one, _ in times),
        "its tokens/s": tokens / statistics.median(two for _, two in times),
        "differ": differ,
        "parameters": sum(one.numel() for one in ours.parameters()),
    }


def both(size: dict[str, int], attention: str) -> tuple[nn.Module, Any]:
    """Our decoder, and Transformers' with its weights."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    spec = {"tokens": SimpleNamespace(vocabulary=size["vocabulary"], length=LENGTH, padding=0)}
    shape = {f"model.{name}": value for name, value in size.items() if name != "vocabulary"}
    ours = models.build("decoder", revise(Recipe(), shape), spec, size["vocabulary"], "language")
    with tempfile.TemporaryDirectory() as place:
        folder = stored.write(ours, Path(place))
        theirs = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, attn_implementation=attention)
    return ours.eval(), theirs.eval()


def drawn(rows: int, length: int, vocabulary: int) -> torch.Tensor:
    return torch.randint(3, vocabulary, (rows, length), generator=torch.Generator().manual_seed(0))


def stepping(ours: nn.Module, theirs: Any, vocabulary: int) -> tuple[Callable[[], Any], Callable[[], Any], float]:
    tokens = drawn(TEXTS, LENGTH + 1, vocabulary)

    def step(net: nn.Module, logits: Callable[[], torch.Tensor]) -> None:
        net.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(logits().flatten(0, 1), tokens[:, 1:].flatten()).backward()

    def mine() -> torch.Tensor:
        found: torch.Tensor = ours(tokens[:, :-1])
        return found

    def other() -> torch.Tensor:
        found: torch.Tensor = theirs(input_ids=tokens[:, :-1], use_cache=False).logits
        return found

    with torch.no_grad():
        differ = float((mine() - other()).abs().max())
    return lambda: step(ours, mine), lambda: step(theirs, other), differ


def generating(ours: nn.Module, theirs: Any, vocabulary: int) -> tuple[Callable[[], Any], Callable[[], Any], float]:
    prompts = drawn(PROMPTS, PROMPT, vocabulary)

    def mine() -> list[list[int]]:
        return [list(one.tokens) for one in generate(ours, prompts.tolist(), longest=NEW)]

    def other() -> list[list[int]]:
        about = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "pad_token_id": 0}
        found = theirs.generate(prompts, attention_mask=torch.ones_like(prompts), **about)
        return [row[PROMPT:] for row in found.tolist()]

    return mine, other, float(mine() != other())


def timed(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def table(rows: Any) -> str:
    lines = []
    for group in by_case(rows):
        case = group[-1]["case"]
        middle = {name: statistics.median(row["measured"][name] for row in group) for name in group[-1]["measured"]}
        lines.append(
            [
                f"{case['size']} ({middle['parameters']:,.0f})",
                case["work"],
                case["attention"],
                f"{middle['ratio']:.2f} ({middle['lower']:.2f} to {middle['upper']:.2f})",
                f"{middle['tokens/s']:,.0f}",
                f"{middle['its tokens/s']:,.0f}",
                f"{middle['differ']:.1g}",
            ]
        )
    header = ["size", "work", "attention", "ratio", "tokens/s", "its tokens/s", "differ"]
    return markdown(header, lines)
