"""Words without what a careless hand adds: case, spaces, a final dot."""

import re
import unicodedata

SPACES = re.compile(r"[\s\u200b\ufeff_-]+")


def bare(word: object) -> str:
    """A word in its barest form; a whole number is written without its decimals.

    >>> bare(" >50K. "), bare("Very  Good") == bare("very_good"), bare("2.0"), bare(2)
    ('>50k', True, '2', '2')
    """
    text = unicodedata.normalize("NFKC", str(word)).casefold().strip().rstrip(".").rstrip()
    text = re.sub(r"^([+-]?\d+)\.0+$", r"\1", text)
    return SPACES.sub(" ", text).strip()
