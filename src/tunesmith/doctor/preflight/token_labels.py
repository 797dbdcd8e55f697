"""token_labels: padding that a language model learns, and endings that it does not.

Sees      of tokens (N, L) with a label each: the token that fills rows up at their end, how many counted labels are that token
          behind the first, and whether the last counted label of the rows is one and the same token, an ending.
Matters   padding is easy and many: the loss falls by it and says nothing. Without an ending that trains a model never stops;
          the usual way there is a pad token that is the end token, with all of its labels masked.
Remedies  mask labels by length, not by the pad token; leave the end of each text in the loss.
Limits    needs 8 rows that are filled up. Whether prompts should train cannot be seen in arrays: files of chats know it.
Source    the labels of the program itself; share of rows with one last label: assumption.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

FEWEST = 8  # rows that are filled up; assumption
SAME = 0.5  # share of the rows whose last label is one token, where texts have an ending; assumption

MASK = Remedy(title="remedy.mask_padding", safety=Safety.ADVICE)
END = Remedy(title="remedy.train_ending", safety=Safety.ADVICE)


@check("token_labels", faults=("loss.mismatch",), cost=CHEAP)
def token_labels(bench: Bench) -> Iterator[Finding]:
    if bench.kind != "language":
        raise Inapplicable("the targets are not one token for each of the inputs")
    inputs, target = bench.kept("arrays", bench.train.arrays)
    tokens = inputs.get("tokens") if isinstance(inputs, dict) else inputs
    if tokens is None or tokens.dtype.kind not in "iu" or tokens.shape != target.shape or tokens.ndim != 2:
        raise Inapplicable("the inputs are not one row of tokens for each row of labels")
    filler, runs = filled_up(tokens)
    padded = np.flatnonzero(runs > 0)
    if len(padded) < FEWEST:
        raise Inapplicable(f"{len(padded)} rows are filled up at their end, and {FEWEST} are needed")
    counted = target >= 0
    behind = np.arange(tokens.shape[1]) >= tokens.shape[1] - runs[:, None]
    wrong = int((behind & counted & (target == filler)).sum())
    if wrong:
        share = wrong / int(counted.sum())
        yield _finding("preflight.padding_trains", {"labels": wrong, "share": share, "token": filler}, share, 0.0, MASK)
        return
    share = ending_share(target[padded], counted[padded])
    if share < SAME:
        yield _finding("preflight.no_ending", {"rows": len(padded), "share": share, "token": filler}, share, SAME, END)


def filled_up(tokens: Array) -> tuple[int, Array]:
    """The token that most rows end with twice or more, and how many of it stand at the end of each row; 0 for a single one.

    >>> filled_up(np.array([[5, 6, 0, 0], [7, 0, 0, 0], [1, 2, 3, 4]]))
    (0, array([2, 3, 0]))
    """
    twice = tokens[tokens[:, -1] == tokens[:, -2], -1] if tokens.shape[1] > 1 else tokens[:0, -1]
    if not len(twice):
        return -1, np.zeros(len(tokens), np.int64)
    values, counts = np.unique(twice, return_counts=True)
    filler = int(values[counts.argmax()])
    other = tokens[:, ::-1] != filler
    runs = np.where(other.any(axis=1), other.argmax(axis=1), tokens.shape[1])
    return filler, np.where(runs > 1, runs, 0)


def ending_share(target: Array, counted: Array) -> float:
    """The share of the rows with labels whose last one is the commonest last one."""
    there = counted.any(axis=1)
    if not there.any():
        return 0.0
    last = target.shape[1] - 1 - counted[there, ::-1].argmax(axis=1)
    _, counts = np.unique(target[there][np.arange(int(there.sum())), last], return_counts=True)
    return float(counts.max() / there.sum())


def _finding(message: str, values: dict[str, float], value: float, threshold: float, remedy: Remedy) -> Finding:
    return Finding(
        fault="loss.mismatch",
        severity="warning",
        message=message,
        values=values,
        evidence=(Evidence(name="share", value=value, threshold=threshold, source="the labels of the program"),),
        remedies=(remedy,),
        confidence=0.8,
        status="suspected",
    )
