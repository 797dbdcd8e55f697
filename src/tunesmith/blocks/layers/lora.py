"""A linear layer with a small trained addition: y = W x + b + (α / r) B A x.

Hu et al., LoRA, arXiv:2106.09685, section 4.1. W and b stay as they are; A (r, in) begins as He's uniform weights of a linear layer do, B
(out, r) at zero, so that the layer begins as it was. The parameters have the names that PEFT gives them, so that either reads the other's.
"""

import math

from torch import Tensor, nn

NAME = "default"  # of an adapter, in PEFT


class LoraLinear(nn.Module):
    """The addition beside `base`. Shape: (..., in) -> (..., out)."""

    def __init__(self, base: nn.Linear, rank: int, scale: float, dropout: float = 0.0) -> None:
        super().__init__()
        self.base_layer, self.scale = base, scale
        like = {"device": base.weight.device, "dtype": base.weight.dtype}
        self.lora_A = nn.ModuleDict({NAME: nn.Linear(base.in_features, rank, bias=False, **like)})
        self.lora_B = nn.ModuleDict({NAME: nn.Linear(rank, base.out_features, bias=False, **like)})
        self.dropout = nn.Dropout(dropout)
        nn.init.kaiming_uniform_(self.lora_A[NAME].weight, a=math.sqrt(5))  # torch's own bounds of a linear layer
        nn.init.zeros_(self.lora_B[NAME].weight)

    def forward(self, x: Tensor) -> Tensor:
        small: Tensor = self.lora_B[NAME](self.lora_A[NAME](self.dropout(x)))
        whole: Tensor = self.base_layer(x)
        return whole + self.scale * small
