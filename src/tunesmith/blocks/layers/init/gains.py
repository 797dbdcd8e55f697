"""What an activation does to the variance that passes it, and the initialiser that makes up for it.

An activation goes by its name in the catalogue; one with a slope below 0 may carry it: `leaky_relu(0.2)`.
"""

import math
import re

from tunesmith.blocks.layers.activations import ACTIVATIONS, RELU_FAMILY, SATURATING
from tunesmith.records import ModelError

LEAK = 0.01  # slope of `leaky_relu` below 0, where none is given
SLOPED = ("leaky_relu", "prelu", "rrelu")
RELU_LIKE = RELU_FAMILY | {"relu6", "celu", "threshold", "prelu", "rrelu", "log_sigmoid"}
SATURATING_LIKE = SATURATING | {"hard_tanh", "hard_sigmoid", "softsign", "erf"}
LINEAR = ("identity", "linear", "conv", "attention")  # nothing follows, or the softmax of attention
KNOWN = RELU_LIKE | SATURATING_LIKE | {*LINEAR, "selu", "selu_normalising"}
_SPELLED = re.compile(r"([a-z_0-9]+?)\(([-+.e0-9]+)\)")


def parsed(activation: str) -> tuple[str, float]:
    """Name and slope below 0. Raises `UnknownName` for what is neither in the catalogue nor known here.

    >>> parsed("leaky_relu(0.2)"), parsed("leaky_relu"), parsed("tanh")
    (('leaky_relu', 0.2), ('leaky_relu', 0.01), ('tanh', 0.0))
    """
    found = _SPELLED.fullmatch(activation)
    name = found[1] if found else activation
    if name not in KNOWN:
        ACTIVATIONS[name]
    if found and name not in SLOPED:
        raise ModelError(f"activation {activation!r}: {name} has no slope; only {', '.join(SLOPED)} carry one")
    return name, float(found[2]) if found else (LEAK if name in SLOPED else 0.0)


def gain(activation: str, slope: float | None = None) -> float:
    """g, the factor of a weight's deviation under which the activation keeps the second moment.

    linear, conv, sigmoid 1; tanh 5/3; relu √2; leaky_relu √(2 / (1 + a²)), a the slope; selu 3/4: torch's values.
    `selu_normalising` 1: the one under which SELU normalises itself, arXiv:1706.02515, section 2; torch's 3/4 does not.
    GELU, SiLU and the others that go over to x have no value in torch; they get the √2 of the ReLU they approach.
    Source: He et al., arXiv:1502.01852, eq. 15; tanh: `torch.nn.init.calculate_gain`.

    >>> gain("tanh"), gain("leaky_relu", 0.2) == gain("leaky_relu(0.2)"), gain("selu")
    (1.6666666666666667, True, 0.75)
    """
    name, own = parsed(activation)
    if name == "selu":
        return 0.75  # torch
    if name == "tanh":
        return 5 / 3  # torch
    return math.sqrt(2 / (1 + (own if slope is None else slope) ** 2)) if name in RELU_LIKE else 1.0


def gain_squared(activation: str) -> float:
    """2 / (1 + a²), a the slope below 0: 0 but for `leaky_relu` and its kin; arXiv:1502.01852, eq. 15."""
    return 2 / (1 + parsed(activation)[1] ** 2)


def rule_for(activation: str) -> str:
    """The initialiser that keeps the variance through layers with this activation.

    He for the ReLU family (arXiv:1502.01852, eq. 10), Glorot for saturating ones (AISTATS 2010, eq. 12) and for the
    projections of attention, LeCun for SELU (arXiv:1706.02515, section 2) and where no activation follows.

    >>> [rule_for(name) for name in ("gelu", "tanh", "selu", "identity")]
    ['he_normal', 'xavier_uniform', 'lecun_normal', 'lecun_normal']
    """
    name, _ = parsed(activation)
    if name in RELU_LIKE:
        return "he_normal"
    return "xavier_uniform" if name in SATURATING_LIKE or name == "attention" else "lecun_normal"
