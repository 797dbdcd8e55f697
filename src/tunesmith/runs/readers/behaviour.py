"""What the values of columns say of their roles, where names leave it open: parts, percent, totals of losses."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tunesmith.runs.history import Floats
from tunesmith.runs.notice import Notice
from tunesmith.runs.quantities import LOWER_IS_BETTER, SHARES
from tunesmith.runs.readers import words
from tunesmith.runs.readers.gathering import Key
from tunesmith.runs.readers.naming import split
from tunesmith.runs.readers.roles import IGNORE, Role

OF_THE_RUN = frozenset(("lr", "grad_norm"))
STANDS_IN = ("log_loss", "mse", "rmse", "mae", "bits", "perplexity", "error")  # for the loss where there is none


@dataclass(frozen=True, slots=True)
class Seen:
    """A column: its role so far and its finite values in order; `asked` is a role that a person gave."""

    role: Role
    values: Floats
    rows: Floats
    asked: bool = False

    @property
    def first(self) -> float:
        return float(np.median(self.values[:3]))

    @property
    def last(self) -> float:
        return float(np.median(self.values[-3:]))


@dataclass(slots=True)
class Derived:
    """A curve made of others: their sum, or their mean."""

    role: Role
    how: str  # "sum", "mean"
    keys: list[Key]


@dataclass(slots=True)
class Judged:
    """Roles and factors by column, curves to be made, and what has to be said."""

    roles: dict[Key, Role]
    factors: dict[Key, float] = field(default_factory=dict)
    derived: list[Derived] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)


def judged(seen: Mapping[Key, Seen], percent: set[str]) -> Judged:
    """The roles of all columns taken together."""
    found = Judged({key: one.role for key, one in seen.items()})
    with_course(found, seen)
    with_parts(found, seen)
    with_places(found, seen)
    with_shares(found, seen, percent)
    with_setting(found)
    with_totals(found, seen)
    with_test_as_val(found, seen)
    with_stand_in(found, seen)
    return found


def is_curve(role: Role) -> bool:
    return role.kind == "value" and role.known and role.name not in OF_THE_RUN


def with_course(found: Judged, seen: Mapping[Key, Seen]) -> None:
    """Columns called only `train` or `test`, or the only one without a known name: a loss if they fall, a share if they rise in 0 … 1."""
    bare = [
        key
        for key, role in found.roles.items()
        if not role.known and role.kind == "value" and role.name == "value" and len(seen[key].values)
    ]
    parted = [key for key in bare if found.roles[key].part]
    curves = [key for key, role in found.roles.items() if is_curve(role)]
    unknown = [
        key
        for key, role in found.roles.items()
        if role.kind == "value" and not role.known and len(seen[key].values) >= 3
    ]
    for key in parted:
        if not course(seen[key].values):
            found.roles[key] = IGNORE
    guess = [key for key in parted if found.roles[key] is not IGNORE] or (
        unknown if len(unknown) == 1 and not curves else []
    )
    for key in guess:
        one = seen[key]
        name = course(one.values)
        if name:
            found.roles[key] = replace(one.role, name=name, known=True)
            found.notices.append(
                Notice("readers.by_course", column=key[0], role=str(found.roles[key]), first=one.first, last=one.last)
            )


def course(values: Floats) -> str:
    low, high = float(values.min()), float(values.max())
    if len(values) < 3 or low == high:
        return ""
    early, middle, late = (np.median(third) for third in np.array_split(values, 3))
    if early < middle <= late:
        return "accuracy" if low >= 0 and high <= 1 else ""
    return "loss" if early > middle >= late and early > 0 else ""


def with_parts(found: Judged, seen: Mapping[Key, Seen]) -> None:
    """Parts of curves whose names tell none, from their neighbours: `loss` beside `val_loss` is of training."""
    named = {(role.name, role.where, role.part) for role in found.roles.values() if is_curve(role) and role.part}
    plain_loss = any(role.name == "loss" and not role.part and role.kind == "value" for role in found.roles.values())
    trained = any(name == "loss" and part == "train" for name, _, part in named)
    held = {part for name, _, part in named if part in ("val", "test")}
    often = max(
        (
            len(one.values)
            for key, one in seen.items()
            if found.roles[key].name == "loss" and found.roles[key].part in ("", "train")
        ),
        default=0,
    )
    guessed = []
    for key, role in found.roles.items():
        if not is_curve(role) or role.part or seen[key].asked:
            continue
        siblings = {part for name, where, part in named if (name, where) == (role.name, role.where)}
        part = "train"
        if role.name == "loss":
            part = "train"
        elif role.name == "reward":
            part = ""
        elif "val" in siblings or "test" in siblings:
            part = "train"
        elif "train" in siblings or held or seldom(seen[key], often) or apart(found, seen, key):
            part = "val" if "val" in held or not held else "test"
            guessed.append(key[0])
        elif not trained and not plain_loss and not held and role.name not in LOWER_IS_BETTER:
            part = "val"
        found.roles[key] = role.at(part)
    if guessed:
        found.notices.append(Notice("readers.val_by_custom", columns=", ".join(dict.fromkeys(guessed))))


def seldom(one: Seen, often: int) -> bool:
    """Whether a score was taken so much more seldom than the loss that it was a pass of its own."""
    return 0 < len(one.values) <= 0.5 * often


def apart(found: Judged, seen: Mapping[Key, Seen], key: Key) -> bool:
    """Whether a score stands in other rows than every loss."""
    losses = [
        other
        for other, its in found.roles.items()
        if its.name == "loss" and its.kind == "value" and len(seen[other].rows)
    ]
    return bool(losses) and not any(np.isin(seen[key].rows, seen[other].rows).any() for other in losses)


def with_places(found: Judged, seen: Mapping[Key, Seen]) -> None:
    """A number behind a name tells nothing where it is the only one; the only term of a loss is the loss."""
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for role in found.roles.values():
        if is_curve(role):
            places[role.name, role.part].add(role.where)
    if {"0", "1"} <= {where for (_, part), several in places.items() for where in several if part == "val"}:
        numbered_sets(found)  # xgboost: validation_0 is what it was trained on, by custom
        return
    for key, role in found.roles.items():
        several = places[role.name, role.part]
        if not is_curve(role) or not role.where:
            continue
        if role.name != "loss" and "" not in several:
            found.roles[key] = replace(role, where=main_place(role.where, several))
            continue
        if len(several) > 1:
            continue
        elsewhere = {
            where
            for (name, part), several in places.items()
            if name == role.name and part != role.part
            for where in several
        }
        if role.where.isdigit() or (
            role.name == "loss" and "" not in elsewhere and len(elsewhere) <= 1 and not adversarial(role.where)
        ):
            found.roles[key] = replace(role, where="")


def main_place(where: str, several: set[str]) -> str:
    """Of `bbox`, `bbox 50`, `bbox 75` the first is the main one; so is a place alone, but for `top 5`."""
    shortest = min(several, key=len)
    if shortest.startswith("top") or any(one != shortest and not one.startswith(f"{shortest} ") for one in several):
        return where
    return where[len(shortest) :].strip()


def numbered_sets(found: Judged) -> None:
    for key, role in found.roles.items():
        if is_curve(role) and role.part == "val" and role.where in ("0", "1"):
            found.roles[key] = replace(role, part="train" if role.where == "0" else "val", where="")
    found.notices.append(Notice("readers.numbered_sets"))


def with_shares(found: Judged, seen: Mapping[Key, Seen], percent: set[str]) -> None:
    """Scores in percent as shares."""
    scaled = []
    for key, role in found.roles.items():
        values = seen[key].values
        if not is_curve(role) or not len(values) or key[0] in percent:
            continue
        low, high = float(values.min()), float(values.max())
        says = bool(words.SAYS_PERCENT.search(key[0].casefold()))
        beyond = role.name in SHARES and 1.5 < high <= 100.5 and low >= 0
        doubled = role.name in ("wer", "cer") and float(np.median(values)) > 2 and high <= 1000
        wrong = role.name == "error" and 1.5 < high <= 100.5 and low >= 0 and (says or right_beside(found, seen, role))
        if beyond or doubled or wrong or (says and role.name in SHARES | {"error", "wer", "cer"} and high <= 100.5):
            found.factors[key] = 0.01
            scaled.append(key[0])
        elif role.name in SHARES and (high > 100.5 or low < -0.01) and not seen[key].asked:
            found.roles[key] = replace(role, name="_".join(split(key[0])), known=False)
            found.notices.append(Notice("readers.no_share", column=key[0], name=role.name, low=low, high=high))
    siblings(found, seen, scaled)
    if scaled:
        found.notices.append(Notice("readers.percent", columns=", ".join(dict.fromkeys(scaled))))
    for key, role in found.roles.items():
        if role.name == "lr" and role.kind == "value" and len(seen[key].values) and seen[key].values.min() < 0:
            found.roles[key] = replace(role, name="_".join(split(key[0])), known=False)


def siblings(found: Judged, seen: Mapping[Key, Seen], scaled: list[str]) -> None:
    """A score below 1.5 throughout is percent too where its sibling of another part is, and lies near it."""
    for key, role in found.roles.items():
        if key in found.factors or not is_curve(role) or role.name not in SHARES or not len(seen[key].values):
            continue
        others = [k for k in found.factors if (found.roles[k].name, found.roles[k].where) == (role.name, role.where)]
        if others and seen[key].values.max() <= 1.5 and all(np.median(seen[k].values) < 3 for k in others):
            found.factors[key] = 0.01
            scaled.append(key[0])


def right_beside(found: Judged, seen: Mapping[Key, Seen], role: Role) -> bool:
    return any(
        other.name == "accuracy" and seen[key].values.max() > 1.5
        for key, other in found.roles.items()
        if len(seen[key].values)
    )


def adversarial(where: str) -> bool:
    return bool(set(where.split()) & words.ADVERSARIAL)


def with_setting(found: Judged) -> None:
    """Games of two nets, and learning from rewards, told by the names."""
    terms = {word for role in found.roles.values() if role.name == "loss" for word in role.where.split()}
    names = " ".join(" ".join(split(key[0])) for key in found.roles)
    pairs = ({"d", "g"}, {"discriminator", "generator"}, {"disc", "gen"}, {"da", "ga"}, {"critic", "generator"})
    if any(pair <= terms for pair in pairs):
        found.facts["setting"] = "adversarial"
    elif words.REINFORCED.search(names) and "chosen" not in names:
        found.facts["setting"] = "reinforcement"


def with_totals(found: Judged, seen: Mapping[Key, Seen]) -> None:
    """A loss in terms or groups without a whole: the column that is their sum, else their sum; of groups their mean."""
    if found.facts.get("setting"):
        return
    terms = {
        part: [k for k, role in found.roles.items() if role.name == "loss" and role.part == part and is_curve(role)]
        for part in ("train", "val", "test")
    }
    for part, keys in terms.items():
        if len(keys) < 2 or any(not found.roles[k].where for k in keys):
            continue
        of_train = (
            {found.roles[k].where for k in terms["train"]}
            if part != "train"
            else {found.roles[k].where for p in ("val", "test") for k in terms[p]}
        )
        groups = part != "train" and not ({found.roles[k].where for k in keys} & of_train)
        role = replace(found.roles[keys[0]], where="", per=None)
        found.derived.append(Derived(role, "mean" if groups else "sum", keys))
        said = Notice(
            "readers.mean_of_groups" if groups else "readers.sum_of_terms",
            part=part,
            columns=", ".join(k[0] for k in keys),
        )
        found.notices.append(said)
        with_mean_scores(found, part, {found.roles[k].where for k in keys} if groups else set())


def with_mean_scores(found: Judged, part: str, groups: set[str]) -> None:
    """Scores of the same groups: their mean too."""
    scores: dict[str, list[Key]] = defaultdict(list)
    for key, role in found.roles.items():
        if is_curve(role) and role.name != "loss" and role.part == part and role.where in groups:
            scores[role.name].append(key)
    for keys in scores.values():
        if len(keys) > 1 and not any(
            r.name == found.roles[keys[0]].name and r.part == part and not r.where for r in found.roles.values()
        ):
            found.derived.append(Derived(replace(found.roles[keys[0]], where=""), "mean", keys))


def with_test_as_val(found: Judged, seen: Mapping[Key, Seen]) -> None:
    """Where nothing is called validation, a test that was made again and again is one."""
    if any(role.part == "val" for role in found.roles.values() if is_curve(role)):
        return
    moved = []
    for key, role in found.roles.items():
        if is_curve(role) and role.part == "test" and len(seen[key].values) >= 2 and not seen[key].asked:
            found.roles[key] = role.at("val")
            moved.append(key[0])
    for one in found.derived:
        if one.role.part == "test":
            one.role = one.role.at("val")
    if moved:
        found.notices.append(Notice("readers.test_as_val", columns=", ".join(moved)))


def with_stand_in(found: Judged, seen: Mapping[Key, Seen]) -> None:
    """Without a loss, an error measure that a training lowers stands for it."""
    if found.facts.get("setting") or any(role.name == "loss" and role.kind == "value" for role in found.roles.values()):
        return
    for name in STANDS_IN:
        keys = [k for k, role in found.roles.items() if role.name == name and is_curve(role) and not role.where]
        if keys:
            for key in keys:
                found.derived.append(Derived(replace(found.roles[key], name="loss"), "sum", [key]))
            found.notices.append(
                Notice("readers.stand_in", name=name.replace("_", " "), columns=", ".join(k[0] for k in keys))
            )
            return


def main_losses(roles: Mapping[Key, Role]) -> list[Key]:
    """Columns that tell how far a training is: losses of training first, wholes first, then what else is better lower."""

    def rank(key: Key) -> tuple[int, ...]:
        role = roles[key]
        return (int(role.name != "loss"), int(role.part not in ("train", "")), int(bool(role.where)), len(role.where))

    keys: Sequence[Key] = [
        key for key, role in roles.items() if role.kind == "value" and role.known and role.name in LOWER_IS_BETTER
    ]
    return sorted(keys, key=rank)
