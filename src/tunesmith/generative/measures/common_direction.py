"""How much of the embeddings' length is the same for all? What complete collapse is, whatever the axes.

Legend: u_i = z_i / |z_i| the directions of the N embeddings.
"""

from typing import Any

from tunesmith.generative.measures import MEASURES
from tunesmith.generative.measures.spread import on_sphere
from tunesmith.generative.points import points


@MEASURES.add("common_direction")
def common_direction(embeddings: Any) -> float:
    """|mean u|²: 1 where all point one way, about 1/N where they point everywhere, in however few dimensions.

    Shape: `embeddings` (N, D). 1 minus it is D times the mean variance of u, so that sqrt(1 - |mean u|²) is the normalised spread
    over 1/√D, taken as a root mean square: unlike the mean of deviations it does not depend on the axes, nor fall where the data
    fill few dimensions.

    Raises `DataError` for rows that do not fit.
    Use: complete collapse where embeddings fill few of their dimensions anyway.
    Source: Wang & Isola, arXiv:2005.10242, section 4 (the mean of directions); Chen & He, arXiv:2011.10566 (1/√D).

    >>> common_direction([[1.0, 0.0], [-2.0, 0.0]]), common_direction([[1.0, 1.0], [2.0, 2.0]])
    (0.0, 1.0)
    """
    mean = on_sphere(points(embeddings, "embeddings").double()).mean(dim=0)
    return min(1.0, round(float(mean.square().sum()), 12))  # rounding of the roots may end above 1
