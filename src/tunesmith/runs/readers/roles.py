"""What a column of a log is taken for, and how a person says otherwise: `--map COLUMN=ROLE`.

    ROLE      = "step" | "epoch" | "fold" | "run" | "part" | "time" | "ignore" | curve
    curve     = [part] quantity [("term" | "of") place]
    part      = "train" | "val" | "test"                  (also training, valid, validation, eval, dev)
    quantity  = "loss" | "lr" | "grad norm" | "accuracy" | …  a name of `quantities.py`, words joined by spaces or "_"
    place     = a term of the loss, a class, a layer, a group of rows

Examples: `train loss`, `val accuracy`, `lr`, `val loss of group 2`, `loss term kl`, `step`, `ignore`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tunesmith.records import DataError, did_you_mean
from tunesmith.records.messages import templates
from tunesmith.runs.history import Per
from tunesmith.runs.quantities import QUANTITIES

Kind = Literal["value", "step", "epoch", "run", "part", "time", "fact", "ignore"]

PARTS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "eval": "val",
    "evaluation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
WHOLE: Mapping[str, Kind] = {
    "step": "step",
    "epoch": "epoch",
    "fold": "run",
    "run": "run",
    "part": "part",
    "time": "time",
    "ignore": "ignore",
}
SHORT = {"learning_rate": "lr", "acc": "accuracy", "gradient_norm": "grad_norm", "ppl": "perplexity"}
LEADS = ("term", "of")


@dataclass(frozen=True, slots=True)
class Role:
    """One role. Of kind "value" it is a curve; of kind "fact" a setting that the log repeats."""

    kind: Kind = "value"
    name: str = ""  # a quantity; of a run "fold" or "run"
    part: str = ""
    where: str = ""
    per: Per | None = None  # where the name of the column says it
    known: bool = True  # the name is a word of ours, not only the column's own

    def __str__(self) -> str:
        """In the grammar above.

        >>> str(Role(name="loss", part="train", where="kl"))
        'train loss term kl'
        """
        if self.kind != "value":
            return self.name if self.kind == "run" and self.name else self.kind
        words = [self.part, self.name.replace("_", " ")]
        if self.where:
            words += ["term" if self.name == "loss" else "of", self.where]
        return " ".join(word for word in words if word)

    def at(self, part: str) -> "Role":
        return replace(self, part=part)


IGNORE = Role(kind="ignore")


def parse_role(text: str) -> Role:
    """The role a person wrote.

    >>> parse_role("validation loss of group 2")
    Role(kind='value', name='loss', part='val', where='group 2', per=None, known=True)
    """
    words = text.split()
    if not words:
        raise DataError(
            "an empty role; write for example `train loss`, `val accuracy`, `lr`, `step`, `epoch` or `ignore`"
        )
    first = words[0].casefold()
    if len(words) == 1 and first in WHOLE:
        return Role(kind=WHOLE[first], name=first if WHOLE[first] == "run" else "")
    part = PARTS.get(first, "")
    rest = words[1:] if part else words
    cut = next((i for i, word in enumerate(rest) if i and word.casefold() in LEADS), len(rest))
    name, where = "_".join(rest[:cut]).casefold().replace("-", "_"), " ".join(rest[cut + 1 :])
    if not name:
        raise DataError(f"role {text!r} names a part but no quantity; write for example `{first} loss`")
    if cut + 1 == len(rest):
        raise DataError(f"role {text!r} ends with {rest[cut]!r}; name the place after it, as in `loss term kl`")
    name = SHORT.get(name, name)
    if name not in QUANTITIES:
        known = [*QUANTITIES, *WHOLE, *SHORT]
        raise DataError(f"no role {text!r}: {name!r} is no quantity{did_you_mean(name, known)}")
    return Role(name=name, part=part, where=where)


def spoken(role: str, language: str = "en") -> str:
    """A role in `language` with the words of the grammar behind it, which `--map` takes; the role alone where both are the same.

    >>> spoken("val loss")
    'val loss'
    >>> spoken("val loss of group 2", "zh")
    '验证 损失 group 2 (val loss of group 2)'
    """
    try:
        made = parse_role(role)
    except DataError:  # a column's own name, of no meaning that is known
        return role
    if language == "en":
        return role
    ids = [made.part, made.name] if made.kind == "value" else [made.name or made.kind]
    words = templates(language)
    said = [words.get(f"readers.word_{one}", one.replace("_", " ")) for one in ids if one]
    said += [made.where] if made.where else []
    told = " ".join(said)
    return role if told == role else f"{told} ({role})"


def read_map(texts: Iterable[str]) -> dict[str, str]:
    """`COLUMN=ROLE` texts of a command line as a mapping; the last "=" divides, since columns may hold one.

    >>> read_map(["validation=val loss"])
    {'validation': 'val loss'}
    """
    found = {}
    for text in texts:
        column, sign, role = text.rpartition("=")
        if not sign or not column.strip():
            raise DataError(f"{text!r} is no COLUMN=ROLE; write for example `--map 'my loss=train loss'`")
        parse_role(role)
        found[column.strip()] = role.strip()
    return found
