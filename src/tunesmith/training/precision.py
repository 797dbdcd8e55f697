"""Number types of forward and backward: fp32, fp64, bf16, fp16 with a loss scaler. Micikevicius et al., arXiv:1710.03740.

Plain `torch.autocast` and `torch.amp.GradScaler`: on one device they are all that is needed.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from tunesmith.records import DeviceError, ModelError

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """How forward, backward and the step are carried out under a number type."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.name = name
        self.device = device
        self.dtype = torch.float64 if name == "fp64" else torch.float32
        self.half = _HALF.get(name)
        if self.half is torch.bfloat16 and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            raise DeviceError(
                f"train.precision = 'bf16', but {torch.cuda.get_device_name(device)} has no bfloat16; use 'fp16'"
            )
        if device.type == "mps" and name == "fp64":
            raise DeviceError(
                "train.precision = 'fp64', but the mps device has no float64; use 'fp32' or train.device = 'cpu'"
            )
        self.scaler: Any = torch.amp.GradScaler(device.type) if name == "fp16" else None

    def autocast(self) -> AbstractContextManager[Any]:
        """Around forward and loss."""
        return nullcontext() if self.half is None else torch.autocast(self.device.type, dtype=self.half)

    def refuse_closure(self, optimizer: str) -> None:
        """A closure evaluates the loss several times in a step, which a loss scaler cannot follow."""
        if self.scaler is not None:
            raise ModelError(
                f"{optimizer} evaluates the loss several times an update, which fp16 loss scaling cannot follow; use "
                "train.precision = 'bf16' or 'fp32'"
            )
