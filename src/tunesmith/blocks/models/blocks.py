"""What the decoder and the encoder share: checks of their shape, norms, and blocks that are computed again going backward."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tunesmith.blocks import layers
from tunesmith.records import ModelError
from tunesmith.records.sections import ModelSection

POSITION_NORMS = ("layer", "none", "rms", "weight")  # those that look at one position alone, or at none
WITH_EPS = ("layer", "rms")
LEAST_CONTEXT = 512  # BERT, arXiv:1810.04805, appendix A.2


def check_heads(name: str, chosen: ModelSection, *, rotary: bool = False) -> None:
    """Raises `ModelError` for heads that do not divide the width or each other, and for norms that look beyond a position."""
    width, heads = int(chosen.width), int(chosen.heads)
    if width % heads:
        raise ModelError(
            f"model.width = {width} is not a multiple of model.heads = {heads}; try model.heads = 4 and a width of 64, 128 or 256"
        )
    if rotary and width // heads % 2:
        raise ModelError(
            f"rotary positions turn pairs, and model.width / model.heads = {width // heads} is odd; change one, or set model.positions = 'learnt'"
        )
    shared = key_heads(chosen)
    if heads % shared:
        raise ModelError(
            f"model.kv_heads = {shared} does not divide model.heads = {heads}; each head of keys serves as many queries: try {heads} or 1"
        )
    if chosen.norm in layers.NORMS and chosen.norm not in POSITION_NORMS:
        raise ModelError(
            f"the {name} normalises each position alone: model.norm {chosen.norm!r} cannot; try 'layer', 'rms', 'weight' or 'none'"
        )
    if chosen.embedding_dim not in ("auto", width):
        raise ModelError(
            f"the {name} has embeddings of its width: model.embedding_dim = {chosen.embedding_dim} beside model.width = {width}; leave it out"
        )


def key_heads(chosen: ModelSection) -> int:
    """How many heads the keys and values have."""
    return int(chosen.heads if chosen.kv_heads == "auto" else chosen.kv_heads)


def norm_of(chosen: ModelSection) -> nn.Module:
    """The norm over the width, with the recipe's epsilon where the norm has one."""
    width = int(chosen.width)
    if chosen.norm_eps == "auto" or chosen.norm not in WITH_EPS:
        return layers.norm_slot(chosen.norm, width)
    return layers.norm(chosen.norm, width, eps=float(chosen.norm_eps))


def context_of(chosen: ModelSection, longest: int) -> int:
    """Rows of a table of learnt positions."""
    return max(longest, LEAST_CONTEXT) if chosen.context == "auto" else int(chosen.context)


def check_length(name: str, length: int, context: int) -> None:
    """Raises `ModelError` for a text that is longer than the table of positions."""
    if not torch.compiler.is_compiling() and length > context:  # a guard would fix the length of what is exported
        raise ModelError(
            f"a text of {length} tokens came, and the {name} has learnt positions for {context}; set data.max_seq_len = {context}, or a larger "
            "model.context"
        )


def through(block: Callable[..., Tensor], recompute: bool, *inputs: object) -> Tensor:
    """The block on its inputs; with `recompute` it keeps none of its activations where a gradient is wanted.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174, section 4.
    """
    if recompute and torch.is_grad_enabled():
        return cast(Tensor, checkpoint(block, *inputs, use_reentrant=False))
    return block(*inputs)


def start_small(model: nn.Module, depth: int, last: tuple[str, ...]) -> None:
    """Weights from N(0, 0.02²), biases 0; those that end a residual branch (their name ends in `last`) by √(2 · depth) smaller.

    Source: Radford et al., GPT-2, 2019, section 2.3.
    """
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            std = 0.02 / (2 * depth) ** 0.5 if name.endswith(last) else 0.02  # GPT-2, section 2.3
            nn.init.normal_(weight, std=std)
        elif name.endswith("bias"):
            nn.init.zeros_(weight)
