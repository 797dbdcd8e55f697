"""A decoder written as a folder that others read."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from tunesmith.blocks.models.decoder import Decoder
from tunesmith.blocks.models.stored.describing import CONFIG, Pair
from tunesmith.blocks.models.stored.llama import pairs_of_llama2_c, pairs_of_transformers
from tunesmith.blocks.models.stored.reading import ONE
from tunesmith.records import ModelError, did_you_mean

Facts = Mapping[str, Any]


def write(net: nn.Module, folder: str | Path, layout: str = "transformers", *, context: int = 2048) -> Path:
    """Stores a decoder of Llama's shape: `config.json` and `model.safetensors`; gives the folder.

    `layout` "transformers" is read by Transformers and what follows it, "llama2.c" by that program's exporters. `context`: the longest text
    it was trained on. Raises `ModelError` for any other net, since neither layout could hold it.
    """
    if layout not in LAYOUTS:
        raise ModelError(f"no layout called {layout!r}{did_you_mean(layout, LAYOUTS)}; there are {', '.join(LAYOUTS)}")
    facts = _facts(net) | {"context": context}
    described, pairs = LAYOUTS[layout](facts)
    held = net.state_dict()
    place = Path(folder).expanduser()
    place.mkdir(parents=True, exist_ok=True)
    (place / CONFIG).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    stored = {
        pair.theirs: (held[pair.ours] if pair.write is None else pair.write(held[pair.ours])).contiguous()
        for pair in pairs
    }
    save_file(stored, place / ONE, metadata={"format": "pt"})
    return place


def _facts(net: nn.Module) -> dict[str, Any]:
    if not isinstance(net, Decoder) or not net.predicts_tokens:
        raise ModelError(
            f"a {type(net).__name__} cannot be written as a Llama; expected a decoder trained with kind 'language'"
        )
    block: Any = net.blocks[0]
    if net.rotary is None or block.feed_forward.gate is None or not isinstance(net.norm, nn.RMSNorm):
        raise ModelError(
            "this decoder is no Llama: its layouts hold rotary positions, gated hidden units and RMS norms alone; store net.state_dict()"
        )
    if not isinstance(block.feed_forward.activation, nn.SiLU):
        raise ModelError(
            "this decoder is no Llama: its hidden units have another activation than silu; store net.state_dict()"
        )
    return {
        "width": net.table.embedding_dim,
        "depth": len(net.blocks),
        "heads": block.attention.heads,
        "kv_heads": net.kv_heads,
        "hidden": block.feed_forward.expand.out_features,
        "eps": net.norm.eps,
        "base": net.rotary,
        "tied": net.head.weight is net.table.weight,
        "vocabulary": net.vocabulary,
    }


def _transformers(facts: Facts) -> tuple[dict[str, Any], tuple[Pair, ...]]:
    described = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": facts["width"],
        "num_hidden_layers": facts["depth"],
        "num_attention_heads": facts["heads"],
        "num_key_value_heads": facts["kv_heads"],
        "intermediate_size": facts["hidden"],
        "hidden_act": "silu",
        "rms_norm_eps": facts["eps"],
        "rope_theta": facts["base"],
        "tie_word_embeddings": facts["tied"],
        "vocab_size": facts["vocabulary"],
        "max_position_embeddings": facts["context"],
        "attention_bias": False,
        "mlp_bias": False,
        "torch_dtype": "float32",
    }
    return described, pairs_of_transformers(facts["depth"], tied=facts["tied"])


def _llama2_c(facts: Facts) -> tuple[dict[str, Any], tuple[Pair, ...]]:
    described = {
        "dim": facts["width"],
        "n_layers": facts["depth"],
        "n_heads": facts["heads"],
        "n_kv_heads": facts["kv_heads"],
        "hidden_dim": facts["hidden"],
        "vocab_size": facts["vocabulary"],
        "max_seq_len": facts["context"],
        "norm_eps": facts["eps"],
        "rope_theta": facts["base"],
        "tied_embeddings": facts["tied"],
    }
    return described, pairs_of_llama2_c(facts["depth"], facts["heads"], facts["kv_heads"], tied=facts["tied"])


LAYOUTS: dict[str, Callable[[Facts], tuple[dict[str, Any], tuple[Pair, ...]]]] = {
    "transformers": _transformers,
    "llama2.c": _llama2_c,
}
