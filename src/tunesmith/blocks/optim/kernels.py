"""Which kernel of an optimizer is fastest on these parameters: measured, not guessed.

Kernels are not bit-equal, so the choice is told; a checkpoint's groups name their kernel, and a resume keeps it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunesmith.blocks.optim.closure import needs_closure
from tunesmith.blocks.optim.eager import plain_step
from tunesmith.blocks.optim.member import Groups
from tunesmith.records import RecipeError

KERNELS = ("fused", "foreach", "forloop")  # the first of equals is taken: the rule of "auto"


@dataclass(frozen=True, slots=True)
class Timed:
    """The fastest kernel, and the seconds a step of each took."""

    kernel: str
    seconds: dict[str, float]

    def __str__(self) -> str:
        told = ", ".join(f"{name} {1e6 * taken:.0f} us" for name, taken in self.seconds.items())
        return f"optimizer kernel {self.kernel}, measured on copies of the parameters ({told} a step); a resumed run keeps its own"


def fastest_kernel(
    make: Callable[[Groups, str], Optimizer], parts: Groups, kernels: tuple[str, ...] = KERNELS, rounds: int = 5
) -> Timed:
    """Times a step of the optimizer that `make(groups, kernel)` gives, on copies of the parameters with gradients of 1e-3.

    The least of `rounds` steps after two to warm up. A kernel that `make` refuses with a `RecipeError` is left out;
    raises it where none is left. Parameters, gradients and random generators stay as they are.
    """
    seconds: dict[str, float] = {}
    refused: RecipeError | None = None
    for kernel in kernels:
        try:
            optimizer = make(
                [{**part, "params": [_copy(weight) for weight in part["params"]]} for part in parts], kernel
            )
        except RecipeError as error:
            refused = error
            continue
        seconds[kernel] = _time(optimizer, rounds)
    if not seconds:
        raise refused or RecipeError("there is no kernel to measure; name some of fused, foreach, forloop")
    return Timed(min(seconds, key=lambda name: seconds[name]), seconds)


def _copy(weight: Tensor) -> nn.Parameter:
    twin = nn.Parameter(weight.detach().clone(memory_format=torch.preserve_format))
    twin.grad = torch.full_like(twin, 1e-3)
    return twin


def _time(optimizer: Optimizer, rounds: int) -> float:
    weights: list[Tensor] = [weight for group in optimizer.param_groups for weight in group["params"]]
    devices = {weight.device for weight in weights if weight.is_cuda}
    loss = torch.zeros((), device=weights[0].device)
    plain = plain_step(optimizer)
    taken = []
    for _ in range(2 + rounds):
        began = time.perf_counter()
        if needs_closure(optimizer):
            optimizer.step(lambda: loss)  # type: ignore[arg-type, return-value]  # torch's own take a tensor
        else:
            plain()
        for device in devices:
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return min(taken[2:])
