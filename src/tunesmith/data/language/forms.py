"""Rows of data as samples: which of the usual forms they have, and what is wrong with a row.

`text` {"text"}; `messages` {"messages": [{"role", "content"}]}; `sharegpt` {"conversations": [{"from", "value"}]}; `alpaca`
{"instruction", "input", "output"}; `completion` {"prompt", "completion"}. Of pairs of a better and a worse answer (`chosen`,
`rejected`) the better one is the reply; of rows with a truth value `label` the false ones are left out by the reader.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunesmith.data.language.samples import ALIASES, SPEAKERS, Sample, Turn
from tunesmith.records import did_you_mean

KNOWN = 'messages, conversations (from, value), instruction and output, prompt and completion, or "text"'
WEIGHTS = ("loss_weight", "weight")  # of a turn, 0 or 1


class BadRow(Exception):
    """Why one row cannot be used: a sentence that begins with what is wrong."""


def form_of(record: Mapping[str, Any]) -> str | None:
    """The form of a row by its keys; None where it has none of them.

    >>> form_of({"instruction": "Add.", "input": "1, 2", "output": "3"}), form_of({"text": "a"}), form_of({"x": 1})
    ('alpaca', 'text', None)
    """
    for form, keys in KEYS.items():
        if all(key in record for key in keys):
            return form
    return None


def _text(record: Mapping[str, Any]) -> tuple[str, tuple[Turn, ...]]:
    if not isinstance(record["text"], str) or not record["text"].strip():
        raise BadRow(f"its text is {_shown(record['text'])}, some text was expected")
    return record["text"], ()


def _messages(record: Mapping[str, Any]) -> tuple[str, tuple[Turn, ...]]:
    return "", _turns(record, "messages", ("role", "from"), ("content", "value"))


def _sharegpt(record: Mapping[str, Any]) -> tuple[str, tuple[Turn, ...]]:
    return "", _turns(record, "conversations", ("from", "role"), ("value", "content"))


def _alpaca(record: Mapping[str, Any]) -> tuple[str, tuple[Turn, ...]]:
    asked = [record["instruction"], record.get("input") or ""]
    if not all(isinstance(part, str) for part in (*asked, record["output"])):
        raise BadRow("its instruction, input or output is no text")
    return "", _pair(record, "\n".join(part for part in asked if part.strip()), record["output"])


def _completion(record: Mapping[str, Any]) -> tuple[str, tuple[Turn, ...]]:
    if not isinstance(record["prompt"], str) or not isinstance(record["completion"], str):
        raise BadRow("its prompt or completion is no text")
    return "", _pair(record, record["prompt"], record["completion"])


FORMS: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, tuple[Turn, ...]]]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "completion": _completion,
    "text": _text,
}
KEYS: Mapping[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": ("instruction", "output"),
    "completion": ("prompt", "completion"),
    "text": ("text",),
}


def sample_of(record: Mapping[str, Any], form: str, row: int, place: str) -> Sample:
    """One row as a sample. Raises `BadRow`."""
    missing = [key for key in KEYS[form] if key not in record]
    if missing:
        raise BadRow(
            f"it has no {missing[0]!r} and the rows before it are {form} (keys: {', '.join(record) or 'none'})"
        )
    text, turns = FORMS[form](record)
    tools = record.get("tools") or ""
    return Sample(row, place, text, turns, tools if isinstance(tools, str) else json.dumps(tools, ensure_ascii=False))


def _pair(record: Mapping[str, Any], question: str, answer: str) -> tuple[Turn, ...]:
    """The usual three turns; earlier exchanges stand in `history`, as pairs."""
    turns = []
    system = record.get("system") or ""
    if isinstance(system, str) and system.strip():
        turns.append(Turn("system", system))
    for before in record.get("history") or ():
        if not isinstance(before, Sequence) or len(before) != 2:
            raise BadRow("its history is no list of pairs (question, answer)")
        turns += [Turn("user", str(before[0])), Turn("assistant", str(before[1]))]
    turns += [Turn("user", question), Turn("assistant", answer)]
    _refuse_empty(turns)
    return tuple(turns)


def _turns(record: Mapping[str, Any], key: str, roles: tuple[str, ...], contents: tuple[str, ...]) -> tuple[Turn, ...]:
    given = record[key]
    if not isinstance(given, list) or not given:
        raise BadRow(f"its {key} are {_shown(given)}, a list of turns was expected")
    turns = []
    system = record.get("system")
    if isinstance(system, str) and system.strip():
        turns.append(Turn("system", system))
    chosen = record.get("chosen")
    listed = [*given, *(chosen if isinstance(chosen, list) else [chosen] if chosen is not None else [])]
    for number, one in enumerate(listed, start=1):
        if not isinstance(one, Mapping):
            raise BadRow(f"turn {number} is {_shown(one)}, an object with {roles[0]} and {contents[0]} was expected")
        turns.append(Turn(_role(one, number, roles), _content(one, number, contents), _trains(one, number)))
    _refuse_empty(turns)
    return tuple(turns)


def _role(turn: Mapping[str, Any], number: int, names: tuple[str, ...]) -> str:
    given = next((turn[name] for name in names if turn.get(name) is not None), None)
    if given is None:
        raise BadRow(f"turn {number} has no {names[0]} (keys: {', '.join(map(str, turn)) or 'none'})")
    role = ALIASES.get(str(given), str(given))
    if role not in SPEAKERS:
        hint = did_you_mean(role, [*SPEAKERS, *ALIASES])
        raise BadRow(f"turn {number} has the role {given!r}, {', '.join(SPEAKERS)} were expected{hint}")
    return role


def _content(turn: Mapping[str, Any], number: int, names: tuple[str, ...]) -> str:
    """The text of a turn; of several pieces together; of calls of tools as JSON."""
    given = next((turn[name] for name in names if turn.get(name) is not None), None)
    if given is None and turn.get("tool_calls"):
        return json.dumps(turn["tool_calls"], ensure_ascii=False)
    if isinstance(given, list):
        return "".join(_piece(one, number) for one in given)
    if given is not None and not isinstance(given, str):
        raise BadRow(f"turn {number} holds {_shown(given)}, text was expected")
    return given or ""


def _piece(piece: Any, number: int) -> str:
    if isinstance(piece, str):
        return piece
    text = piece.get("text", piece.get("value")) if isinstance(piece, Mapping) else None
    if not isinstance(text, str) or piece.get("type", "text") not in ("text", "reasoning", "tools", "tool_call"):
        raise BadRow(
            f"turn {number} holds a piece that is no text ({_shown(piece)}); pictures and sound cannot be learnt from"
        )
    return text


def _trains(turn: Mapping[str, Any], number: int) -> bool:
    """Whether the data let a turn train: its weight is 0 or 1."""
    for name in WEIGHTS:
        weight = turn.get(name)
        if weight is None:
            continue
        if weight not in (0, 1):
            raise BadRow(f"turn {number} has the {name} {weight!r}, 0 or 1 was expected")
        return bool(weight)
    return turn.get("train") is not False


def _refuse_empty(turns: Sequence[Turn]) -> None:
    for number, turn in enumerate(turns, start=1):
        if not turn.text.strip():
            raise BadRow(f"turn {number} ({turn.role}) is empty, some text was expected")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]} …"
