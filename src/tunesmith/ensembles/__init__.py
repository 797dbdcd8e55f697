"""Several models as one: averages of predictions and of weights, and what they bring and cost."""

from tunesmith.ensembles.averaging import Averaged, average
from tunesmith.ensembles.greedy import Bag, Selection, Step, select
from tunesmith.ensembles.measure import Measure, measure

__all__ = [
    "Averaged",
    "Bag",
    "Measure",
    "Selection",
    "Step",
    "average",
    "measure",
    "select",
]
