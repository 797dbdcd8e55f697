"""Several models as one: averages of predictions and of weights, and what they bring and cost."""

from tunesmith.ensembles.averaging import Averaged, average
from tunesmith.ensembles.greedy import Bag, Selection, Step, select
from tunesmith.ensembles.measure import Measure, measure
from tunesmith.ensembles.snapshots import cycle_ends, snapshot_change, snapshot_steps, snapshot_weights
from tunesmith.ensembles.soup import Soup, Tasted, greedy_soup, uniform_soup, with_norms

__all__ = [
    "Averaged",
    "Bag",
    "Measure",
    "Selection",
    "Soup",
    "Step",
    "Tasted",
    "average",
    "cycle_ends",
    "greedy_soup",
    "measure",
    "select",
    "snapshot_change",
    "snapshot_steps",
    "snapshot_weights",
    "uniform_soup",
    "with_norms",
]
