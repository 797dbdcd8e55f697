"""shuffling: the rows lie in the order of their labels, and the batches follow it.

Sees      the labels of the batches as they are fed (by the program's own loop, where it has one): how much less they vary
          within a batch than in batches drawn at random (entropy of the classes, spread of the numbers), against the same rows
          in a hundred random orders.
Matters   a batch of a single class pulls the net to that class, the next one back: the loss falls within an epoch and leaps at
          the start of the next.
Remedies  shuffle the rows every epoch.
Limits    rows in an order that tells nothing of the label are fine as they lie, and are not spoken of. Needs two batches and
          labels that are classes or numbers.
Source    Bottou, "Stochastic Gradient Descent Tricks" (2012), section 2: randomly shuffle the training examples.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.doctor.preflight.trace import loop_trace, rows_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

Array = np.ndarray[Any, Any]
SHUFFLES = 100  # random orders compared with: p < 0.01
LOST = 0.3  # of the spread within batches that the order takes away; assumption: a mild order harms little
MOST = 20_000  # rows that are read; assumption
MOST_BATCHES = 400  # assumption

SHUFFLE = Remedy(title="remedy.loop_shuffle", safety=Safety.RISKY, change={"data.sampler": "shuffle"})


@check("shuffling", faults=("data.unshuffled",), cost=PASS)
def shuffling(bench: Bench) -> Iterator[Finding]:
    if bench.kind not in ("binary", "multiclass", "regression", "multi_regression"):
        raise Inapplicable(f"the labels of a {bench.kind} task have no order")
    if bench.train.batches < 2:
        raise Inapplicable("all rows are one batch")
    labels, sizes = _as_fed(bench)
    if len(sizes) < 2 or max(sizes) < 2:
        raise Inapplicable("the batches hold a single row")
    codes = np.unique(labels, return_inverse=True)[1].reshape(-1) if bench.classed else None
    lost, order, p = lost_within(labels, sizes, codes, bench.rng("shuffling"))
    if lost > LOST and p <= 1 / SHUFFLES:
        match = _match(labels if codes is None else codes, codes is not None)
        message = "loop.unshuffled_classes" if bench.classed else "loop.unshuffled_numbers"
        yield Finding(
            fault="data.unshuffled",
            severity="warning",
            message=message,
            values={"kept": 1 - lost, "batches": len(sizes), "match": match, "chance": order, "size": max(sizes)},
            evidence=(
                Evidence(name="spread_within_batches", value=1 - lost, threshold=1 - LOST, source="assumption"),
                Evidence(name="neighbours_alike", value=match, threshold=order),
            ),
            remedies=(SHUFFLE,)
            if bench.task is not None
            else (Remedy(title="remedy.loop_shuffle", safety=Safety.ADVICE),),
            confidence=0.95,
            status="confirmed",
        )


def lost_within(
    labels: Array, sizes: list[int], codes: Array | None, rng: np.random.Generator
) -> tuple[float, float, float]:
    """The share of the spread within batches that the order takes away, the neighbours alike by chance, and p of the order.

    >>> lost, _, p = lost_within(np.repeat([0, 1], 50), [10] * 10, np.repeat([0, 1], 50), np.random.default_rng(0))
    >>> round(lost, 2), p
    (1.0, 0.0)
    """
    values = labels.reshape(len(labels), -1).astype(np.float64) if codes is None else codes
    seen = _within(values, sizes, codes is not None)
    drawn = [_within(values[rng.permutation(len(values))], sizes, codes is not None) for _ in range(SHUFFLES)]
    usual = float(np.mean(drawn))
    if usual <= 0:
        return 0.0, 0.0, 1.0
    alike = float(((np.bincount(codes) / len(codes)) ** 2).sum()) if codes is not None else 0.0
    return 1 - seen / usual, alike, float(np.mean(np.array(drawn) <= seen))


def _within(values: Array, sizes: list[int], classed: bool) -> float:
    """Mean entropy of the classes of a batch, in nats; or the mean variance within a batch."""
    starts = np.cumsum([0, *sizes])
    parts = [values[start : start + size] for start, size in zip(starts, sizes, strict=False) if size > 1]
    if not classed:
        return float(np.average([part.var(0).sum() for part in parts], weights=[len(part) for part in parts]))
    found = []
    for part in parts:
        share = np.bincount(part) / len(part)
        share = share[share > 0]
        found.append(-float((share * np.log(share)).sum()))
    return float(np.average(found, weights=[len(part) for part in parts]))


def _match(values: Array, classed: bool) -> float:
    """How often a row has the class of the one before; or the correlation with it."""
    if classed:
        return float(np.mean(values[1:] == values[:-1]))
    first = values.reshape(len(values), -1)[:, 0].astype(np.float64)
    return float(np.corrcoef(first[1:], first[:-1])[0, 1]) if first.std() > 0 else 0.0


def _as_fed(bench: Bench) -> tuple[Array, list[int]]:
    """Labels in the order of the first epoch, and the size of each batch."""
    if bench.program.loop is not None and bench.train.loader is None:
        return _by_loop(bench)
    labels, sizes = [], []
    if bench.train.loader is None:
        order = bench.train.order(0)
        assert order is not None
        target = bench.target
        order = order[order < len(target)] if len(target) < len(order) else order
        size = max(1, bench.program.batch_size)
        return _flat(bench, target[order.numpy()]), [
            len(order[start : start + size]) for start in range(0, len(order), size)
        ]
    with undisturbed(bench):
        for batch in bench.train.fed(0):
            labels.append(batch.target.detach().cpu().numpy())
            sizes.append(batch.size)
            if sum(sizes) > MOST or len(sizes) >= MOST_BATCHES:
                break
    return _flat(bench, np.concatenate(labels)), sizes


def _flat(bench: Bench, labels: Array) -> Array:
    """One class number a row, also of one-hot rows."""
    return labels.argmax(1) if bench.classed and labels.ndim == 2 and labels.shape[1] > 1 else labels


def _by_loop(bench: Bench) -> tuple[Array, list[int]]:
    """Whether the loop goes through arrays in their order, seen on its copy; if so, the labels as they lie."""
    trace = loop_trace(bench)
    taught = [event for event in trace.of("forward") if event.taught and event.rows]
    if not taught:
        raise Inapplicable("the program's own loop showed no training pass on its copy")
    rows = rows_of(bench.train.take(range(min(len(bench.train), MOST))).inputs)
    place = {row: number for number, row in enumerate(rows)}
    places = [place[row] for event in taught for row in event.rows if row in place]
    if len(places) < 4:
        raise Inapplicable("the rows of the program's own loop were not recognised")
    climbing = float(np.mean(np.diff(places[: max(4, len(places) // 2)]) > 0))
    target = bench.target
    size = max(1, bench.program.batch_size)
    order = torch.arange(len(target)) if climbing > 0.9 else torch.randperm(len(target), generator=_generator(bench))
    return _flat(bench, target[order.numpy()]), [
        len(order[start : start + size]) for start in range(0, len(order), size)
    ]


def _generator(bench: Bench) -> torch.Generator:
    return torch.Generator().manual_seed(bench.seed)
