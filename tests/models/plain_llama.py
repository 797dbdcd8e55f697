"""A Llama-style forward pass in NumPy, written from the papers, one head and one position at a time."""

import numpy as np


def llama(tokens, weights, *, depth, heads, kv_heads, eps, base, turned):
    """Logits (L, V). `weights` by the names of llama2.c; `turned(x, place)` gives a head's entries at a place."""

    def norm(x, name):
        return weights[f"{name}.weight"] * x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)

    x = weights["tok_embeddings.weight"][tokens]
    size = x.shape[1] // heads
    for i in range(depth):
        place = f"layers.{i}"
        seen = norm(x, f"{place}.attention_norm")
        query, key, value = (seen @ weights[f"{place}.attention.w{name}.weight"].T for name in "qkv")
        joined = np.zeros_like(x)
        for head in range(heads):
            shared = head // (heads // kv_heads)
            mine, theirs = slice(size * head, size * (head + 1)), slice(size * shared, size * (shared + 1))
            turned_keys = [turned(key[p, theirs], p, base) for p in range(len(tokens))]
            for p in range(len(tokens)):
                now = turned(query[p, mine], p, base)
                score = np.array([now @ turned_keys[before] / np.sqrt(size) for before in range(p + 1)])
                share = np.exp(score - score.max())
                joined[p, mine] = share / share.sum() @ value[: p + 1, theirs]
        x = x + joined @ weights[f"{place}.attention.wo.weight"].T
        seen = norm(x, f"{place}.ffn_norm")
        gate, up = (seen @ weights[f"{place}.feed_forward.w{name}.weight"].T for name in "13")
        x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[f"{place}.feed_forward.w2.weight"].T
    return norm(x, "norm") @ weights.get("output.weight", weights["tok_embeddings.weight"]).T


def neighbours(x, place, base):
    """Rotary positions by neighbours: (x_0, x_1), (x_2, x_3) …"""
    angle = place * base ** (-np.arange(0, len(x), 2) / len(x))
    found = np.empty_like(x)
    found[0::2] = x[0::2] * np.cos(angle) - x[1::2] * np.sin(angle)
    found[1::2] = x[1::2] * np.cos(angle) + x[0::2] * np.sin(angle)
    return found


def halves(x, place, base):
    """Rotary positions by halves: (x_0, x_{d/2}) …"""
    half = len(x) // 2
    order = np.stack([np.arange(half), np.arange(half) + half], 1).reshape(-1)
    found = np.empty_like(x)
    found[order] = neighbours(x[order], place, base)
    return found


def logits_of(model, tokens):
    """The same of a decoder of ours, by its weights."""
    inside = {
        "attention_norm": "attention_norm", "attention.wq": "attention.query", "attention.wk": "attention.key",
        "attention.wv": "attention.value", "attention.wo": "attention.join", "ffn_norm": "norm",
        "feed_forward.w1": "feed_forward.gate", "feed_forward.w2": "feed_forward.contract",
        "feed_forward.w3": "feed_forward.expand",
    }  # fmt: skip
    held = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    weights = {"tok_embeddings.weight": held["table.weight"], "norm.weight": held["norm.weight"]}
    for i in range(len(model.blocks)):
        weights |= {f"layers.{i}.{theirs}.weight": held[f"blocks.{i}.{ours}.weight"] for theirs, ours in inside.items()}
    return llama(
        tokens, weights, depth=len(model.blocks), heads=model.blocks[0].attention.heads, kv_heads=model.kv_heads,
        eps=model.norm.eps, base=model.rotary, turned=halves,
    )  # fmt: skip
