"""group_leak: rows of one person, patient or device lie in the training part and in a part that is to judge.

Sees      the column named as the group; else columns that look like the name of one (person_id, user, subject …) or hold many values a few
          times each. It is proved by a fast model that, without the column, is clearly worse on groups it never saw than on rows drawn
          at random, or by nearest rows (inputs and targets) that belong to the same group far more often than by chance.
Matters   the network recognises the person, and the score says nothing about new ones.
Remedies  name the column of groups, so that no group is divided (--group COL, data.split = "group").
Limits    places (city, postcode) and columns of ordinary words are left alone: they come again when the model is used. A column whose name
          says nothing must show both proofs.
Source    Saeb et al., GigaScience 6 (2017): record-wise against subject-wise cross-validation.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.leakage_inputs import Goal, Input, goals_of, inputs_of, matrix
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.threads import one_thread
from tunesmith.doctor.audits.usefulness_splits import Compared, compared
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity

LOOK = 5000  # rows; assumption
FEWEST_ROWS = 100
FEWEST_GROUPS = 5  # of a column that is named as one; assumption
MANY = 20  # groups of a column whose name says nothing; assumption
FEW_ROWS = 60  # mean rows of such a group; assumption
TRIED = 2  # columns that are proved; assumption
ALIKE = 0.15  # share of rows whose nearest row is of the same group; assumption
BEYOND = 5.0  # times what chance would have; assumption
GAIN = (
    0.01  # of power that is told by rows drawn at random more than by others, beside three standard errors; assumption
)
TIMES = 1.2  # how many times more new groups leave untold; assumption
DIVIDED = 0.2  # share of judged rows whose group is trained on; assumption
ENTITY = re.compile(
    r"(^|[_\s.-])(person|patient|subject|user|customer|client|speaker|driver|student|pupil|household|family|participant|individual|animal"
    r"|session|device|sensor|machine|engine|author|rider|player|member|account|visitor|donor|volunteer|video|clip|scene|specimen|slide"
    r"|group|respondent|worker|employee)([_\s.-]*(id|uid|uuid|no|nr|num|number|code|name|key|hash))?$"
    r"|(人员|用户|患者|病人|受试者|客户|说话人|被试|设备|家庭|学生|视频)(编号|号|姓名|id)?$",
    re.IGNORECASE,
)
NAMED = re.compile(
    r"(^|[_\s.-])(id|uid|uuid|no|nr|num|number|code|name|key|hash|编号|号)s?$|[a-z]I[dD]$", re.IGNORECASE
)
PLACE = re.compile(
    r"(zip|post|city|town|country|county|nation|region|state|province|district|area|neighbo|street|address|location|place|station|store|shop"
    r"|airport|product|item|brand|model|make|type|kind|class|category|job|occupation|education|degree|month|day|hour|week|year|date|time|age"
    r"|城市|国家|省|地区|邮编|街道|产品|商品|品牌|型号|类别|职业|学历)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Proof:
    """How alike rows of one group are."""

    near: float  # share of rows whose nearest row is of the same group
    chance: float
    against: Compared | None

    @property
    def alike(self) -> bool:
        return self.near >= max(ALIKE, BEYOND * self.chance)

    @property
    def harms(self) -> bool:
        return self.against is not None and self.against.harms(GAIN, TIMES)


@audit("group_leak", faults=("data.leakage",), cost=PASS)
def group_leak(material: Material) -> Iterator[Finding]:
    others = material.need_others()
    declared = material.roles.get("group")
    if declared is not None or material.train.group is not None:
        for view in others:
            yield from _declared(material, view, declared)
        return
    if material.form != "table":
        raise Inapplicable("no group is named and the data are no table")
    goals, inputs = goals_of(material), inputs_of(material)
    for name in _candidates(material, inputs, goals)[:TRIED]:
        shares = {
            view.part: _divided(material.train.table[name], view.table[name]) for view in others if name in view.table
        }
        if not shares or max(shares.values()) < DIVIDED:
            continue
        proof = _proof(material, name, goals, inputs)
        severity = _severity(material, name, proof)
        if severity is not None:
            yield _inferred(material, name, shares, proof, severity)


def _declared(material: Material, view: View, name: str | None) -> Iterator[Finding]:
    if name is not None and name in view.table:
        mine, theirs = material.train.table[name], view.table[name]
    elif view.planned and view.group is not None and material.train.group is not None:
        mine, theirs = material.train.group, view.group
    else:
        return
    known = _words(mine)
    both = np.isin(_words(theirs), known) & (_words(theirs) != "")
    if not both.any():
        return
    told = name or "group"
    groups = len(np.unique(_words(theirs)[both]))
    values = {"column": told, "part": view.part, "groups": groups, "rows": int(both.sum()), "share": float(both.mean())}
    yield Finding(
        fault="data.leakage",
        severity="error",
        message="leakage.group_declared",
        values=values,
        evidence=(Evidence(name="share of rows whose group is trained on", value=float(both.mean()), threshold=0.0),),
        remedies=(_name_group(told),)
        if view.planned
        else (Remedy(title="leakage.divide_groups", safety=Safety.ADVICE),),
        status="confirmed",
        subject={"columns": [told], "part": view.part, "rows": view.rows[both].tolist()},
    )


def _name_group(name: str) -> Remedy:
    return Remedy(
        title="leakage.name_group", safety=Safety.RISKY, change={"data.split": "group"}, values={"column": name}
    )


def _words(values: Array) -> Array:
    if values.dtype != object:
        return np.asarray(np.char.mod("%.17g", values.astype(np.float64)))
    return np.array(["" if value is None else str(value) for value in values.tolist()])


def _codes(values: Array) -> Array:
    """int64 groups, -1 for a gap."""
    words = _words(values)
    codes = np.unique(words, return_inverse=True)[1].reshape(-1)
    return np.where((words == "") | (words == "nan"), -1, codes)


def _divided(mine: Array, theirs: Array) -> float:
    """Share of judged rows whose group is trained on."""
    return float(np.isin(_words(theirs), _words(mine)).mean())


def _says_group(name: str) -> bool:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)  # personId
    return bool(ENTITY.search(spaced))


def _candidates(material: Material, inputs: Sequence[Input], goals: Sequence[Goal]) -> list[str]:
    """Columns that may name groups: those whose name says so, then those in whose groups inputs and targets are most alike."""
    view = material.whole
    count = len(view)
    found: dict[str, tuple[bool, float]] = {}
    if count < FEWEST_ROWS:
        return []
    for name, column in material.columns.items():
        if column.kind not in ("category", "number", "ordinal", "identifier") or name in material.roles.values():
            continue
        values = view.table[name]
        if values.dtype.kind == "f" and (values[np.isfinite(values)] % 1 != 0).any():
            continue
        says = _says_group(name)
        codes = _codes(values)
        groups = int(codes.max()) + 1
        mean = count / max(1, groups)
        named_code = says or bool(NAMED.search(name))
        if groups < (FEWEST_GROUPS if says else MANY) or mean < 2 or (not named_code and mean > FEW_ROWS):
            continue
        if not says and PLACE.search(name):
            continue
        found[name] = (says, _kinship(material, name, codes, inputs, goals))
    return sorted(
        (name for name, (says, kin) in found.items() if kin > (0.02 if says else 0.2)),
        key=lambda name: (not found[name][0], -found[name][1], name),
    )


def _kinship(material: Material, name: str, codes: Array, inputs: Sequence[Input], goals: Sequence[Goal]) -> float:
    """Largest share of the variance of an input or target that lies between groups, beyond chance (adjusted η²)."""
    rows = _some(codes, material.rng(f"group_leak {name}"))
    numbers = matrix([one for one in inputs if one.column != name and not one.levels], material.whole, rows)
    numbers = np.column_stack([numbers, *(goal.values[rows] for goal in goals)])
    return max((_between(codes[rows], numbers[:, place]) for place in range(numbers.shape[1])), default=0.0)


def _between(codes: Array, values: Array) -> float:
    known = ~np.isnan(values)
    values, codes = values[known], np.unique(codes[known], return_inverse=True)[1].reshape(-1)
    groups, count = int(codes.max(initial=0)) + 1, len(values)
    if count <= groups + 1 or values.std() == 0:
        return 0.0
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable") if len(np.unique(values)) > 20 else values
    means = np.bincount(codes, ranks) / np.bincount(codes)
    share = float((means[codes] - ranks.mean()).var() / np.var(ranks))
    return 1 - (1 - share) * (count - 1) / (count - groups)


def _some(codes: Array, rng: np.random.Generator) -> Array:
    """Rows of whole groups, at most `LOOK` of them."""
    names = rng.permutation(np.unique(codes[codes >= 0]))
    sizes = np.bincount(codes[codes >= 0], minlength=int(codes.max(initial=0)) + 1)[names]
    kept = names[: max(2, int(np.searchsorted(np.cumsum(sizes), LOOK, side="right")))]
    rows = np.flatnonzero(np.isin(codes, kept))
    return rows if len(rows) <= 2 * LOOK else np.sort(rng.choice(rows, LOOK, replace=False))


def _proof(material: Material, name: str, goals: Sequence[Goal], inputs: Sequence[Input]) -> Proof:
    codes = _codes(material.whole.table[name])
    rows = _some(codes, material.rng(f"group_leak {name}"))
    used = [one for one in inputs if one.column != name and not _counts(material, one)]
    numbers = matrix([one for one in used if not one.levels], material.whole, rows)
    numbers = np.column_stack([numbers, *(goal.values[rows] for goal in goals)])
    near, chance = _nearest(numbers, codes[rows])
    goal = goals[0]
    if not _says_group(name) and near < max(ALIKE, BEYOND * chance):
        return Proof(near, chance, None)  # one proof is missing already
    told = rows[~np.isnan(goal.values[rows])]
    against = compared(material, goal, used, told, codes[told]) if used and len(told) >= FEWEST_ROWS else None
    return Proof(near, chance, against)


def _counts(material: Material, one: Input) -> bool:
    """Whether an input counts the rows of the file: it would stand for any group of neighbours."""
    values = matrix([one], material.whole)[:, 0]
    return bool((np.diff(values) > 0).all())


def _nearest(numbers: Array, codes: Array) -> tuple[float, float]:
    """Share of rows whose nearest other row is of the same group, and what chance would have."""
    usable = np.isfinite(numbers).mean(0) > 0.5
    X = numbers[:, usable]
    if X.shape[1] < 2:
        return 0.0, 1.0
    X = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    spread = X.std(0)
    X = ((X - X.mean(0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
    same, size = 0, (X**2).sum(1)
    with one_thread():
        for start in range(0, len(X), 500):
            block = size[start : start + 500, None] + size[None] - 2 * X[start : start + 500] @ X.T
            block[np.arange(len(block)), start + np.arange(len(block))] = np.inf
            same += int((codes[block.argmin(1)] == codes[start : start + 500]).sum())
    counts = np.bincount(codes[codes >= 0])
    chance = float((counts * (counts - 1.0)).sum() / max(1, len(codes) * (len(codes) - 1)))
    return same / len(X), chance


def _severity(material: Material, name: str, proof: Proof) -> Severity | None:
    if _says_group(name):
        return "warning" if proof.alike or proof.harms else None
    return "warning" if proof.alike and proof.harms else None


def _inferred(material: Material, name: str, shares: dict[str, float], proof: Proof, severity: Severity) -> Finding:
    groups = int(_codes(material.whole.table[name]).max()) + 1
    part = max(shares, key=lambda one: shares[one])
    view = material.parts[part]
    both = np.isin(_words(view.table[name]), _words(material.train.table[name]))
    values = {
        "column": name,
        "groups": groups,
        "part": part,
        "share": shares[part],
        "near": proof.near,
        "chance": proof.chance,
    }
    told = [
        Evidence(name="share of rows whose group is trained on", value=shares[part], threshold=DIVIDED, where=part),
        Evidence(name="nearest row of the same group", value=proof.near, threshold=max(ALIKE, BEYOND * proof.chance)),
    ]
    if proof.against is not None:
        told.append(Evidence(name="power on rows drawn at random", value=proof.against.random.power))
        told.append(Evidence(name="power on new groups", value=proof.against.apart.power))
    values |= {"random": told[-2].value if proof.against else 0.0, "apart": told[-1].value if proof.against else 0.0}
    return Finding(
        fault="data.leakage",
        severity=severity,
        message="leakage.group" if proof.against is not None else "leakage.group_alike",
        values=values,
        evidence=tuple(told),
        remedies=(_name_group(name),)
        if view.planned
        else (Remedy(title="leakage.divide_groups", safety=Safety.ADVICE),),
        confidence=0.85 if _says_group(name) else 0.6,
        subject={"columns": [name], "part": part, "rows": view.rows[both].tolist()},
    )
