"""Running averages and ε of other frameworks in torch's terms.

torch     new <- (1 - m) old + m batch, m = 0.1;    ε 1e-5;  the running variance takes the unbiased variance, n/(n-1) σ²
keras     new <- m old + (1 - m) batch, m = 0.99;   ε 1e-3;  its plain kernel averages the biased σ², its fused one (4-d
tf        the same                                           inputs) the unbiased one
flax      new <- m old + (1 - m) batch, m = 0.99;   ε 1e-5;  the biased variance

Outputs in training use the biased σ² everywhere. With n values per channel the two running variances differ by n/(n-1):
1 % at n = 100, a factor of 2 at n = 2.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.norm import Dims, norm
from tunesmith.records import ModelError, UnknownName, did_you_mean

OLD_VALUE = frozenset({"flax", "jax", "keras", "mxnet", "paddle", "tensorflow", "tf"})  # momentum weighs the old value
NEW_VALUE = frozenset({"pytorch", "torch"})
EPS: Mapping[str, float] = {  # of batch norm, as each framework has it by default
    "caffe": 1e-5,
    "flax": 1e-5,
    "jax": 1e-5,
    "keras": 1e-3,
    "mxnet": 1e-5,
    "paddle": 1e-5,
    "pytorch": 1e-5,
    "tensorflow": 1e-3,
    "tf": 1e-3,
    "torch": 1e-5,
}


def momentum_from(framework: str, value: float) -> float:
    """The weight of the new value, which torch calls momentum, from another framework's momentum.

    Raises `UnknownName` for a framework that is not known, `ModelError` for a value outside [0, 1].

    >>> [round(momentum_from(name, value), 6) for name, value in (("keras", 0.99), ("tf", 0.9), ("torch", 0.1))]
    [0.01, 0.1, 0.1]
    """
    called = framework.lower()
    if called not in OLD_VALUE | NEW_VALUE:
        raise UnknownName(f"no framework called {framework!r}{did_you_mean(called, OLD_VALUE | NEW_VALUE)}")
    if not 0 <= value <= 1:
        raise ModelError(f"a momentum of {value} in {framework}: expected a share between 0 and 1")
    return 1 - value if called in OLD_VALUE else value


def eps_of(framework: str) -> float:
    """ε of batch norm by default. Raises `UnknownName` for a framework that is not known.

    >>> eps_of("keras"), eps_of("torch")
    (0.001, 1e-05)
    """
    if framework.lower() not in EPS:
        raise UnknownName(f"no framework called {framework!r}{did_you_mean(framework.lower(), EPS)}")
    return EPS[framework.lower()]


def unbiased_var(var: Tensor, values: int) -> Tensor:
    """n/(n-1) σ² from a biased variance of `values` = n values: what torch keeps as running variance.

    >>> unbiased_var(torch.tensor([1.0]), 5)
    tensor([1.2500])
    """
    if values < 2:
        raise ModelError(f"an unbiased variance of {values} values is not defined: expected at least 2")
    return var * values / (values - 1)


def batch_norm_from(
    framework: str,
    *,
    gamma: Tensor | None,
    beta: Tensor | None,
    mean: Tensor,
    var: Tensor,
    momentum: float | None = None,
    eps: float | None = None,
    dims: Dims = 0,
) -> nn.Module:
    """Our `batch` that computes in evaluation what the framework's layer does: its arrays, momentum and ε translated.

    `momentum` and `eps` are as that framework states them, its defaults where they are None. The running variance is
    taken as it stands, so that evaluation is equal; a framework that averages the biased one goes on n/(n-1) lower.
    """
    usual = 0.1 if framework.lower() in NEW_VALUE else 0.99
    rate = momentum_from(framework, usual if momentum is None else momentum)
    layer = norm("batch", len(mean), dims=dims, momentum=rate, eps=eps_of(framework) if eps is None else eps)
    layer.to(mean.device, mean.dtype)
    given = {"weight": gamma, "bias": beta, "running_mean": mean, "running_var": var}
    with torch.no_grad():
        for name, value in given.items():
            if value is not None:
                getattr(layer, name).copy_(value)
    return layer.eval()
