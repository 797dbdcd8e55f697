"""Llama-style decoders, in the layouts of Transformers and of llama2.c.

Touvron et al., arXiv:2302.13971. The two layouts turn other pairs of entries by rotary positions: Transformers entry i with i + d/2, as we
do, llama2.c neighbours; there the rows of queries and keys change their order (`blocks/layers/rotary.py`).
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tunesmith.blocks.layers.rotary import as_halves, as_neighbours
from tunesmith.blocks.models.stored.describing import CONFIG, Pair, Stored, refuse, whole
from tunesmith.records import ModelError

BASE, EPS = 10_000.0, 1e-5  # where a description of llama2.c does not say: its run.c; Transformers' own eps is 1e-6
TRANSFORMERS_EPS = 1e-6


def of_llama2_c(folder: Path, config: Mapping[str, Any]) -> Stored:
    """What a description in the words of llama2.c means."""
    width, depth, heads = (whole(config, key, folder) for key in ("dim", "n_layers", "n_heads"))
    kv_heads = whole(config, "n_kv_heads", folder, heads)
    tied = bool(config.get("tied_embeddings", True))
    return Stored(
        folder,
        layout="llama2.c",
        name="decoder",
        settings=shape(
            width=width,
            depth=depth,
            heads=heads,
            kv_heads=kv_heads,
            hidden=whole(config, "hidden_dim", folder),
            eps=float(config.get("norm_eps", EPS)),
            base=float(config.get("rope_theta", BASE)),
            tied=tied,
        ),
        vocabulary=whole(config, "vocab_size", folder),
        context=whole(config, "max_seq_len", folder),
        pairs=pairs_of_llama2_c(depth, heads, kv_heads, tied=tied),
    )


def of_transformers(folder: Path, config: Mapping[str, Any]) -> Stored:
    """What a description in the words of Transformers means. Raises `ModelError` for what our decoder does not have."""
    refuse(config, folder, {"hidden_act": ("silu",), "attention_bias": (False,), "mlp_bias": (False,)})
    width, depth, heads = (
        whole(config, key, folder) for key in ("hidden_size", "num_hidden_layers", "num_attention_heads")
    )
    kv_heads = whole(config, "num_key_value_heads", folder, heads)
    refuse(config, folder, {"head_dim": (width // heads, None)})
    rotary = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rotary.get("rope_type", rotary.get("type", "default"))
    if kind != "default":
        raise ModelError(
            f"{folder / CONFIG}: rotary positions of the kind {kind!r}, and our decoder has plain ones; set model.name = "
            f"'transformers/{folder}', with the extra text"
        )
    tied = bool(config.get("tie_word_embeddings", False))
    return Stored(
        folder,
        layout="transformers",
        name="decoder",
        settings=shape(
            width=width,
            depth=depth,
            heads=heads,
            kv_heads=kv_heads,
            hidden=whole(config, "intermediate_size", folder),
            eps=float(config.get("rms_norm_eps", TRANSFORMERS_EPS)),
            base=float(rotary.get("rope_theta", config.get("rope_theta", BASE))),
            tied=tied,
        ),
        vocabulary=whole(config, "vocab_size", folder),
        context=whole(config, "max_position_embeddings", folder, 2048),
        pairs=pairs_of_transformers(depth, tied=tied),
        beside=("rotary_emb.inv_freq",),
    )


def shape(
    *, width: int, depth: int, heads: int, kv_heads: int, hidden: int, eps: float, base: float, tied: bool
) -> dict[str, Any]:
    """The recipe values of a Llama-style decoder."""
    return {
        "model.width": width,
        "model.depth": depth,
        "model.heads": heads,
        "model.kv_heads": kv_heads,
        "model.feed_forward": hidden,
        "model.gated": True,
        "model.activation": "silu",
        "model.positions": "rotary",
        "model.rotary_base": base,
        "model.norm": "rms",
        "model.norm_eps": eps,
        "model.tied": tied,
    }


def pairs_of_llama2_c(depth: int, heads: int, kv_heads: int, *, tied: bool) -> tuple[Pair, ...]:
    """Where the weights of llama2.c go."""
    turned = {
        "attention.wq": (partial(as_halves, heads=heads), partial(as_neighbours, heads=heads)),
        "attention.wk": (partial(as_halves, heads=kv_heads), partial(as_neighbours, heads=kv_heads)),
    }
    inside = {
        "attention_norm": "attention_norm",
        "attention.wq": "attention.query",
        "attention.wk": "attention.key",
        "attention.wv": "attention.value",
        "attention.wo": "attention.join",
        "ffn_norm": "norm",
        "feed_forward.w1": "feed_forward.gate",
        "feed_forward.w2": "feed_forward.contract",
        "feed_forward.w3": "feed_forward.expand",
    }
    blocks = [
        Pair(f"layers.{i}.{theirs}.weight", f"blocks.{i}.{ours}.weight", *turned.get(theirs, (None, None)))
        for i in range(depth)
        for theirs, ours in inside.items()
    ]
    head = "tok_embeddings.weight" if tied else "output.weight"
    return (
        Pair("tok_embeddings.weight", "table.weight"),
        *blocks,
        Pair("norm.weight", "norm.weight"),
        Pair(head, "head.weight"),
    )


def pairs_of_transformers(depth: int, *, tied: bool) -> tuple[Pair, ...]:
    """Where the weights of Transformers' Llama go."""
    inside = {
        "input_layernorm": "attention_norm",
        "self_attn.q_proj": "attention.query",
        "self_attn.k_proj": "attention.key",
        "self_attn.v_proj": "attention.value",
        "self_attn.o_proj": "attention.join",
        "post_attention_layernorm": "norm",
        "mlp.gate_proj": "feed_forward.gate",
        "mlp.up_proj": "feed_forward.expand",
        "mlp.down_proj": "feed_forward.contract",
    }
    blocks = [
        Pair(f"model.layers.{i}.{theirs}.weight", f"blocks.{i}.{ours}.weight")
        for i in range(depth)
        for theirs, ours in inside.items()
    ]
    table = "model.embed_tokens.weight"
    return (
        Pair(table, "table.weight"),
        *blocks,
        Pair("model.norm.weight", "norm.weight"),
        Pair(table if tied else "lm_head.weight", "head.weight"),
    )
