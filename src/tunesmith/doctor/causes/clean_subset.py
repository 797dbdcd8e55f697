"""clean_subset: a share of the labels is wrong.

Sees      the program trained without the rows whose label a forest, fitted on other rows, contradicts with confidence, against the program
          as it is and against the control, without as many rows drawn at random; all judged on validation rows.
Matters   what is learnt of wrong labels is unlearnt of right ones.
Remedies  look at the rows, relabel or drop them; a robust loss; early stopping.
Limits    hard rows look wrong to a weak model: validation rows, labelled alike, decide. Classes alone.
Source    Northcutt et al., arXiv:1911.00068 (out-of-sample probabilities).
"""

from collections.abc import Iterator

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_predict

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rows import taken
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program

ROWS = 3000  # assumption: a forest on them takes seconds
WIDEST = 2000  # numbers a row; assumption
LEAST = 0.05  # of the rows: fewer wrong labels do no harm that a short training shows; assumption
SURE = 0.5  # of a forest for another class; assumption
FEW = 10  # rows of the rarest class; assumption: three folds of them


@experiment("clean_subset", faults=("data.label_noise",), remedy="remedy.causes_labels")
def clean_subset(case: Case) -> Iterator[Change]:
    bench = case.bench
    if case.trouble.measure != "validation score" or not bench.classed or bench.task is not None:
        return
    wrong = bench.kept("causes.contradicted", lambda: contradicted(bench))
    if wrong is None or wrong.mean() < LEAST:
        return
    kept = np.flatnonzero(~wrong)

    def without(bench: Bench, program: Program) -> Program:
        return taken(bench, program, kept.tolist())

    drawn = np.sort(bench.rng("clean_subset").permutation(len(wrong))[: len(kept)])

    def fewer(bench: Bench, program: Program) -> Program:
        return taken(bench, program, drawn.tolist())

    share = float(wrong.mean())
    likely = max(0.3, case.suspected("data.label_noise"))
    control = Change("as many rows drawn at random left out", likely, rewrite=fewer)
    yield Change(
        "rows with contradicted labels left out", likely, rewrite=without, values={"share": share}, control=control
    )


def contradicted(bench: Bench) -> "np.ndarray[tuple[int], np.dtype[np.bool_]] | None":
    """Which training rows a forest of other rows contradicts; None where that cannot be asked."""
    batch = bench.train.take(range(min(ROWS, len(bench.train))))
    inputs = batch.inputs
    if not hasattr(inputs, "dim") or not inputs.is_floating_point() or inputs[0].numel() > WIDEST:
        return None
    flat = np.nan_to_num(inputs.detach().cpu().reshape(batch.size, -1).double().numpy())
    target = batch.target.detach().cpu()
    labels = (target.argmax(1) if target.dim() == 2 and target.shape[1] > 1 else target.reshape(-1)).numpy()
    names, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(names) < 2 or counts.min() < FEW:
        return None
    forest = ExtraTreesClassifier(60, random_state=bench.seed % 2**32, n_jobs=1)
    chances = cross_val_predict(forest, flat, places, cv=3, method="predict_proba")
    best = chances.argmax(1)
    return np.asarray((best != places) & (chances.max(1) > SURE))
