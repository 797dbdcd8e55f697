"""Self-attention with shared keys: softmax(Q Kᵀ / √d) V by torch's fused kernels.

Vaswani et al., arXiv:1706.03762, eq. 1; heads of keys and values for several heads of queries: Ainslie et al., GQA, arXiv:2305.13245, section 2.2.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.attention
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from tunesmith.blocks.layers.cache import Cache
from tunesmith.blocks.layers.rotary import Angles, rotated


class SelfAttention(nn.Module):
    """Each position gathers what it may see of the others.

    `causal`: without a mask a position sees itself and what is before it; else all. A mask (N, 1, L, L), True where seen, takes the place of
    that. `angles` turn queries and keys by their positions. With a `cache`, keys and values are joined to those of the tokens read before.

    Shape: (N, L, width) -> (N, L, width).
    """

    def __init__(self, width: int, heads: int, kv_heads: int, *, causal: bool, bias: bool) -> None:
        super().__init__()
        size = width // heads
        self.heads, self.kv_heads, self.causal = heads, kv_heads, causal
        self.query = nn.Linear(width, heads * size, bias=bias)
        self.key = nn.Linear(width, kv_heads * size, bias=bias)
        self.value = nn.Linear(width, kv_heads * size, bias=bias)
        self.join = nn.Linear(heads * size, width, bias=bias)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        angles: Angles | None = None,
        cache: tuple[Cache, int] | None = None,
    ) -> Tensor:
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = (part(x).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2) for part in (self.key, self.value))
        if angles is not None:
            query, key = rotated(query, angles), rotated(key, angles)
        if cache is not None:
            held, block = cache
            key, value = held.append(block, key, value)
        if self.kv_heads < self.heads:
            key, value = (part.repeat_interleave(self.heads // self.kv_heads, 1) for part in (key, value))
        with _kernels(query):
            seen = scaled_dot_product_attention(query, key, value, mask, is_causal=self.causal and mask is None)
        joined: Tensor = self.join(seen.transpose(1, 2).flatten(2))
        return joined


def _kernels(query: Tensor) -> AbstractContextManager[None]:
    """Many nets at once (`torch.func.vmap`) have the plain formula: the fused kernels would go through them one by one."""
    if torch._C._functorch.is_functorch_wrapped_tensor(query):
        return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    return nullcontext()
