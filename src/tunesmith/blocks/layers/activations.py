"""Activations by name. A member is a factory `member() -> nn.Module`; the layer works entry by entry, on any shape."""

from collections.abc import Callable

from torch import nn

from tunesmith.records import Catalog

ACTIVATIONS: Catalog[Callable[[], nn.Module]] = Catalog("activation")

RELU_FAMILY = frozenset(
    {"relu", "leaky_relu", "gelu", "silu", "elu", "mish", "hard_swish", "softplus"}
)  # linear or nearly so for large x, small below 0
SATURATING = frozenset({"tanh", "sigmoid"})


def activation(name: str) -> nn.Module:
    """A new layer of the activation `name`."""
    return ACTIVATIONS[name]()


@ACTIVATIONS.add("relu")
def relu() -> nn.Module:
    """y = max(0, x).

    Shape: any -> the same.
    Use: the first choice behind convolutions and linear layers, with He's weights; units that are never on stay dead.
    Source: Nair & Hinton, ICML 2010, section 2.1.
    """
    return nn.ReLU()


@ACTIVATIONS.add("leaky_relu")
def leaky_relu() -> nn.Module:
    """y = x for x > 0, else 0.01 x.

    Shape: any -> the same.
    Use: where ReLU leaves units dead; the slope below 0 keeps their gradient.
    Source: Maas, Hannun & Ng, ICML workshop 2013, eq. 2.
    """
    return nn.LeakyReLU(0.01)


@ACTIVATIONS.add("gelu")
def gelu() -> nn.Module:
    """y = x Φ(x), Φ the normal distribution function, computed exactly by erf.

    Shape: any -> the same.
    Use: transformers, with the weights they were designed with; dearer than ReLU, little gained in small nets.
    Source: Hendrycks & Gimpel, arXiv:1606.08415, section 2.
    """
    return nn.GELU()


@ACTIVATIONS.add("silu")
def silu() -> nn.Module:
    """y = x / (1 + exp(-x)), also called swish.

    Shape: any -> the same.
    Use: deep convolution nets and gated layers, in the place of ReLU; dearer.
    Source: Elfwing, Uchibe & Doya, arXiv:1702.03118, eq. 12.
    """
    return nn.SiLU()


@ACTIVATIONS.add("elu")
def elu() -> nn.Module:
    """y = x for x > 0, else exp(x) - 1.

    Shape: any -> the same.
    Use: nets without norm layers, where outputs with a mean near 0 help.
    Source: Clevert, Unterthiner & Hochreiter, arXiv:1511.07289, eq. 15 with α = 1.
    """
    return nn.ELU()


@ACTIVATIONS.add("selu")
def selu() -> nn.Module:
    """y = λ x for x > 0, else λ α (exp(x) - 1), with λ = 1.0507 and α = 1.6733.

    Shape: any -> the same. Mean 0 and variance 1 are a fixed point under LeCun weights.
    Use: plain feed-forward nets with `lecun_normal` weights and neither norm layers nor common dropout; else ReLU
    or GELU.
    Source: Klambauer et al., arXiv:1706.02515, eq. 2 and 14.
    """
    return nn.SELU()


@ACTIVATIONS.add("tanh")
def tanh() -> nn.Module:
    """y = tanh(x).

    Shape: any -> the same.
    Use: recurrent nets and outputs between -1 and 1, with Xavier's weights; saturates in deep stacks.
    Source: LeCun et al., Efficient BackProp, 1998, section 4.4.
    """
    return nn.Tanh()


@ACTIVATIONS.add("sigmoid")
def sigmoid() -> nn.Module:
    """y = 1 / (1 + exp(-x)).

    Shape: any -> the same.
    Use: gates and probabilities; between hidden layers it saturates and its mean of 0.5 slows learning.
    Source: Rumelhart, Hinton & Williams, Nature 323, 1986, eq. 2.
    """
    return nn.Sigmoid()


@ACTIVATIONS.add("mish")
def mish() -> nn.Module:
    """y = x tanh(ln(1 + exp(x))).

    Shape: any -> the same.
    Use: as silu, which is nearly the same and cheaper.
    Source: Misra, arXiv:1908.08681, eq. 1.
    """
    return nn.Mish()


@ACTIVATIONS.add("hard_swish")
def hard_swish() -> nn.Module:
    """y = x min(max(x + 3, 0), 6) / 6.

    Shape: any -> the same.
    Use: as silu where exp is dear: phones, integer arithmetic.
    Source: Howard et al., arXiv:1905.02244, section 5.2.
    """
    return nn.Hardswish()


@ACTIVATIONS.add("softplus")
def softplus() -> nn.Module:
    """y = ln(1 + exp(x)).

    Shape: any -> the same.
    Use: outputs that must be positive, such as a variance; between layers take ReLU.
    Source: Dugas et al., NIPS 2000, section 3.
    """
    return nn.Softplus()


@ACTIVATIONS.add("identity")
def identity() -> nn.Module:
    """y = x, for a linear network.

    Shape: any -> the same.
    Use: to see what a net gains by being nonlinear, or where the next layer has its own activation.
    Source: deep linear networks: Saxe, McClelland & Ganguli, arXiv:1312.6120.
    """
    return nn.Identity()
