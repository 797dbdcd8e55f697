"""Several models as one: averages of predictions and of weights, and what they bring and cost."""

from tunesmith.ensembles.averaging import Averaged, average
from tunesmith.ensembles.bagging import Bagged, Fold, bag, bootstrap, by_time, check_honest, grouped, plain, stratified
from tunesmith.ensembles.distilling import EnsembleDistillation, blended, softened
from tunesmith.ensembles.gain import Cost, Costs, Gain, costs, gain
from tunesmith.ensembles.greedy import Bag, Selection, Step, select
from tunesmith.ensembles.measure import Measure, measure
from tunesmith.ensembles.snapshots import cycle_ends, snapshot_change, snapshot_steps, snapshot_weights
from tunesmith.ensembles.soup import Soup, Tasted, greedy_soup, uniform_soup, with_norms

__all__ = [
    "Averaged",
    "Bag",
    "Bagged",
    "Cost",
    "Costs",
    "EnsembleDistillation",
    "Fold",
    "Gain",
    "Measure",
    "Selection",
    "Soup",
    "Step",
    "Tasted",
    "average",
    "bag",
    "blended",
    "bootstrap",
    "by_time",
    "check_honest",
    "costs",
    "cycle_ends",
    "gain",
    "greedy_soup",
    "grouped",
    "measure",
    "plain",
    "select",
    "snapshot_change",
    "snapshot_steps",
    "snapshot_weights",
    "softened",
    "stratified",
    "uniform_soup",
    "with_norms",
]
