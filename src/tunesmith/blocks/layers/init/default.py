"""The initialiser of torch's own linear and convolution layers."""

import math

from torch import Generator, Tensor

from tunesmith.blocks.layers.init import DEVIATIONS, INITS, fans
from tunesmith.blocks.layers.init.draws import uniform_


@DEVIATIONS.add("default")
def deviation(weight: Tensor, activation: str = "relu") -> float:
    """√(1 / (3 n_in))."""
    return math.sqrt(1 / (3 * fans(weight)[0]))


@INITS.add("default")
def default(weight: Tensor, activation: str = "relu", *, generator: Generator | None = None) -> None:
    """w ~ U(-r, r) with r = 1 / √n_in; `initialise(model, "default")` leaves the model as torch made it.

    torch spells it `kaiming_uniform_(a=√5)`; it is not He's law: through ReLU layers without bias the second moment
    falls by 6 at each.

    Shape: (out, in, *kernel), filled in place.
    Source: LeCun et al., Efficient BackProp, 1998, eq. 16 with a third of the variance; torch's `reset_parameters`.
    Use: shallow nets, or nets with norm layers; a deep net without them loses its signal.
    """
    uniform_(weight, 1 / math.sqrt(fans(weight)[0]), generator)
