"""The part of a transformer block that works at each position alone, plain or gated."""

from torch import Tensor, nn

from tunesmith.blocks.layers.activations import activation as activation_called


class FeedForward(nn.Module):
    """V act(W x), or gated V (act(G x) ⊙ W x): SwiGLU with the activation silu, GEGLU with gelu.

    Shape: (N, L, width) -> (N, L, width).
    Source: Vaswani et al., arXiv:1706.03762, eq. 2; Shazeer, GLU Variants Improve Transformer, arXiv:2002.05202, eq. 6.
    """

    def __init__(self, width: int, hidden: int, activation: str, *, gated: bool, bias: bool) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=bias) if gated else None
        self.expand = nn.Linear(width, hidden, bias=bias)
        self.activation = activation_called(activation)
        self.contract = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.gate is None:
            hidden = self.activation(self.expand(x))
        else:
            hidden = self.activation(self.gate(x)) * self.expand(x)
        change: Tensor = self.contract(hidden)
        return change


def hidden_width(width: int, *, gated: bool) -> int:
    """Four times the width; gated two thirds of that, so that the three matrices weigh as much as two, in eights rounded up.

    Source: arXiv:1706.03762, section 3.3; arXiv:2002.05202, section 2.

    >>> hidden_width(128, gated=False), hidden_width(128, gated=True)
    (512, 344)
    """
    return -(-8 * width // 3 // 8) * 8 if gated else 4 * width
