"""Chat templates in Jinja, as they lie beside the tokenizers of Transformers: text of a conversation, and where replies stand.

The environment is that of Transformers: sandboxed, blocks trimmed, `raise_exception`, `tojson`, `strftime_now`, and
`{% generation %} … {% endgeneration %}` around what the model itself writes. A template is code of somebody else's: the
sandbox of Jinja is what holds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tunesmith.data.language.samples import Sample
from tunesmith.records import DataError, MissingExtra

if TYPE_CHECKING:
    from jinja2 import Template

OPENS, SHUTS = "\ufdd0", "\ufdd1"  # Unicode gives them to nobody: they mark what stands between the tags, and go again
IM = (
    "{% if tools and messages[0].role == 'system' %}{% set lead = messages[0].content + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set lead = '' %}{% set rest = messages %}{% endif %}"
    "{% if tools %}<|im_start|>system\n{{ lead }}Tools that can be called, as JSON:\n"
    "{{ tools if tools is string else tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for message in rest %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)  # our own layout (`fitted.py`), for a tokenizer that has no template


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as text; spans are (start, stop) in characters."""

    text: str
    turns: tuple[tuple[int, int], ...]  # of each turn, one after another; empty where only replies are known
    headers: tuple[int, ...]  # where what is said begins in each turn
    generated: tuple[tuple[int, int], ...] | None  # what the template marks; None where it marks nothing


class ChatTemplate:
    """A template ready to be filled in. Raises `DataError` for one that Jinja cannot read."""

    def __init__(self, source: str, tokens: Mapping[str, str], name: str) -> None:
        self.source = source
        self.name = name
        self.marks = "generation" in source and "endgeneration" in source
        self._tokens = dict(tokens)
        self._template = _compiled(source, name)

    def render(self, sample: Sample) -> Rendered:
        """The text of a conversation and the places of its turns. Raises `DataError` with the place of the sample.

        Where the template marks each reply, turns whose places cannot be found otherwise are left out: `turns` is empty then.
        """
        messages = [{"role": turn.role, "content": turn.text} for turn in sample.turns]
        text, generated = _unmarked(self._fill(messages, sample))
        replies = sum(turn.role == "assistant" for turn in sample.turns)
        try:
            turns, headers = self._places(messages, text, sample)
        except DataError:
            if not self.marks or len(generated) != replies:
                raise
            turns, headers = (), ()
        return Rendered(text, turns, headers, generated if self.marks else None)

    def _places(
        self, messages: list[dict[str, str]], text: str, sample: Sample
    ) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
        """Where each turn stands, and where what is said in it begins: the conversation is rendered up to each of them."""
        turns, headers, before = [], [], 0
        for number, turn in enumerate(sample.turns, start=1):
            end = len(text) if number == len(messages) else self._end_of(messages, number, text, before, sample)
            place = text.find(turn.text.strip(), before, end)
            said = self._said(messages, number, text, before, end, sample)
            if said is None and place < 0:
                raise DataError(
                    f"{sample.place}: the chat template of {self.name} does not write the text of turn {number} ({turn.role}) as it "
                    "is; mark replies in it with {% generation %}, or choose data.chat_template = 'im'"
                )
            turns.append((before, end))
            headers.append(place if said is None else said)
            before = end
        return tuple(turns), tuple(headers)

    def _end_of(self, messages: list[dict[str, str]], number: int, text: str, before: int, sample: Sample) -> int:
        """Where a turn ends that others follow: with the conversation up to it, or behind its text where the template takes none such."""
        turn = sample.turns[number - 1]
        try:
            until = _unmarked(self._fill(messages[:number], sample))[0]
        except DataError:
            place = text.find(turn.text.strip(), before)
            if turn.role == "assistant" or place < 0:
                raise
            return place + len(turn.text.strip())
        end = _common(until, text)
        if until[end:].strip():
            raise DataError(
                f"{sample.place}: the chat template of {self.name} writes turn {number} another way once others follow, so "
                "that its tokens cannot be told from theirs; mark replies in it with {% generation %}, or choose "
                "data.chat_template = 'im'"
            )
        return end

    def _said(
        self, messages: list[dict[str, str]], number: int, text: str, before: int, end: int, sample: Sample
    ) -> int | None:
        """Where a reply begins: behind what the template asks for it with; None where it asks with nothing."""
        if messages[number - 1]["role"] != "assistant" or number == 1:
            return None
        asked = _unmarked(self._fill(messages[: number - 1], sample, ask=True))[0]
        return len(asked) if before < len(asked) < end and text.startswith(asked) else None

    def _fill(self, messages: Sequence[Mapping[str, str]], sample: Sample, *, ask: bool = False) -> str:
        from jinja2 import TemplateError

        try:
            return self._template.render(
                messages=messages,
                tools=_listed(sample.tools),
                documents=None,
                add_generation_prompt=ask,
                **self._tokens,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise DataError(
                f"{sample.place}: the chat template of {self.name} refuses the conversation ({error}); mend the row, leave such rows "
                "out, or choose data.chat_template = 'im'"
            ) from None


def _common(one: str, other: str) -> int:
    """Letters that two texts begin with alike."""
    if other.startswith(one):
        return len(one)
    return next(place for place in range(len(one)) if place >= len(other) or one[place] != other[place])


def _unmarked(text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The text without the marks, and what stood between them."""
    plain, spans, start, length = list[str](), list[tuple[int, int]](), 0, 0
    for piece in _split(text):
        if piece == OPENS:
            start = length
        elif piece == SHUTS:
            spans.append((start, length))
        else:
            plain.append(piece)
            length += len(piece)
    return "".join(plain), tuple(spans)


def _split(text: str) -> list[str]:
    import re

    return [piece for piece in re.split(f"([{OPENS}{SHUTS}])", text) if piece]


def _listed(tools: str) -> Any:
    if not tools:
        return None
    try:
        return json.loads(tools)
    except json.JSONDecodeError:
        return tools


def _compiled(source: str, name: str) -> Template:
    try:
        import jinja2
        from jinja2 import nodes
        from jinja2.ext import Extension
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise MissingExtra("chat templates need jinja2, which is not here; pip install 'tunesmith[text]'") from None

    class Generation(Extension):
        """What stands between the tags, with a mark before and behind."""

        tags = {"generation"}  # noqa: RUF012  # as Jinja asks for it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_between"), [], [], body).set_lineno(line)

        def _between(self, caller: Any) -> str:
            return f"{OPENS}{caller()}{SHUTS}"

    def refuse(reason: str) -> None:
        raise jinja2.TemplateError(reason)

    def as_json(value: Any, **about: Any) -> str:
        return json.dumps(value, ensure_ascii=about.pop("ensure_ascii", False), **about)

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = as_json
    made.globals["raise_exception"] = refuse
    made.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    try:
        return made.from_string(source)
    except jinja2.TemplateError as error:
        raise DataError(
            f"the chat template of {name} cannot be read ({error}); mend it, or choose data.chat_template = 'im'"
        ) from None
