"""On which line a key stands, in TOML and in JSON, also in a text with mistakes (as far as it can be read)."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

Keys = tuple[str, ...]

TOKEN = re.compile(
    r"""
      (?P<long>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5})
    | (?P<word>"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\s\#"'\[\]{}=,.:]+)
    | (?P<comment>\#[^\n]*)
    | (?P<mark>[\[\]{}=,.:\n])
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A piece of the text: a mark stands for itself, a word for a key or a value."""

    mark: str
    word: str
    line: int


END = Token("end", "", 0)


class Tokens:
    """The tokens of a text, one after the other."""

    def __init__(self, text: str, *, newlines: bool) -> None:
        self._rest = _tokens(text, newlines)
        self.next = next(self._rest, END)

    def take(self) -> Token:
        """The next token, and steps over it."""
        taken, self.next = self.next, next(self._rest, END)
        return taken

    def skip_to(self, marks: str) -> None:
        """Steps over what stands before the next of `marks`."""
        while self.next is not END and self.next.mark not in tuple(marks):
            self.take()


def _tokens(text: str, newlines: bool) -> Iterator[Token]:
    line = 1
    for found in TOKEN.finditer(text):
        piece = found.group()
        if found.lastgroup == "mark" and (newlines or piece != "\n"):
            yield Token(piece, "", line)
        elif found.lastgroup in ("word", "long"):
            yield Token("", piece, line)
        line += piece.count("\n")


def toml_keys(text: str) -> Iterator[tuple[Keys, int]]:
    """Every table and key of a TOML text with its line.

    >>> dict(toml_keys("[optim]\\nlr = 1\\nextra = {power = 2}"))
    {('optim',): 1, ('optim', 'lr'): 2, ('optim', 'extra'): 3, ('optim', 'extra', 'power'): 3}
    """
    tokens = Tokens(text, newlines=True)
    table: Keys = ()
    while tokens.next is not END:
        line = tokens.next.line
        if tokens.next.mark == "[":
            table = _key(tokens, "]\n")
            yield table, line
        else:
            key = table + _key(tokens, "=\n")
            if tokens.next.mark == "=":
                tokens.take()
                yield key, line
                yield from _inside(tokens, key, "=")
        tokens.skip_to("\n")
        tokens.take()


def json_keys(text: str) -> Iterator[tuple[Keys, int]]:
    """Every key of a JSON text with its line; items of lists are numbered.

    >>> dict(json_keys('{"a": {"b": 1},\\n "c": [{"d": 2}]}'))
    {('a',): 1, ('a', 'b'): 1, ('c',): 2, ('c', '0', 'd'): 2}
    """
    yield from _inside(Tokens(text, newlines=False), (), ":")


def _key(tokens: Tokens, until: str) -> Keys:
    """The words before the next of the marks `until`: a dotted key."""
    words = []
    while tokens.next is not END and tokens.next.mark not in tuple(until):
        taken = tokens.take()
        if taken.word:
            words.append(_unquoted(taken.word))
    return tuple(words)


def _inside(tokens: Tokens, here: Keys, equals: str) -> Iterator[tuple[Keys, int]]:
    """Reads one value; yields the keys of the tables in it."""
    opening = tokens.take()
    if opening.mark == "{":
        while tokens.next is not END and tokens.next.mark != "}":
            line = tokens.next.line
            key = here + _key(tokens, equals + ",}")
            if tokens.next.mark == equals:
                tokens.take()
                yield key, line
                yield from _inside(tokens, key, equals)
            tokens.skip_to(",}")
            if tokens.next.mark == ",":
                tokens.take()
        tokens.take()
    elif opening.mark == "[":
        item = 0
        while tokens.next.mark == "\n":
            tokens.take()
        while tokens.next is not END and tokens.next.mark != "]":
            yield from _inside(tokens, (*here, str(item)), equals)
            tokens.skip_to(",]")
            item += tokens.next.mark == ","
            while tokens.next.mark in (",", "\n"):
                tokens.take()
        tokens.take()


def _unquoted(word: str) -> str:
    if word.startswith("'"):
        return word[1:-1]
    if word.startswith('"'):
        try:
            return str(json.loads(word))
        except ValueError:  # an escape that only TOML knows; the name is for a message alone
            return word[1:-1]
    return word
