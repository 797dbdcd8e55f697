"""Which characters belong to scripts written without spaces between words, and where words of the others begin.

Ranges: Unicode 16.0, Blocks.txt.
"""

from collections import Counter
from functools import cache
from unicodedata import category, name

import numpy as np

from tunesmith.data.spec import Array

UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # marks of repetition, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # Katakana, half width
    (0x1B000, 0x1B16F),  # Kana supplement
    (0x20000, 0x323AF),  # Han, extensions B to H
)
LAST_MARK = 0x1E94A  # combining marks lie below it, but for the variation selectors of plane 14


def unspaced(points: Array) -> Array:
    """True where a character (its Unicode number) belongs to a script without spaces between words."""
    found = np.zeros(len(points), bool)
    for low, high in UNSPACED:
        found |= (points >= low) & (points <= high)
    return found


def word_starts(points: Array) -> Array:
    """True where a word of a script with spaces begins."""
    letters = np.zeros(len(points), bool)
    distinct, place = np.unique(points, return_inverse=True)
    known = np.fromiter((category(chr(point))[0] in "LM" for point in distinct), bool, len(distinct))
    letters[:] = known[place] & ~unspaced(points)
    return letters & ~np.concatenate(([False], letters[:-1]))


def script_of(text: str) -> str:
    """The script that most letters of a text are in, by their names in Unicode; "no letters" where there are none.

    >>> [script_of(text) for text in ("Zürich 8000", "Живаго", "新闻 ok", "ひらがな漢", "12 + 3")]
    ['Latin', 'Cyrillic', 'Han', 'Kana', 'no letters']
    """
    found: Counter[str] = Counter()
    for letter, many in Counter(text).items():
        if letter.isalpha():
            found[_script(letter)] += many
    return found.most_common(1)[0][0] if found else "no letters"


@cache
def _script(letter: str) -> str:
    words = [word for word in name(letter, "other").split() if word not in ("FULLWIDTH", "HALFWIDTH")]
    return {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana"}.get(words[0], words[0].capitalize())


@cache
def marks() -> str:
    """Every combining mark, as the inside of a character class: `\\w` of `re` lacks them, and Hindi words break."""
    found = [point for point in range(0x300, LAST_MARK + 1) if category(chr(point))[0] == "M"]
    runs: list[list[int]] = []
    for point in found:
        if runs and runs[-1][1] == point - 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in runs)


def unspaced_class() -> str:
    """The scripts without spaces, as the inside of a character class."""
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in UNSPACED)
