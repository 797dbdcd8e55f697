"""Text columns: fitted tokens of a fixed length, and a report of what the length costs.

Legend: a row's length counts its tokens, the end-of-text token included where it is asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.spec import Array, Table, Tokens
from tunesmith.data.tokenizers import END, TOKENIZERS, UNKNOWN, Tokenizer, choose, from_json
from tunesmith.data.tokenizers.folder import FolderTokens
from tunesmith.records import DataError, Evidence, Finding, RecipeError, Remedy, Safety
from tunesmith.records.messages import render
from tunesmith.records.sections import DataSection

QUANTILE = 0.99  # assumption: one text in a hundred may be cut, the rest of the batch is not padded for its sake
SHORT, LONG = 64, 512  # assumption: under SHORT tokens nothing is gained by cutting; attention costs length²
MULTIPLE = 8  # lengths are rounded up to it, which kernels like
MUCH = 0.05  # assumption: share of rows cut, or of tokens lost, above which the loss is worth a warning
CHUNK = 20_000  # texts tokenized at once, to bound the memory
EQUATION = (
    f"min(longest, max({SHORT}, {QUANTILE:.0%} quantile of training lengths, up to a multiple of {MULTIPLE}), {LONG})"
)


@dataclass(frozen=True, slots=True)
class LengthReport:
    """How long the texts are, in tokens, and what `limit` takes from them."""

    rows: int
    median: float
    high: float  # 95 of 100 texts are no longer
    longest: int
    limit: int
    cut: int  # rows that lost tokens
    lost: int  # tokens
    tokens: int  # before cutting
    unknown: int  # tokens the vocabulary lacks
    empty: int  # rows without any token, missing ones included
    missing: int

    @property
    def shares(self) -> tuple[float, float]:
        """Of rows cut, of tokens lost."""
        return self.cut / max(self.rows, 1), self.lost / max(self.tokens, 1)


class TextBlock:
    """Text columns as one row of tokens, joined by line breaks, padded at the end with 0.

    The length is `data.max_seq_len`, or for "auto" the 99 % quantile of the training lengths, rounded up to a multiple
    of 8, but 64 or more where texts are that long and 512 at most; with `too_long = error` the longest text instead of
    the quantile. A longer text loses its end, its start or its middle, never its end-of-text token, and never in
    silence: `report`, `notices` and `findings` tell of the training texts, `remarks` of any others. A text without any
    token (empty, missing) becomes the one token 1 (unknown), or end-of-text where it is asked for, so that no row is
    padding alone.
    """

    kind: ClassVar[str] = "tokens"

    def __init__(self, names: Sequence[str], settings: DataSection, language: str = "en") -> None:
        self.names = tuple(names)
        self.settings = settings
        self.language = language
        self.tokenizer: Tokenizer | FolderTokens | None = None
        self.length = 0
        self.report: LengthReport | None = None
        self.notices: tuple[str, ...] = ()
        self.findings: tuple[Finding, ...] = ()
        self.derived: dict[str, tuple[Any, str]] = {}  # recipe path: value and why, of what was "auto"

    def fit(self, table: Table) -> None:
        texts, missing = texts_of(table, self.names)
        if not len(texts) or all(not text.strip() for text in texts):
            raise DataError(
                f"{self._named} has no text in its {len(texts)} training rows; drop the column or name another"
            )
        self.derived = {}
        self.tokenizer = self._fitted_tokenizer(texts)
        lengths, unknown = self._measured(texts)
        self.length = self._fitted_length(lengths)
        self._refuse_too_long(texts, lengths)
        self.report = report_of(lengths, self.length, unknown, missing, end=self.settings.end_of_text)
        self.notices = (self._vocabulary_told(), *self._lengths_told(self.report), *self._gaps_told(self.report))
        self.findings = tuple(too_long(self.report, self.settings.too_long, self.settings.end_of_text))

    def transform(self, table: Table) -> Array:
        """Tokens int32 (N, length), padded at the end with 0."""
        texts, _ = texts_of(table, self.names)
        tokens = np.zeros((len(texts), self.length), np.int32)
        lengths = np.zeros(len(texts), np.int64)
        for first in range(0, len(texts), CHUNK):
            chunk = slice(first, first + CHUNK)
            values, offsets = self._fitted.encode(texts[chunk])
            lengths[chunk] = np.diff(offsets) + self.settings.end_of_text
            tokens[chunk] = padded(values, offsets, self.length, self.settings.too_long, end=self.settings.end_of_text)
        self._refuse_too_long(texts, lengths)
        return tokens

    def remarks(self, table: Table) -> tuple[str, ...]:
        """What `transform` cuts from the texts of `table`, and how many are empty."""
        texts, missing = texts_of(table, self.names)
        lengths, unknown = self._measured(texts)
        report = report_of(lengths, self.length, unknown, missing, end=self.settings.end_of_text)
        return (*(self._lengths_told(report) if report.cut else ()), *self._gaps_told(report))

    def spec(self) -> Tokens:
        return Tokens(vocabulary=self._fitted.vocabulary, length=self.length)

    def inverse(self, tokens: Array) -> dict[str, Array]:
        """The texts as the model sees them: cut, unknown tokens as U+FFFD, several columns as one under the first name."""
        texts = np.empty(len(tokens), object)
        texts[:] = [self._fitted.decode(row) for row in tokens.tolist()]
        return {self.names[0]: texts}

    def told(self, name: str) -> str:
        """What becomes of the column `name`, for people."""
        beside = "" if len(self.names) == 1 else f", in one row with {', '.join(n for n in self.names if n != name)}"
        return f"{self._fitted.kind} tokens, {self._fitted.vocabulary} in the vocabulary, {self.length} at most{beside}"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "names": list(self.names),
            "tokenizer": self._fitted.to_json(),
            "length": self.length,
            "too_long": self.settings.too_long,
            "end_of_text": self.settings.end_of_text,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        settings = DataSection.model_validate({key: plain[key] for key in ("too_long", "end_of_text")})
        block = cls(plain["names"], settings)
        told = plain["tokenizer"]
        block.tokenizer = FolderTokens.from_json(told) if told["kind"] == FolderTokens.kind else from_json(told)
        block.length = plain["length"]
        return block

    @property
    def _fitted(self) -> Tokenizer | FolderTokens:
        assert self.tokenizer is not None, "fit comes before transform"
        return self.tokenizer

    @property
    def _named(self) -> str:
        return (
            f"text column {self.names[0]!r}"
            if len(self.names) == 1
            else f"text columns {', '.join(map(repr, self.names))}"
        )

    def _fitted_tokenizer(self, texts: Sequence[str]) -> Tokenizer | FolderTokens:
        if self.settings.tokenizer_folder is not None:
            return FolderTokens.read(self.settings.tokenizer_folder)
        name: str = self.settings.tokenizer
        if name == "auto":
            name, why = choose(texts)
            self.derived["data.tokenizer"] = (name, why)
        return TOKENIZERS[name].fit(texts, vocab_size=self.settings.vocab_size, min_count=self.settings.min_count)

    def _fitted_length(self, lengths: Array) -> int:
        asked = self.settings.max_seq_len
        if self.settings.too_long in ("drop", "split"):
            raise RecipeError(
                f"data.too_long = {self.settings.too_long!r} is for language models: a row of {self._named} keeps its place beside its "
                "target; choose cut_end, cut_start, cut_middle or error"
            )
        if asked == "auto":
            length = auto_length(lengths, 1.0 if self.settings.too_long == "error" else QUANTILE)
            self.derived["data.max_seq_len"] = (length, EQUATION)
            return length
        if asked <= self.settings.end_of_text:
            raise DataError(
                f"data.max_seq_len = {asked} leaves no room beside the end-of-text token; set it to 2 or more"
            )
        return asked

    def _measured(self, texts: Sequence[str]) -> tuple[Array, int]:
        """The length of each text, and how many of all tokens are unknown."""
        lengths, unknown = [np.zeros(0, np.int64)], 0
        for first in range(0, len(texts), CHUNK):
            values, offsets = self._fitted.encode(texts[first : first + CHUNK])
            lengths.append(np.diff(offsets) + self.settings.end_of_text)
            unknown += int((values == getattr(self._fitted, "unknown", UNKNOWN)).sum())
        return np.concatenate(lengths), unknown

    def _refuse_too_long(self, texts: Sequence[str], lengths: Array) -> None:
        if self.settings.too_long != "error" or not (lengths > self.length).any():
            return
        worst, over = int(lengths.argmax()), int((lengths > self.length).sum())
        raise DataError(
            f"{over} of {len(texts)} texts of {self._named} have more than max_seq_len = {self.length} tokens, the "
            f"longest {int(lengths[worst])} ({texts[worst][:40]!r} …), and data.too_long = error forbids to cut; "
            "raise data.max_seq_len or choose cut_end, cut_start or cut_middle"
        )

    def _vocabulary_told(self) -> str:
        assert self.report is not None
        name, why = self.derived.get("data.tokenizer", (self._fitted.kind, ""))
        values = {
            "columns": ", ".join(self.names),
            "tokenizer": name,
            "why": f" ({why})" if why else "",
            "vocabulary": self._fitted.vocabulary,
            "unknown": self.report.unknown / max(self.report.tokens, 1),
        }
        return render("text.vocabulary", values, self.language)

    def _lengths_told(self, report: LengthReport) -> tuple[str, ...]:
        values = values_of(report, self.settings.too_long)
        told = [render("text.lengths" if report.cut else "text.lengths_whole", values, self.language)]
        if report.cut and self.settings.end_of_text:
            told.append(render("text.end_kept", {}, self.language))
        return tuple(told)

    def _gaps_told(self, report: LengthReport) -> tuple[str, ...]:
        return (render("text.empty", asdict(report), self.language),) if report.empty else ()


def texts_of(table: Table, names: Sequence[str]) -> tuple[list[str], int]:
    """The columns joined by line breaks, and how many rows have no value in any of them."""
    rows = list(zip(*(table[name].tolist() for name in names), strict=True))
    given = [[str(value) for value in row if value is not None and value == value] for row in rows]  # NaN is not itself
    texts = ["\n".join(values) for values in given]
    return whole(texts), sum(not values for values in given)


def whole(texts: list[str]) -> list[str]:
    """The texts with half characters (lone surrogates, as careless JSON holds them) replaced by a question mark."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return [text.encode("utf-8", "replace").decode() for text in texts]
    return texts


def auto_length(lengths: Array, quantile: float = QUANTILE) -> int:
    """See `TextBlock`.

    >>> auto_length(np.array([5, 9, 30])), auto_length(np.array([100] * 199 + [300])), auto_length(np.array([9000]))
    (30, 104, 512)
    """
    usual = int(np.ceil(np.quantile(lengths, quantile)))
    return max(1, min(int(lengths.max()), max(SHORT, -(-usual // MULTIPLE) * MULTIPLE), LONG))


def padded(values: Array, offsets: Array, length: int, policy: str, *, end: bool = False) -> Array:
    """Rows of `length` tokens, int32 (N, length), from the tokens of all rows one after another.

    >>> padded(np.arange(5, 10), np.array([0, 1, 5]), 3, "cut_middle").tolist()
    [[5, 0, 0], [6, 7, 9]]
    """
    lengths = np.diff(offsets)
    room = length - end
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(values)) - offsets[row]
    head = {"cut_end": room, "truncate": room, "error": room, "cut_start": 0, "cut_middle": (room + 1) // 2}[policy]
    stays = (place < head) | (place >= lengths[row] - (room - head))
    kept = np.minimum(lengths, room)
    tokens = np.zeros((len(lengths), length), np.int32)
    tokens[np.arange(length) < kept[:, None]] = values[stays]
    if end:
        tokens[np.arange(len(lengths)), kept] = END
    else:
        tokens[kept == 0, 0] = UNKNOWN
    return tokens


def report_of(lengths: Array, limit: int, unknown: int, missing: int, *, end: bool = False) -> LengthReport:
    """The report of rows of these lengths under a limit."""
    over = lengths - limit
    median, high = np.quantile(lengths, [0.5, 0.95]) if len(lengths) else (0.0, 0.0)
    return LengthReport(
        rows=len(lengths),
        median=float(median),
        high=float(high),
        longest=int(lengths.max(initial=0)),
        limit=limit,
        cut=int((over > 0).sum()),
        lost=int(over[over > 0].sum()),
        tokens=int(lengths.sum()),
        unknown=unknown,
        empty=int((lengths == int(end)).sum()),
        missing=missing,
    )


def values_of(report: LengthReport, policy: str) -> dict[str, Any]:
    """What the templates about lengths are filled with."""
    rows, tokens = report.shares
    return {**asdict(report), "share_rows": rows, "share_tokens": tokens, "policy": policy}


def too_long(report: LengthReport, policy: str, end: bool) -> Iterable[Finding]:
    """data.too_long: what cutting to `limit` takes; a warning above 5 % of the rows or of the tokens."""
    if not report.cut:
        return
    values = values_of(report, policy)
    remedies = [
        Remedy(
            title="remedy.longer_texts",
            safety=Safety.RISKY,
            change={"data.max_seq_len": report.longest},
            values={"longest": report.longest},
        )
    ]
    if policy != "cut_middle":
        change = {"data.too_long": "cut_middle"}
        remedies.append(Remedy(title="remedy.cut_middle", safety=Safety.RISKY, change=change))
    yield Finding(
        fault="data.too_long",
        severity="warning" if max(report.shares) > MUCH else "note",
        message="data.too_long_end_kept" if end else "data.too_long",
        values=values,
        evidence=(
            Evidence(name="share of texts cut", value=values["share_rows"], threshold=MUCH, source="assumption"),
            Evidence(name="share of tokens lost", value=values["share_tokens"], threshold=MUCH, source="assumption"),
        ),
        remedies=tuple(remedies),
        status="confirmed",
        subject={"rows_cut": report.cut},
    )
