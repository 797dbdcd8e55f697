"""A linear layer with a small trained addition: y = W x + b + (α / r) B A x.

Hu et al., LoRA, arXiv:2106.09685, section 4.1. W and b stay as they are; A (r, in) begins as torch begins a linear layer, B (out, r)
at zero, so that the layer begins as it was. The parameters have the names that PEFT gives them, so that either reads the other's.
"""

from torch import Tensor, nn

NAME = "default"  # of an adapter, in PEFT


class LoraLinear(nn.Module):
    """The addition beside `base`. Shape: (..., in) -> (..., out)."""

    def __init__(self, base: nn.Linear, rank: int, scale: float, dropout: float = 0.0) -> None:
        super().__init__()
        self.base_layer, self.scale = base, scale
        like = {"device": base.weight.device, "dtype": base.weight.dtype}
        down = nn.Linear(base.in_features, rank, bias=False, **like)
        up = nn.Linear(rank, base.out_features, bias=False, **like)
        nn.init.zeros_(up.weight)
        self.lora_A, self.lora_B = nn.ModuleDict({NAME: down}), nn.ModuleDict({NAME: up})
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        small: Tensor = self.lora_B[NAME](self.lora_A[NAME](self.dropout(x)))
        whole: Tensor = self.base_layer(x)
        return whole + self.scale * small
