"""A tokenizer of Transformers from a local folder, with its chat template: nothing is fitted, nothing is fetched.

`tokenizer.json` is read by the library `tokenizers`; where there is none, Transformers itself opens the folder (extra `text`).
What stands between a template's `{% generation %}` tags trains where the assistant alone does; else what a turn says, with the
end token behind it and without the white space behind that.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tunesmith.data.language.codec import Encoded
from tunesmith.data.language.samples import ROLES, Sample
from tunesmith.data.language.template import IM, ChatTemplate, Rendered
from tunesmith.data.tokenizers.pieces import MARKS, Pieces, engine_of, holds_pieces
from tunesmith.records import DataError, MissingExtra, did_you_mean

FILE, CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
NAMED = ("bos_token", "eos_token", "pad_token", "unk_token")
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|return|>", "<|call|>", "[/INST]")
ASSISTANT = frozenset({"assistant"})


class FolderCodec:
    """A tokenizer with its special tokens and its chat template, as they lie in a folder."""

    kind: ClassVar[str] = "folder"

    def __init__(
        self,
        engine: Any,
        tokens: Mapping[str, str],
        template: str | None,
        *,
        name: str,
        end_of_text: bool,
        begins: bool = False,
    ) -> None:
        self._engine = engine
        self.tokens = dict(tokens)
        self.template = template
        self.name = name
        self.end_of_text = end_of_text
        self.begins = begins and "bos_token" in tokens  # whether a plain text begins with the begin token
        self._filled = None if template is None else ChatTemplate(template, tokens, name)
        self._end = self._id(self.tokens["eos_token"])
        padding = self.tokens.get("pad_token")
        self.padding = self._end if padding is None else self._id(padding)
        turns = [self._engine.token_to_id(token) for token in TURN_ENDS]
        self.ends: Collection[int] = frozenset((self._end, *(token for token in turns if token is not None)))
        self._special = [added.content for added in engine.get_added_tokens_decoder().values() if added.special]
        self.notices: tuple[str, ...] = ()
        if padding is None or self.padding == self._end:
            what = "has no pad token" if padding is None else "pads with its end token"
            self.notices = (
                f"the tokenizer {name} {what}: rows are filled up with {self.tokens['eos_token']}, and what is padding goes by "
                "length, so that it hides no end",
            )

    @classmethod
    def read(
        cls, folder: str | Path, *, template: str = "auto", end_token: str | None = None, end_of_text: bool
    ) -> Self:
        """The tokenizer in a folder. Raises `DataError` for one that is missing, cannot be read or names no end token."""
        place = Path(folder).expanduser()
        engine = opened(place)
        settings = _json(place / CONFIG) | _ids_as_tokens(place / "config.json", engine)
        settings |= MARKS | {"add_bos_token": True} if holds_pieces(place) else {}
        tokens = {key: text for key in NAMED if (text := _word(settings.get(key))) is not None}
        if end_token is not None:
            tokens["eos_token"] = end_token
        if "eos_token" not in tokens:
            raise DataError(
                f"the tokenizer in {place} names no end token (eos_token in {CONFIG}), and without one no reply ends; name it with "
                "data.end_token = '</s>', or what its vocabulary calls it"
            )
        for key, text in tokens.items():
            if engine.token_to_id(text) is None:
                field = "data.end_token" if key == "eos_token" and end_token is not None else key
                raise DataError(
                    f"{field} = {text!r} is not in the vocabulary of the tokenizer in {place}"
                    f"{did_you_mean(text, [one.content for one in engine.get_added_tokens_decoder().values()])}"
                )
        begins = bool(settings.get("add_bos_token"))
        source, notices = _template(template, place, settings, tokens, engine)
        made = cls(engine, tokens, source, name=place.name, end_of_text=end_of_text, begins=begins)
        made.notices += notices
        return made

    @property
    def vocabulary(self) -> int:
        largest: int = max(self._engine.get_vocab(with_added_tokens=True).values())
        return 1 + largest

    def encode(self, samples: Sequence[Sample], trains: Collection[str]) -> list[Encoded]:
        made = [self._chat(sample, frozenset(trains)) if sample.turns else self._text(sample) for sample in samples]
        self._tell_spelt(samples)
        return made

    def _text(self, sample: Sample) -> Encoded:
        tokens = list(self._engine.encode(sample.text).ids)
        if self.begins and tokens[:1] != [first := self._id(self.tokens["bos_token"])]:
            tokens.insert(0, first)
        if self.end_of_text and sample.ended and tokens[-1:] != [self._end]:
            tokens.append(self._end)
        count = len(tokens)
        return Encoded(np.array(tokens, np.int32), np.ones(count, bool), np.zeros(count, np.int8))

    def _chat(self, sample: Sample, trains: frozenset[str]) -> Encoded:
        if self._filled is None:
            raise DataError(
                f"the tokenizer {self.name} has no chat template, and {sample.place} is a conversation; name one with "
                "data.chat_template = 'im' (our im_start and im_end) or a .jinja file"
            )
        rendered = self._filled.render(sample)
        coded = self._engine.encode(rendered.text, add_special_tokens=False)
        spans = np.array(coded.offsets, np.int64).reshape(-1, 2)
        tokens, roles = np.array(coded.ids, np.int32), np.zeros(len(spans), np.int8)
        for role, start, stop in self._spoken(sample, rendered, trains):
            roles[(spans[:, 0] >= start) & (spans[:, 0] < stop)] = ROLES.index(role)
        trained = np.zeros(len(tokens), bool)
        for start, stop in self._trained(sample, rendered, trains):
            trained |= (spans[:, 0] < stop) & (spans[:, 1] > start)
        if self.end_of_text and len(tokens) and tokens[-1] != self._end:
            last = sample.turns[-1]
            tokens, roles = np.append(tokens, np.int32(self._end)), np.append(roles, np.int8(ROLES.index(last.role)))
            trained = np.append(trained, last.trains and last.role in trains)
        return Encoded(tokens, trained, roles)

    def _spoken(self, sample: Sample, rendered: Rendered, trains: frozenset[str]) -> Iterable[tuple[str, int, int]]:
        """Who speaks where, in letters of the text; where only replies are known, all else counts as the user's."""
        if rendered.turns:
            for turn, (start, stop) in zip(sample.turns, rendered.turns, strict=True):
                yield turn.role, start, stop
            return
        if trains != ASSISTANT or not all(turn.trains for turn in sample.turns):
            raise DataError(
                f"{sample.place}: of the chat template of {self.name} only the replies can be told, for it writes turns another way once "
                "others follow; set data.train_roles = ['assistant'] and let no turn be switched off, or choose data.chat_template = 'im'"
            )
        yield "user", 0, len(rendered.text)
        for start, stop in rendered.generated or ():
            yield "assistant", start, stop

    def _trained(self, sample: Sample, rendered: Rendered, trains: frozenset[str]) -> Iterable[tuple[int, int]]:
        """What trains, in letters of the text."""
        switched = [turn.trains for turn in sample.turns]
        if rendered.generated is not None and trains == ASSISTANT:
            for start, stop in rendered.generated:
                off = [not on and a <= start < b for on, (a, b) in zip(switched, rendered.turns, strict=False)]
                if not any(off):
                    yield start, stop
            return
        for turn, start, (_, stop) in zip(sample.turns, rendered.headers, rendered.turns, strict=True):
            if turn.trains and turn.role in trains:
                said = rendered.text[start:stop].rstrip()
                ended = any(said.endswith(token) for token in self._special)
                yield start, start + len(said) if ended else stop

    def _tell_spelt(self, samples: Sequence[Sample]) -> None:
        """Texts that spell a special token: they are read as that token, whoever wrote them."""
        found = [
            (sample, token)
            for sample in samples
            for token in self._special
            if any(token in text for text in (sample.text, *(turn.text for turn in sample.turns)))
        ]
        if found:
            sample, token = found[0]
            self.notices += (
                f"{len({one.row for one, _ in found})} samples spell a special token in their text, which is read as that token; the "
                f"first is {sample.place} with {token!r}",
            )

    def _id(self, token: str) -> int:
        found: int = self._engine.token_to_id(token)
        return found

    def decode(self, tokens: Iterable[int]) -> str:
        return str(self._engine.decode(list(tokens), skip_special_tokens=False))

    def to_json(self) -> dict[str, Any]:
        about: dict[str, Any] = {"tokens": self.tokens, "template": self.template, "name": self.name}
        about |= {"end_of_text": self.end_of_text, "begins": self.begins}
        return {"kind": self.kind, "tokenizer": json.loads(self._engine.to_str()), **about}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        engine = _engine(json.dumps(plain["tokenizer"]))
        about = {name: plain[name] for name in ("name", "end_of_text", "begins")}
        return cls(engine, plain["tokens"], plain["template"], **about)


def opened(folder: Path) -> Any:
    """The engine of a folder's tokenizer."""
    if not folder.is_dir():
        raise DataError(f"data.tokenizer_folder = {str(folder)!r} is no folder; expected one with a {FILE}")
    file = folder / FILE
    if holds_pieces(folder):
        return engine_of(Pieces.from_folder(folder))
    if file.is_file():
        try:
            return _engine(file.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises plain Exception for a file that it cannot read
            raise DataError(
                f"{file} is no tokenizer of the library tokenizers ({' '.join(str(error).split())}); expected what "
                "`save_pretrained` of a fast tokenizer writes"
            ) from None
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingExtra(
            f"{folder} has no {FILE}, and to read its tokenizer otherwise needs transformers, which is not here; pip install "
            "'tunesmith[text]', or save the tokenizer as a fast one"
        ) from None
    try:
        found = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{folder} holds no tokenizer that Transformers can read ({' '.join(str(error).split())[:200]})"
        ) from None
    if not hasattr(found, "backend_tokenizer"):
        raise DataError(f"the tokenizer in {folder} is a slow one, without places of its tokens; save it as a fast one")
    return found.backend_tokenizer


def _engine(text: str) -> Any:
    import os

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads do not survive a fork
    from tokenizers import Tokenizer

    made = Tokenizer.from_str(text)
    made.no_truncation()  # whoever saved it may have left one on; what is cut, the policy cuts
    made.no_padding()
    return made


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no JSON ({error}); write it again") from None
    return found if isinstance(found, dict) else {}


def _ids_as_tokens(path: Path, engine: Any) -> dict[str, str]:
    """The special tokens that a model's config names by number, where the tokenizer's own does not name them."""
    own, settings = _json(path.parent / CONFIG), _json(path)
    found = {}
    for key in NAMED:
        number = settings.get(f"{key}_id")
        number = number[0] if isinstance(number, list) and number else number
        if own.get(key) is None and isinstance(number, int) and (text := engine.id_to_token(number)) is not None:
            found[key] = text
    return found


def _word(value: Any) -> str | None:
    """A special token as a config writes it: a word, or an object with its content."""
    found = value.get("content") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) and found else None


def _template(
    asked: str, place: Path, settings: Mapping[str, Any], tokens: Mapping[str, str], engine: Any
) -> tuple[str | None, tuple[str, ...]]:
    """The source of the template meant, and what to tell of it."""
    if asked == "im":
        lead = tokens["bos_token"] if settings.get("add_bos_token") and "bos_token" in tokens else ""
        if engine.token_to_id("<|im_end|>") is not None:
            return lead + IM, ()
        end = tokens["eos_token"]
        return lead + IM.replace("<|im_end|>", end), (
            f"the tokenizer {place.name} has no <|im_end|>: {end} ends each turn, and <|im_start|> is spelt in pieces",
        )
    if asked != "auto":
        file = Path(asked).expanduser()
        if not file.is_file():
            raise DataError(f"data.chat_template = {asked!r} is no file; expected a .jinja file, 'im' or 'auto'")
        return file.read_text(encoding="utf-8"), ()
    if (place / TEMPLATE).is_file():
        return (place / TEMPLATE).read_text(encoding="utf-8"), ()
    found = settings.get("chat_template")
    if isinstance(found, list):  # several, by name
        named = {one["name"]: one["template"] for one in found if isinstance(one, Mapping)}
        found = named.get("default")
    return (found if isinstance(found, str) else None), ()
