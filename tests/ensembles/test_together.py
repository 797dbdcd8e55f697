"""The parts as one: out-of-fold predictions choose the weights, rows that nobody saw judge, and the costs stand beside."""

import numpy as np
import torch

from tests.ensembles.digits import digits, net, trained
from tunesmith.blocks.metrics.judged import Array
from tunesmith.ensembles import Averaged, average, bag, costs, gain, measure, select, stratified
from tunesmith.ensembles.averaging import Predictor

KNOWN, NEW = slice(0, 400), slice(400, 1797)


def bagged(width: int, seed: int) -> tuple[Array, Predictor]:
    """Out-of-fold predictions of the known rows, and the bag."""

    def fit(rows: Array) -> Predictor:
        model = trained(net(seed, width), rows, seed=seed)
        return lambda inputs: model(inputs).softmax(1).detach().numpy()

    folds = stratified(digits().y[KNOWN].numpy(), 4, seed)
    found = bag(fit, lambda rows: digits().X[rows], folds, kind="multiclass", rows=400)
    return found.predictions, found


def test_weights_chosen_out_of_fold_leave_out_what_is_of_no_use_on_new_rows() -> None:
    X, y = digits().X[NEW], digits().y.numpy()
    bags = [bagged(width, seed) for seed, width in enumerate((4, 12, 32))]  # the first is too small to be of use

    found = select([told for told, _ in bags], y[KNOWN], "log_loss", kind="multiclass", bags=0)

    models = tuple(one for _, one in bags)
    chosen, equal = (Averaged(predictors=models, kind="multiclass", weights=each) for each in (found.weights, None))
    judge = measure("log_loss", kind="multiclass")
    assert found.weights[0] < 0.1
    assert judge(y[NEW], chosen(X)) < 0.8 * judge(y[NEW], equal(X))


def test_gain_and_costs_of_one_ensemble_are_told_of_the_same_members() -> None:
    nets = [trained(net(seed), np.arange(40 * seed, 40 * seed + 120), seed=seed) for seed in range(5)]
    X, y = digits().X[NEW], digits().y[NEW].numpy()
    with torch.no_grad():
        predictions = [one(X).softmax(1).numpy() for one in nets]

    found = gain(
        predictions,
        y,
        "accuracy",
        kind="multiclass",
        choosing=np.arange(400),
        weights=lambda given, truth: select(given, truth, "log_loss", kind="multiclass", bags=0).weights,
    )
    spent = costs(nets, X[:256], single=found.best, weights=found.weights)

    assert found.sure
    assert found.ensemble == measure("accuracy", kind="multiclass")(
        y[400:], average([one[400:] for one in predictions], found.weights, kind="multiclass")
    )
    assert spent.parameters_times == (found.weights > 0).sum()
