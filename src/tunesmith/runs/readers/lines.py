"""Numbers in the lines of a printed log, each with what stands before it: `loss: 0.12`, `Epoch 3/50`, `avg loss so far is 0.3`.

Lines that differ only in their numbers have one plan: which number is what. So a log of a million lines has some tens of plans.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tunesmith.runs.readers import words
from tunesmith.runs.readers.naming import part_of, part_word, role_of, split
from tunesmith.runs.readers.roles import PARTS, Role

WORD = r"[^\W\u3040-\u9fff\uac00-\ud7af]"  # letters, digits and "_", but not of scripts that put words one after the other without spaces
BEFORE = rf"(?<!{WORD})(?<![@.\-])"
STAMP = (
    r"(?<![\w.])(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T_ ]+\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?Z?)?|\d{1,2}/\d{1,2}/\d{2,4}(?=\s|$|,)"
    r"|\d{1,2}[-/]\d{1,2}\s+\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?"
    r"|\d{1,3}:\d{2}(?::\d{2})?(?:[.,]\d+)?(?!\s*[:\d])|\d+(?:\.\d+){2,}|0x[0-9a-fA-F]+)|[\w./-]+\.(?:py|cc|cpp|cu|h|ipynb):\d+"
)
EXPONENT = r"(?:[eE][-+]?\d+)?"
WHOLE = {
    False: rf"(?:\d{{1,3}}(?:,\d{{3}})+(?![,\d])(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+){EXPONENT}",
    True: rf"(?:\d+(?:[.,]\d+)?|,\d+){EXPONENT}",
}
BROKEN = r"(?:nan|inf(?:inity)?)(?![A-Za-z_])(?!\s+(?:iterations|values?|counts?|steps?|batches|grads?|gradients?)\b)"
CLEAN = str.maketrans("：，；（）【】＝％｜│┃║→", ":,;()[]=%||||>")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
BAR = re.compile(r"[█▏▎▍▌▋▊▉━╸╺─#=>.\-*~_▒░■□●○]{3,}")
UNITS = re.compile(
    r"\s?(?:it/s|s/it|s/step|ms|us|µs|ns|sec|secs|seconds?|s|mins?|minutes?|h|hr|hours?|days?|fps|[kKMGT]i?B?|B|x|px|samples?|tokens?|tok|imgs?|images?|examples?"
    r"|batch(?:es)?/s|/s|秒|分钟|小时|сек|мс)(?![\w])"
)
OF = re.compile(r"^\s*(?:/|of|out of|из|von|sur|de|共|/\s*共)\s*$", re.IGNORECASE)
CASTS = re.compile(r"(?:tensor|Tensor|array|np\.float\d*|float|torch\.tensor)\s*\(\s*\[?$")
SEPARATORS = re.compile(r"[,;|\t\[\]{}()<>:!?]|\s[-–—*]+\s|\s{3,}")
PLAIN_WORD = re.compile(r"(?<![\w/])([A-Za-z]+)(?![\w/]|\.py)")
VERBS = re.compile(
    r"improve|\bsav(?:ed|ing)\b|early.?stop|\bbest\b|did not|\bcheckpoint\b(?!\.)|\brestor|\bload(?:ed|ing)",
    re.IGNORECASE,
)
CODE = re.compile(
    r"^\s*(?:[\w.]+(?:\s*,\s*[\w.]+)*\s*=\s*[\w.]+\(|(?:def|class|return|import|from|for|while|with|if|assert|raise)\b.*[(:=])"
)
BEHIND = re.compile(r"^\s?(?:%|[A-Za-zµ]{1,3}/[A-Za-z]+\b|[kKMGT]i?B?\b|m?s\b|it/s)")  # the unit of the number before
AT_A_COUNT = re.compile(r"\b(?:at|after|of|in|for|on|from)\s+\w+$", re.IGNORECASE)
OF_ROWS = re.compile(
    r"^\s+(?:[a-z]+\s+)?(?:images?|samples?|examples?|pictures?|rows?|sentences?|points?)\b[^,;|]*[:=]?\s*(?:is|was)?\s*$",
    re.IGNORECASE,
)
EDGE = " /\t:=*'\"`~>-#•·+.&≈"
PROGRESS = "progress"  # the name of a count without one, as `640/60000` and of bars
ZEROS = str.maketrans("123456789", "000000000")
MOST_SHAPES = 20000
MOST_PLANS = 20000  # assumption: lines that never repeat; the plans are then made anew


def finder(decimal_comma: bool) -> Callable[[str], Iterator[re.Match[str]]]:
    """Finds the numbers of a line as group 1, and dates, clock times, versions as matches without it."""
    return re.compile(rf"{STAMP}|{BEFORE}([-+]?(?:{WHOLE[decimal_comma]}|{BROKEN}))", re.IGNORECASE).finditer


@dataclass(slots=True)
class Plan:
    """What the numbers of lines of one form are: (position, column, factor), quotients, and totals by what they count."""

    values: list[tuple[int, str, float]] = field(default_factory=list)
    quotients: list[tuple[int, int, str]] = field(default_factory=list)
    totals: list[tuple[int, str]] = field(default_factory=list)
    curves: bool = False  # holds a loss or a score
    framed: bool = False  # tells a step or an epoch
    bar: bool = False  # says how far it is, and nothing else
    held: bool = False  # speaks of a part that is passed over, not trained on


@dataclass(slots=True)
class Shape:
    """Lines that differ in their digits alone: their plan, None where they hold no number, and where the numbers stand."""

    plan: Plan | None
    spans: list[tuple[int, int]]


@dataclass(slots=True)
class Label:
    """A number's name, and the role it tells."""

    text: str
    role: Role
    rest: str = ""  # of `loss after epoch 3: 0.5` the loss, whose number comes next


class Reader:
    """Makes records of lines. `asked` are columns that a person named."""

    def __init__(self, asked: Mapping[str, Role], decimal_comma: bool) -> None:
        self.asked, self.comma = asked, decimal_comma
        self.find = finder(decimal_comma)
        self.shapes: dict[tuple[str, str], Shape] = {}
        self.plans: dict[tuple[object, ...], Plan] = {}
        self.heading, self.heading_left = "", 0
        self.totals: dict[str, dict[float, int]] = {}

    def record(self, line: str) -> dict[str, float] | None:
        """The numbers of a line by column; None where it has none that matter."""
        if "@" in line:
            line = re.sub(r"@\s*([\d.]+(?::[\d.]+)?)", lambda found: "@" + re.sub(r"\D", "", found[1]), line)
        heading = self.heading if self.heading_left else ""
        shape = self.shapes.get((heading, line.translate(ZEROS)))
        if shape is None:
            shape = self._shape(line, heading)
        if shape.plan is None:
            self._head(line)
            return None
        return self._fill(shape.plan, shape.spans, line)

    def knows(self, line: str) -> bool:
        """Whether a line of the same shape was read before."""
        return (self.heading if self.heading_left else "", line.translate(ZEROS)) in self.shapes

    def forget(self) -> None:
        """After a header of a table: lines may now be its rows."""
        self.shapes.clear()

    def _shape(self, line: str, heading: str) -> "Shape":
        if len(self.shapes) > MOST_SHAPES:
            self.shapes.clear()
        texts, numbers, spans, last = [], [], [], 0
        for found in self.find(line):
            texts.append(line[last : found.start()])
            numbers.append(found[1])
            spans.append(found.span(1))
            last = found.end()
        shape = Shape(self._plan_for([*texts, line[last:]], numbers, heading) if spans else None, spans)
        self.shapes[heading, line.translate(ZEROS)] = shape
        return shape

    def _plan_for(self, texts: list[str], numbers: list[str], heading: str) -> Plan:
        key = (heading, tuple(number is None for number in numbers), *texts)
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) > MOST_PLANS:
                self.plans.clear()
            plan = self.plans[key] = self._plan(texts, numbers, heading)
        return plan

    def _fill(self, plan: Plan, spans: list[tuple[int, int]], line: str) -> dict[str, float] | None:
        if plan.framed and not (plan.held and plan.curves):
            self.heading_left = 0
        elif plan.curves and self.heading_left:
            self.heading_left -= 1
        if plan.bar:
            return None
        found: dict[str, float] = {}
        for position, column, factor in plan.values:
            found[column] = self._number(line, spans[position]) * factor
        for above, below, column in plan.quotients:
            whole = self._number(line, spans[below])
            if whole:
                found[column] = self._number(line, spans[above]) / whole
        for position, column in plan.totals:
            counts = self.totals.setdefault(column, {})
            if len(counts) < 1000:
                total = self._number(line, spans[position])
                counts[total] = counts.get(total, 0) + 1
        return found or None

    def _number(self, line: str, span: tuple[int, int]) -> float:
        text = line[span[0] : span[1]]
        try:
            return float(text)
        except ValueError:
            return float(text.replace(",", "." if self.comma else ""))

    def _head(self, line: str) -> None:
        """A line of words alone that names a part, as `Validation:`, holds for the next few."""
        text = line.strip(EDGE + "=[]()")
        if text and len(text) < 60 and not set("{|/") & set(line) and len(text.split()) <= 6:
            part = part_of(split(text))
            if part:
                self.heading, self.heading_left = part, 3

    # what a line of this form says

    def _plan(self, texts: list[str], numbers: list[str], heading: str) -> Plan:
        texts = [text.translate(CLEAN) for text in texts]
        plan, context = Plan(), ""
        taken: set[int] = set()
        carried: Label | None = None
        lone: list[int] = []  # whole numbers in brackets of their own
        if CODE.match(texts[0]):
            return plan
        if darknet(texts):
            plan.values = [(0, "iteration", 1.0), (1, "loss", 1.0), (2, "avg loss", 1.0), (3, "learning rate", 1.0)]
            plan.curves = plan.framed = True
            return plan
        quoted = texts[0].lstrip().startswith("{")
        labels: list[tuple[int, Label]] = []
        for at, number in enumerate(numbers):
            context = _context(texts[at]) or context
            if number is None or at in taken:
                continue
            label = self._label(texts, at, numbers, number)
            if carried and not (label.text and label.role.kind in ("value", "step", "epoch") and label.role.known):
                label = carried
            carried = Label(label.rest, role_of(label.rest)) if label.rest else None
            if (
                label.role.kind == "value"
                and label.role.known
                and OF_ROWS.match(texts[at + 1])
                and at + 1 < len(numbers)
            ):
                carried = label  # `accuracy on the 10000 test images: 55 %`
                continue
            if (
                not label.text
                and texts[at].rstrip().endswith("[")
                and texts[at + 1].startswith("]")
                and number.isdigit()
            ):
                lone.append(at)
            total = at + 1 < len(numbers) and numbers[at + 1] is not None and bool(OF.match(texts[at + 1]))
            if total:
                taken.add(at + 1)
            part = context or ("" if quoted else heading)
            verbs = any(VERBS.search(text) for text in texts[: at + 1])
            self._place(plan, label, at, total, part, texts, verbs, labels, context)
        plan.curves = any(
            label.role.kind == "value" and label.role.name not in ("lr", "grad_norm") for _, label in labels
        )
        if plan.curves and lone and not any(label.role.kind in ("step", "epoch") for _, label in labels):
            plan.values.append((lone[-1], "iteration", 1.0))
        plan.held = context in ("val", "test") or (not context and heading in ("val", "test"))
        if plan.held:
            plan.values = [one for one in plan.values if one[1] != PROGRESS]
            plan.totals = [one for one in plan.totals if one[1] != PROGRESS]
        kinds = {column: role_of(column).kind for _, column, _ in plan.values}
        if not plan.curves:  # `epochs: 50` in a list of settings counts nothing
            told = {column for _, column in plan.totals}
            plan.values = [
                (at, f"num {c}" if kinds[c] in ("step", "epoch") and c not in told and _plural(c) else c, f)
                for at, c, f in plan.values
            ]
        plan.bar = {column for _, column, _ in plan.values} == {PROGRESS} and not plan.quotients
        plan.framed = any(kinds[column] in ("step", "epoch") for _, column, _ in plan.values if column in kinds)
        return plan

    def _place(
        self,
        plan: Plan,
        label: Label,
        at: int,
        total: bool,
        part: str,
        texts: list[str],
        verbs: bool,
        labels: list[tuple[int, Label]],
        context: str,
    ) -> None:
        role, right = label.role, texts[at + 1]
        if not label.text:
            if total and (role.kind == "step" or not labels or labels[-1][1].role.kind in ("epoch", "step")):
                plan.values.append((at, PROGRESS, 1.0))
                plan.totals.append((at + 1, PROGRESS))
                labels.append((at, Label(PROGRESS, Role(kind="step"))))
            elif texts[at].strip() == "(" and labels and labels[-1][0] == at - 1 and part in ("val", "test"):
                self._mean(plan, at)
            return
        if role.kind in ("step", "epoch"):
            if verbs:
                return
            plan.values.append((at, label.text, 1.0))
            if total:
                plan.totals.append((at + 1, label.text))
            labels.append((at, label))
            return
        if label.text.casefold() in PARTS and role.name == "value":
            before = next(
                (
                    one.role
                    for _, one in reversed(labels)
                    if one.role.kind == "value" and one.role.known and one.role.part
                ),
                None,
            )
            if before is not None:  # `loss train: 0.5, val: 0.6`
                label = Label(f"{label.text} {before.name}", Role(name=before.name, part=role.part, where=before.where))
                role = label.role
        bare = (
            role.kind == "value" and role.name == "value" and bool(role.part) and len(label.text.split()) == 1
        )  # `learn: 0.5 test: 0.6`
        known = (
            bare
            or (role.kind == "value" and role.known)
            or role.kind in ("fact", "part", "run")
            or _plain(label.text) in self.asked
        )
        if not known or (verbs and role.name != "lr") or (UNITS.match(right) and role.kind == "value"):
            return
        column = label.text
        said = part != "train" or context or role.name != "loss"  # a heading "Training" adds nothing to a loss
        if (
            role.kind == "value"
            and not role.part
            and part
            and said
            and role.name not in ("lr", "grad_norm")
            and _plain(column) not in self.asked
        ):
            column = f"{part} {column}"
        if total and role.name in ("accuracy", "recall", "precision", "error"):
            plan.quotients.append((at, at + 1, column))
        else:
            plan.values.append((at, column, 0.01 if right.startswith("%") else 1.0))
        labels.append((at, label))

    def _mean(self, plan: Plan, at: int) -> None:
        """`Loss 0.5 (0.6)` of an evaluation: the mean in brackets stands for all of it, the number before for the last batch."""
        before = [i for i, (position, _, _) in enumerate(plan.values) if position == at - 1]
        for i in before:
            _, column, factor = plan.values[i]
            plan.values[i] = (at, column, factor)

    def _label(self, texts: list[str], at: int, numbers: list[str], number: str) -> Label:
        left, right = texts[at], texts[at + 1]
        start = at == 0 and not left.strip(" \t[")
        if start and number.isdigit():
            first = self._leading(texts, at, numbers)
            if first:
                return first
        if (
            at == 1
            and number.isdigit()
            and not texts[0].strip(" \t[")
            and left.strip() in (",", "|")
            and (right[:1] in "]|")
        ):
            return Label("step", Role(kind="step"))
        text = label_text(left)
        role = self.asked.get(_plain(text)) or (role_of(text) if text else Role(name="", known=False))
        if text and role.kind == "value" and not role.known and role.name == "value" and role.part:
            if re.match(r"\s*\[\s*$", right) and number.isdigit():
                return Label("epoch", Role(kind="epoch"))
            if OF.match(right):
                return Label("", Role(kind="step"))
        if not text or (role.kind == "value" and not role.known):
            after, consumed = suffix(right)
            if after and number.isdigit():
                texts[at + 1] = right[consumed:]
                return Label(after, role_of(after))
        last = text.rpartition(" ")[2].casefold()
        if role.kind == "value" and last in words.STEP | words.EPOCH and AT_A_COUNT.search(text) and number.isdigit():
            return Label(last, role_of(last), AT_A_COUNT.sub("", text).strip())  # `validation loss at iteration 100`
        bar = (right[:1].isascii() and right[:1].isalpha() and bool(UNITS.match(right))) or (
            right.startswith("%") and text.casefold() != PROGRESS
        )
        if role.kind in ("step", "epoch") and (
            bar or not re.fullmatch(r"\d+(\.\d+)?([eE][-+]?\d+)?", number.replace(",", ""))
        ):
            return Label("", Role(name="", known=False))
        return Label(text, role)

    def _leading(self, texts: list[str], at: int, numbers: list[str]) -> Label | None:
        """A count at the start of a line: `[10] train-rmse: …`, `10: learn: …`, `[1, 2000] loss: …`, `1|250|Loss: …`."""
        left, right = texts[at], texts[at + 1]
        two = len(texts) > 2 and numbers[1] is not None and numbers[1].isdigit()
        if two and (
            (left.strip() == "[" and right.strip() == "," and texts[2].startswith("]"))
            or (right == "|" and texts[2].startswith("|"))
        ):
            return Label("epoch", Role(kind="epoch"))
        if (left.strip() == "[" and right.startswith("]")) or (not left.strip() and re.match(r":\s", right)):
            return Label("iteration", Role(kind="step"))
        return None


def label_text(left: str) -> str:
    """The words before a number that name it.

    >>> label_text("%)]\\tLoss: "), label_text(", avg loss so far is "), label_text(" | elapsed time per iteration (ms): ")
    ('Loss', 'avg loss so far is', 'elapsed time per iteration')
    """
    text = CASTS.sub("", BEHIND.sub("", left))
    text = re.sub(r"\([^()]*\)", " ", text)
    text = BAR.sub(" | ", text)
    pieces = SEPARATORS.split(text)
    if text.rstrip()[-1:] == "(" and not re.search(r"[\w\u0400-\uffff]", text[: text.rfind("(")]):
        return ""
    named = [kept for piece in pieces if (kept := piece.strip(EDGE))]
    if not named or not re.search(r"[^\W\d]", named[-1]):
        return ""
    if (
        len(named) > 1
        and part_word(named[-1].casefold())
        and (role := role_of(named[-2])).kind == "value"
        and role.known
        and not role.part
    ):
        return f"{named[-2]} {named[-1]}"  # `loss: train 0.5`
    return " ".join(named[-1].split()[-7:])


def darknet(texts: list[str]) -> bool:
    """` 1: 12.3, 14.5 avg, 0.001 rate, 3.2 seconds, 64 images`: here what a number is stands behind it."""
    return (
        len(texts) > 4
        and texts[1].strip() == ":"
        and texts[3].lstrip().startswith("avg")
        and texts[4].lstrip().startswith("rate")
    )


def suffix(right: str) -> tuple[str, int]:
    """A step's or epoch's word right behind a number: `after 100 iterations`, `第3轮`."""
    found = re.match(r"\s*(?:个|-я|-й|\.|-е|st|nd|rd|th)?\s*([^\W\d]+)", right)
    names = split(found[1]) if found else []
    if not found or not names or not (names[0] in words.STEP or names[0] in words.EPOCH):
        return "", 0
    return names[0], found.end() if len(names) == 1 else 0


def _context(text: str) -> str:
    """The part that a text names in words of its own, not within a name as `val_loss`."""
    found = ""
    for word in PLAIN_WORD.findall(text):
        found = part_word(word.casefold()) or found
    if not text.isascii():
        found = part_of(split(text)) or found
    return found


def _plain(column: str) -> str:
    return " ".join(column.split()).casefold()


def _plural(column: str) -> bool:
    names = split(column)
    return bool(names) and names[-1] in words.PLURAL
