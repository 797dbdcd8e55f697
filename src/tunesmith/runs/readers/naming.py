"""From the name of a column to its role, by its words. What the values say comes later, in `behaviour`."""

import re
import unicodedata
from functools import lru_cache

from tunesmith.runs.history import Per
from tunesmith.runs.quantities import QUANTITIES
from tunesmith.runs.readers import words
from tunesmith.runs.readers.roles import IGNORE, Role

CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
WHOLE_CAPITALS = re.compile(r"m(?:AP|IoU|IOU|Dice|F1)(?![a-z])|IoU|mloss|ROC|RMSLE")
AT = re.compile(r"@\s*([\d.]+(?:[:\-][.\d]+)?)")
RATE_OF_WORK = re.compile(r"/\s?s(?:ec)?(?![a-z])")
ELIDED = re.compile(r"\b[dDlL]['’](?=\w)")  # of French: d'entraînement
CUT = re.compile(r"[^\w%@]+|_")
GLUED = re.compile(r"^(v|val|valid|t|tr|train|te|test|d|g|l1|l2)?(loss|losses|acc|accuracy|err|error)(\d*)$")
GLUED_PART = {
    "v": "val",
    "val": "val",
    "valid": "val",
    "t": "train",
    "tr": "train",
    "train": "train",
    "te": "test",
    "test": "test",
}
NUMBERED = re.compile(r"^([a-z]+)@?(\d+)$")
STEM = re.compile("(" + "|".join(sorted(map(re.escape, words.STEMS), key=len, reverse=True)) + f"){words.CYRILLIC_END}")
DETECTOR_AT = re.compile(r"map[@_ ]+0?\.(\d+)", re.IGNORECASE)
DETECTOR = re.compile(r"map[@_ ]*(?:0?\.5|50)\s*[-:]\s*(?:0?\.95|95)", re.IGNORECASE)
SPECIFIC = {"score": 0, "error": 1, "reward": 1, "accuracy": 2}  # of two metrics in one name the more particular counts


def split(column: str) -> list[str]:
    """The words of a name, in English as far as they are known, lower case.

    >>> split("valAcc@5"), split("Validierungsverlust"), split("训练损失")
    (['val', 'acc@5'], ['val', 'loss'], ['train', 'loss'])
    """
    text = unicodedata.normalize("NFKC", column)
    text = ELIDED.sub("", text)
    text = AT.sub(lambda found: "@" + re.sub(r"\D", "", found[1]), DETECTOR_AT.sub(at_share, DETECTOR.sub("map", text)))
    text = CAMEL.sub(" ", WHOLE_CAPITALS.sub(lambda found: found[0].casefold(), text)).casefold()
    if not text.isascii() or any(
        stem in text for stem in ("verlust", "genauigkeit", "validierung", "epoche", "lernrate", "trainings")
    ):
        text = STEM.sub(lambda found: f" {words.STEMS[found[1]]} ", text)
        text = (
            "".join(c for c in unicodedata.normalize("NFD", text) if not ("\u0300" <= c <= "\u036f"))
            if latin(text)
            else text
        )
    found = [words.FOREIGN.get(word, word) for word in CUT.split(text) if word]
    joined = f" {' '.join(found)} "
    for phrase, short in words.PHRASES.items():
        if phrase in joined:
            joined = joined.replace(f" {phrase} ", f" {short} ")
    found = joined.split()
    return [piece for word in found[: found.index("vs") if "vs" in found[1:] else None] for piece in unglued(word)]


def at_share(found: re.Match[str]) -> str:
    """`mAP_0.5` as map50."""
    return f"map{found[1]:0<2}"


def latin(text: str) -> bool:
    return any("\u00c0" <= c <= "\u024f" for c in text)


def unglued(word: str) -> list[str]:
    """`trloss` as train loss, `loss2` as loss 2."""
    if word.startswith("lr") and word[2:].isdigit():
        return ["lr", word[2:]]
    found = GLUED.match(word)
    if not found or not (found[1] or found[3]):
        return [word]
    return [piece for piece in (GLUED_PART.get(found[1] or "", found[1]), found[2], found[3]) if piece]


def part_of(names: list[str]) -> str:
    """The part that the words name; of several the last: a test during training is a test."""
    found = ""
    for name in names:
        found = part_word(name) or found
    return found


def part_word(word: str) -> str:
    return "train" if word in words.TRAIN else "val" if word in words.VAL else "test" if word in words.TEST else ""


@lru_cache(4096)
def role_of(column: str) -> Role:
    """The role that a name says.

    >>> [str(role_of(name)) for name in ("val_loss", "train/box_loss", "lr/pg0", "epoch_time", "loss_scale", "Epoch")]
    ['val loss', 'train loss term box', 'lr', 'time', 'ignore', 'epoch']
    """
    if column == "" or column.startswith("Unnamed: "):  # the index that pandas writes
        return IGNORE
    if column.endswith(("__MIN", "__MAX")):  # a spreadsheet of W&B: lowest and highest of what a point stands for
        return IGNORE
    names = split(column)
    said = set(names)
    if not names:
        return Role(name=column, known=False)
    setting = words.SETTINGS.get(" ".join(names))
    if setting:
        return Role(kind="fact", name=setting)
    if names[0] in ("params", "param", "hparams", "config", "hyperparameters") and len(names) > 1:
        return Role(kind="fact", name="_".join(names[1:]))
    if said & words.BEST:
        return IGNORE
    if "lr" in said or "lrs" in said:
        return IGNORE if said & words.CONFIG & {"momentum", "warmup", "weightdecay", "min", "max"} else rate(names)
    if "gradnorm" in said or "gnorm" in said or {"grad", "norm"} <= said:
        return Role(
            name="grad_norm",
            where=" ".join(
                n for n in names if n not in {"gradnorm", "gnorm", "grad", "norm"} | words.FILLERS | words.TRAIN
            ),
        )
    frame = framed(names) if not RATE_OF_WORK.search(column) else None
    if frame:
        return frame
    if "cost" in said and said & {"batch", "reader", "data", "iter", "time"} and "loss" not in said:
        return Role(kind="time")
    if RATE_OF_WORK.search(column):
        return IGNORE
    if said & words.TIME or said & words.MACHINE or "samples/s" in column:
        return (
            Role(kind="time")
            if said & {"time", "elapsed", "duration", "dur", "wall", "runtime", "timestamp"}
            else IGNORE
        )
    curved = bool(said & words.LOSS) or bool(metric_of(names)[0])
    if said & words.CONFIG and not curved:
        return Role(kind="fact", name="_".join(names))
    if said & words.SPREAD or (said & words.COUNTS and not exempt(names)):
        return IGNORE
    return curve(column, names, said)


def exempt(names: list[str]) -> bool:
    """Whether a counter's word stands beside a word of a curve and means a place: `image loss`, `token accuracy`."""
    said = set(names)
    if said & {"scale", "scaling", "consumed", "skipped", "params", "count", "version", "failed"}:
        return False
    return bool(said & words.LOSS or said & words.METRICS.keys()) and names[-1] not in words.COUNTS


def framed(names: list[str]) -> Role | None:
    """Steps, epochs, runs, folds and parts: columns made of such words alone."""
    rest = [n for n in names if n not in words.COUNTED and not part_word(n)]
    if not rest and names and names[-1] in {"it"}:
        return Role(kind="step")
    if len(rest) >= 1 and all(n in words.STEP or n in words.EPOCH for n in rest):
        return Role(kind="epoch" if rest[-1] in words.EPOCH else "step", part=part_of(names))
    if len(names) <= 2 and names[0] in words.RUN and names[-1] in words.RUN | {"id", "name", "no", "number"}:
        return Role(kind="run", name="run")
    if len(names) <= 2 and names[0] in words.FOLD and (len(names) == 1 or names[-1] in {"id", "no", "number", "idx"}):
        return Role(kind="run", name="fold")
    if len(names) == 1 and names[0] in words.PART:
        return Role(kind="part")
    return None


def rate(names: list[str]) -> Role:
    """`lr/pg0` is the rate, `lr/pg1` that of a further group."""
    rest = [
        n
        for n in names
        if n not in {"lr", "lrs", "pg0", "0", "group", "groups", "param", "optimizer"} | words.FILLERS | words.TRAIN
    ]
    place = " ".join(n for n in rest if re.fullmatch(r"(pg|group)?\d+|bias|head|backbone|encoder|decoder", n))
    return Role(name="lr", where=place, per=span(names))


def span(names: list[str]) -> Per | None:
    """What a suffix of Lightning says of the span of a value: `loss_step`, `loss_epoch`."""
    return (
        "epoch"
        if names[-1] == "epoch" or names[0] == "epoch"
        else "update"
        if {names[0], names[-1]} & {"step", "batch"}
        else None
    )


def curve(column: str, names: list[str], said: set[str]) -> Role:
    """Losses, metrics, and what has only a name of its own."""
    part, per = part_of(names), span(names)
    rest = [n for n in names if not part_word(n) and n not in {"step", "epoch", "batch"}]
    metric, at = metric_of(rest)
    if said & words.LOSS and (metric in ("", "mse", "mae", "rmse", "error", "score") or rest[-1] in words.LOSS):
        places = [n for n in rest if n not in words.LOSS or n not in ("loss", "losses", "los", "lossv", "lloss")]
        fill = words.FILLERS - {"value"} if "value" in rest[:-1] and rest[-1] in words.LOSS else words.FILLERS
        place = " ".join(n for n in places if n not in fill)
        if said & words.TOTALS or place == "lm":
            place = ""
        return Role(name="loss", part=part, where=group_of(names, place), per=per)
    if metric:
        left = [n for n in rest if n not in words.FILLERS | words.LOSS and not is_metric(n)]
        place = " ".join(([] if left == ["lm"] else left) + ([at] if at else []))
        return Role(name=metric, part=part, where=group_of(names, place), per=per)
    name = "_".join(rest)
    return Role(name=name or "value", part=part, per=per, known=name in QUANTITIES)


def group_of(names: list[str], place: str) -> str:
    """Lightning's `…/dataloader_idx_1` is a group of rows; the first is the main one."""
    if "dataloader" in names and names[-1].isdigit():
        kept = [word for word in place.split() if word not in {"dataloader", "idx", names[-1]}]
        return " ".join(kept + ([f"group {names[-1]}"] if names[-1] != "0" else []))
    return place


def is_metric(word: str) -> bool:
    return bool(metric_of([word])[0])


def metric_of(names: list[str]) -> tuple[str, str]:
    """The metric among the words, and where it was taken: `acc@5` is the accuracy of the top 5. The most particular word counts."""
    found = ("", "")
    for name in names:
        base, numbered = name.rstrip("@"), NUMBERED.match(name)
        metric, at = words.METRICS.get(base, ""), ""
        if not metric and numbered and numbered[1] in words.METRICS:
            metric, at = words.METRICS[numbered[1]], numbered[2]
            at = "" if metric == "accuracy" and at == "1" else f"top {at}" if metric == "accuracy" else at
        if metric and (not found[0] or SPECIFIC.get(metric, 3) > SPECIFIC.get(found[0], 3)):
            found = (metric, at or found[1])
    return found
