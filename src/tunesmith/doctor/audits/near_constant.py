"""near_constant: columns of which nearly every row holds one value, and whose other rows tell nothing of the target.

Sees      the commonest value in 99 % of the training rows or more, and a test that cannot tell the target of the other rows from
          that of these (chi-square for classes, rank sum for numbers, p > 0.01).
Matters   a column that hardly changes is noise to the model and breaks scalers: its deviation is that of a few rows.
Remedies  leave the column out (advice).
Limits    silent without a target, below 200 rows, and for columns of 0 and 1 in arrays, which one-hot codes make. A rare value that
          carries the label is no fault and is left alone.
Source    Kuhn & Johnson, Applied Predictive Modeling (2013), section 3.5 (near-zero variance); the share is an assumption.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency, mannwhitneyu

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.naming import few
from tunesmith.doctor.audits.number_columns import number_columns
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable

SHARE = 0.99  # of the commonest value; assumption
CHANCE = 0.01  # p above which the rare rows tell nothing; assumption
FEWEST = 200  # rows; below, 1 % is one row or two
WIDEST = 512  # columns of an array beyond which sparse columns are its nature; assumption
DROP = Remedy(title="data.drop_column", safety=Safety.ADVICE)


@audit("near_constant", faults=("data.constant",), cost=PASS)
def near_constant(material: Material) -> Iterator[Finding]:
    material.need_target()
    if len(material.train) < FEWEST:
        raise Inapplicable(f"{len(material.train)} rows are too few to call a value rare")
    found = []
    for name, value, usual in _candidates(material):
        chance = _chance(material, usual)
        if chance > CHANCE:
            found.append((float(usual.mean()), name, value, usual, chance))
    if not found:
        return
    found.sort(key=lambda one: (-one[0], one[1]))
    share, name, value, usual, chance = found[0]
    many = len(found) > 1
    others = int((~usual).sum())
    values: dict[str, Any] = {"column": name, "value": value, "share": share, "others": others}
    values |= {"count": len(found), "names": few(one[1] for one in found)} if many else {}
    where: dict[str, Any] = {} if many else {"rows": material.train.rows[~usual].tolist()}
    yield Finding(
        fault="data.constant",
        severity="note",
        message="audits.near_constant_columns" if many else "audits.near_constant",
        values=values,
        evidence=(
            Evidence(name="share of the commonest value", value=share, threshold=SHARE, source="assumption"),
            Evidence(name="p of the target of the other rows", value=chance, threshold=CHANCE),
        ),
        remedies=(DROP,),
        status="confirmed",
        subject={"columns": [one[1] for one in found], "scores": [one[0] for one in found], **where},
    )


def _candidates(material: Material) -> Iterator[tuple[str, str, Array]]:
    """Column, its commonest value for people, and which rows hold it."""
    train = material.train
    for numbers in number_columns(material, train):
        if len(numbers.names) > WIDEST:
            continue
        codes = len(numbers.names) > 1
        for place in np.flatnonzero(numbers.changing & (numbers.gaps == 0)):
            if codes and numbers.low[place] == 0 and numbers.high[place] == 1:
                continue
            column = numbers.values[:, place]
            usual = column == np.median(column)  # a value of more than half the rows is the median
            if usual.mean() >= SHARE:
                yield numbers.names[place], f"{float(np.median(column)):g}", usual
    for name in material.words("category"):
        column = train.table[name]
        value, count = Counter(column.tolist()).most_common(1)[0]
        if SHARE <= count / len(column) < 1 and name not in material.roles.values():
            yield name, repr(value), np.fromiter((cell == value for cell in column), bool, len(column))


def _chance(material: Material, usual: Array) -> float:
    train = material.train
    assert train.target is not None
    if train.codes is not None:
        known = train.codes >= 0
        table = np.zeros((2, len(material.classes)), np.int64)
        np.add.at(table, (usual[known].astype(np.int64), train.codes[known]), 1)
        table = table[:, table.sum(0) > 0]
        return (
            float(chi2_contingency(table, correction=False).pvalue) if min(table.sum(1)) and table.shape[1] > 1 else 1.0
        )
    if train.target.dtype.kind not in "fiub":
        return 1.0
    columns = train.target.reshape(len(train), -1).astype(np.float64)
    return min((_ranked(column, usual) for column in columns.T), default=1.0)


def _ranked(column: Any, usual: Array) -> float:
    known = np.isfinite(column)
    rare, rest = column[known & ~usual], column[known & usual]
    return float(mannwhitneyu(rare, rest).pvalue) if len(rare) and len(rest) else 1.0
