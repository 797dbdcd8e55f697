"""Encoders of the kind of BERT, in the layout of Transformers. Devlin et al., arXiv:1810.04805.

The pooler and the heads of their own training are left: our head is that of the task.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from tunesmith.blocks.models.stored.describing import Pair, Stored, refuse, whole

INSIDE = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.join",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "feed_forward.expand",
    "output.dense": "feed_forward.contract",
    "output.LayerNorm": "norm",
}


def of_transformers(folder: Path, config: Mapping[str, Any]) -> Stored:
    """What a description in the words of Transformers means. Raises `ModelError` for what our encoder does not have."""
    refuse(config, folder, {"hidden_act": ("gelu",), "position_embedding_type": ("absolute",), "is_decoder": (False,)})
    depth, context = (whole(config, key, folder) for key in ("num_hidden_layers", "max_position_embeddings"))
    return Stored(
        folder,
        layout="transformers",
        name="encoder",
        settings={
            "model.width": whole(config, "hidden_size", folder),
            "model.depth": depth,
            "model.heads": whole(config, "num_attention_heads", folder),
            "model.feed_forward": whole(config, "intermediate_size", folder),
            "model.gated": False,
            "model.activation": "gelu",
            "model.norm": "layer",
            "model.norm_eps": float(config.get("layer_norm_eps", 1e-12)),
            "model.context": context,
        },
        vocabulary=whole(config, "vocab_size", folder),
        context=context,
        pairs=pairs(depth),
        beside=("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids", "cls."),
        prefixes=("", "bert."),
    )


def pairs(depth: int) -> tuple[Pair, ...]:
    """Where the weights go."""
    blocks = [
        Pair(f"encoder.layer.{i}.{theirs}.{part}", f"blocks.{i}.{ours}.{part}")
        for i in range(depth)
        for theirs, ours in INSIDE.items()
        for part in ("weight", "bias")
    ]
    return (
        Pair("embeddings.word_embeddings.weight", "table.weight"),
        Pair("embeddings.position_embeddings.weight", "places.weight"),
        Pair("embeddings.token_type_embeddings.weight", "types.weight", _first_type),
        *(Pair(f"embeddings.LayerNorm.{part}", f"embedding_norm.{part}") for part in ("weight", "bias")),
        *blocks,
    )


def _first_type(weight: Tensor) -> Tensor:
    """The row of the first of two texts."""
    return weight[:1]
