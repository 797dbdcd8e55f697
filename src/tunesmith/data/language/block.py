"""Samples as rows of tokens with their labels: the codec, the limit and its policy, packing, and what all of it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.language.codec import Codec, Encoded
from tunesmith.data.language.fitted import FittedCodec
from tunesmith.data.language.folder import FolderCodec
from tunesmith.data.language.lengths import POLICIES, SampleLengths, fitted, labels_in, lengths_of, long_systems
from tunesmith.data.language.masks import Labels, refuse
from tunesmith.data.language.packing import laid_out, packed
from tunesmith.data.language.samples import Sample
from tunesmith.data.spec import Array, InputSpec, Part, Places, Table, Tokens
from tunesmith.data.text import MUCH, auto_length
from tunesmith.records import DataError, Evidence, Finding, Recipe, RecipeError, Remedy, Safety
from tunesmith.records.messages import render
from tunesmith.records.sections import DataSection

CODECS: Mapping[str, type[FittedCodec] | type[FolderCodec]] = {"fitted": FittedCodec, "folder": FolderCodec}
AUTO = "byte"  # nothing to fit, nothing unknown, whatever the language


class NothingTrains(DataError):
    """Samples without a single label."""


class LanguageBlock:
    """Text to learn from as tokens. `fit` takes the training samples, `part` makes the arrays of any others."""

    kind: ClassVar[str] = "tokens"
    names: tuple[str, ...] = ("text",)

    def __init__(self, settings: DataSection, policy: str, language: str = "en") -> None:
        self.settings = settings
        self.policy = policy
        self.language = language
        self.length = 0
        self.codec: Codec | None = None
        self.report: SampleLengths | None = None
        self.notices: tuple[str, ...] = ()
        self.findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, recipe: Recipe, *, chats: bool) -> Self:
        """As the recipe says; where it says nothing of the policy, chats are truncated and plain text is split."""
        asked: str = recipe.data.too_long
        if recipe.source("data.too_long").kind == "default":
            asked = "truncate" if chats else "split"
        policy = "truncate" if asked == "cut_end" else asked
        if policy not in POLICIES:
            raise RecipeError(
                f"data.too_long = {asked!r} cuts what later tokens are foretold from, so a language model does not take it; choose "
                f"{', '.join(POLICIES)}"
            )
        settings = recipe.data
        if recipe.source("data.end_of_text").kind == "default":
            templated = chats and settings.tokenizer_folder is not None  # a template writes its own ends
            settings = settings.model_copy(update={"end_of_text": not templated})
        return cls(settings, policy, recipe.run.language)

    def learn(self, samples: Sequence[Sample]) -> Part:
        """Fits codec and limit on the training samples, and gives their part. Refuses masks that cannot be meant (`masks.py`)."""
        self.codec = self._fitted_codec(samples)
        coded = self._coded(samples)
        self.length = self._fitted_length(lengths_of(coded))
        part, report, told = self._laid_out(coded, samples)
        chats = any(sample.turns for sample in samples)
        wants = chats or (self.settings.end_of_text and any(sample.ended for sample in samples))
        found = refuse(part, self.codec.ends, self.codec.padding, self.settings.train_roles, wants_end=wants)
        self.report = report
        values = {"name": self.codec.name, "vocabulary": self.codec.vocabulary}
        opening = render("language.tokens", values, self.language)
        self.notices = (opening, *self.codec.notices, self._labels_told(found, chats), *told)
        self.findings = tuple(self._too_long(report))
        return part

    def fit(self, table: Table) -> None:
        """As other blocks are fitted, on plain texts."""
        self.learn(samples_of(table))

    def transform(self, table: Table) -> Array:
        """Tokens int32 (N, length) of plain texts."""
        return self.part(samples_of(table))[0].inputs["tokens"]

    def part(self, samples: Sequence[Sample], *, alone: bool = False) -> tuple[Part, tuple[str, ...]]:
        """The arrays of samples, and what to tell of their lengths; with `alone` each has a row of its own."""
        part, _, told = self._laid_out(self._coded(samples), samples, alone=alone)
        return part, told

    def spec(self) -> InputSpec:
        return Tokens(self._made.vocabulary, self.length, self._made.padding)

    def specs(self) -> dict[str, InputSpec]:
        """What the inputs are, by name."""
        tokens: dict[str, InputSpec] = {"tokens": self.spec()}
        places: dict[str, InputSpec] = {"segments": Places(self.length), "positions": Places(self.length)}
        return tokens | places if self.settings.pack else tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        return self._made.decode(tokens)

    def told(self, name: str) -> str:
        return f"{self._made.name}, {self._made.vocabulary} in the vocabulary, {self.length} at most"

    def to_json(self) -> dict[str, Any]:
        settings = self.settings.model_dump(include={"train_roles", "pack", "bad_rows", "end_of_text"})
        about = {"length": self.length, "policy": self.policy, "settings": settings}
        return {"kind": self.kind, "codec": self._made.to_json(), **about}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        block = cls(DataSection.model_validate(plain["settings"]), plain["policy"])
        block.length = plain["length"]
        block.codec = CODECS[plain["codec"]["kind"]].from_json(plain["codec"])
        return block

    @property
    def tokenizer(self) -> Codec | None:
        """What spells tokens, by the name it has in other blocks."""
        return self.codec

    @property
    def _made(self) -> Codec:
        assert self.codec is not None, "learn comes first"
        return self.codec

    def _fitted_codec(self, samples: Sequence[Sample]) -> Codec:
        settings = self.settings
        if settings.tokenizer_folder is not None:
            return FolderCodec.read(
                settings.tokenizer_folder,
                template=settings.chat_template,
                end_token=settings.end_token,
                end_of_text=settings.end_of_text,
            )
        if settings.chat_template not in ("auto", "im") or settings.end_token is not None:
            field = "end_token" if settings.end_token is not None else "chat_template"
            raise RecipeError(
                f"data.{field} is for a tokenizer from a folder (data.tokenizer_folder); our own write <|im_start|> and <|im_end|>"
            )
        name = AUTO if settings.tokenizer == "auto" else settings.tokenizer
        vocabulary = {"name": name, "vocab_size": settings.vocab_size, "min_count": settings.min_count}
        return FittedCodec.fit(samples, **vocabulary, end_of_text=settings.end_of_text)  # type: ignore[arg-type]

    def _coded(self, samples: Sequence[Sample]) -> list[Encoded]:
        return self._made.encode(samples, self.settings.train_roles)

    def _fitted_length(self, lengths: Array) -> int:
        asked = self.settings.max_seq_len
        if asked == "auto":
            return max(2, int(lengths.max()) if self.policy == "error" else auto_length(lengths))
        if asked < 2:
            raise DataError(f"data.max_seq_len = {asked} leaves nothing to foretell; set it to 2 or more")
        return asked

    def _laid_out(
        self, coded: Sequence[Encoded], samples: Sequence[Sample], *, alone: bool = False
    ) -> tuple[Part, SampleLengths, tuple[str, ...]]:
        kept, dropped = self._without_unusable(coded, samples)
        coded, samples = [coded[place] for place in kept], [samples[place] for place in kept]
        made, report = fitted(coded, samples, self.length, self.policy, self._made.ends)
        if not made:
            raise NothingTrains(
                f"none of {report.samples} samples has a label within max_seq_len = {self.length} tokens (data.too_long = "
                f"{self.policy!r}, the median sample has {report.median:.0f}); raise data.max_seq_len"
            )
        lengths = np.array([len(piece.coded) for piece in made], np.int64)
        packs = self.settings.pack and not alone
        rows = packed(lengths, self.length) if packs else [[place] for place in range(len(made))]
        arrays = laid_out([piece.coded for piece in made], rows, padding=self._made.padding, length=self.length)
        inputs = {name: arrays[name] for name in self.specs()}
        beside = {"lengths": arrays["lengths"], "roles": arrays["roles"]}
        beside["cut"] = np.array([any(made[place].cut for place in row) for row in rows], bool)
        source = np.array([samples[made[row[0]].sample].row for row in rows], np.int64)
        part = Part(inputs, arrays["target"], None, source, None, beside)
        return (
            part,
            report,
            (*dropped, *self._lengths_told(report, len(rows) if packs else 0, int(arrays["lengths"].sum()))),
        )

    def _without_unusable(self, coded: Sequence[Encoded], samples: Sequence[Sample]) -> tuple[list[int], list[str]]:
        """Places of the samples that can be learnt from, and what to tell of the others."""
        told = []
        silent = {place for place, one in enumerate(coded) if not labels_in(one)}
        if len(silent) == len(coded):
            spoken = sorted({turn.role for sample in samples for turn in sample.turns})
            what = f"the turns are of {', '.join(spoken)}" if spoken else "the texts have one token each"
            raise NothingTrains(
                f"none of {len(samples)} samples has a token that trains: data.train_roles = {self.settings.train_roles} and {what}; name "
                "other roles, or look whether the data switch all turns off"
            )
        if silent:
            values = {"count": len(silent), "roles": self.settings.train_roles, "place": samples[min(silent)].place}
            told.append(render("language.no_reply", values, self.language))
        long = [place for place in long_systems(coded, samples, self.length) if place not in silent]
        if long and self.settings.bad_rows == "error":
            size = int((coded[long[0]].roles == 1).sum())
            raise DataError(
                f"{samples[long[0]].place}: its system prompt alone has {size} tokens and data.max_seq_len = {self.length} leaves no room "
                f"for a reply ({len(long)} samples are like this); raise data.max_seq_len, shorten the prompt, or set data.bad_rows = 'drop'"
            )
        if long:
            values = {"count": len(long), "limit": self.length, "place": samples[long[0]].place}
            told.append(render("language.long_system", values, self.language))
        gone = silent | set(long)
        return [place for place in range(len(coded)) if place not in gone], told

    def _labels_told(self, found: Labels, chats: bool) -> str:
        tokens = sum(count for _, count in found.by_role.values())
        values = {"roles": ", ".join(self.settings.train_roles), "labels": found.labels, "tokens": tokens}
        values |= {"share": found.labels / max(1, tokens), "ends": found.ends}
        return render("language.trains" if chats else "language.trains_text", values, self.language)

    def _lengths_told(self, report: SampleLengths, rows: int, filled: int) -> list[str]:
        values = values_of(report)
        told = [render("language.lengths" if report.over else "language.lengths_whole", values, self.language)]
        if report.left_out:
            told.append(render("language.left_out", values, self.language))
        if rows:
            packing = {
                "pieces": report.pieces,
                "rows": rows,
                "limit": self.length,
                "share": filled / (rows * self.length),
            }
            told.append(render("language.packed", packing, self.language))
        return told

    def _too_long(self, report: SampleLengths) -> list[Finding]:
        """data.too_long: what the limit takes; a warning above 5 % of the labels or of the endings."""
        if not report.labels_lost and not report.ends_lost:
            return []
        lost = max(report.shares[1], report.ends_lost / max(1, report.ends))
        longer = Remedy(
            title="remedy.longer_samples",
            safety=Safety.RISKY,
            change={"data.max_seq_len": report.longest},
            values={"longest": report.longest},
        )
        split = Remedy(title="remedy.split_samples", safety=Safety.RISKY, change={"data.too_long": "split"})
        return [
            Finding(
                fault="data.too_long",
                severity="warning" if lost > MUCH else "note",
                message="language.too_long",
                values=values_of(report),
                evidence=(
                    Evidence(
                        name="share of labels or end tokens lost", value=lost, threshold=MUCH, source="assumption"
                    ),
                ),
                remedies=(longer, split),
                status="confirmed",
                subject={"rows_cut": report.over},
            )
        ]


def values_of(report: SampleLengths) -> dict[str, Any]:
    """What the templates about lengths are filled with."""
    over, labels = report.shares
    return {**asdict(report), "share_over": over, "share_labels": labels}


def samples_of(table: Table) -> list[Sample]:
    """A column `text` as samples."""
    return [Sample(row, f"row {row}", str(text)) for row, text in enumerate(table["text"].tolist())]
