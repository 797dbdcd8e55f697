"""Words without what a careless hand adds: case, spaces, a final dot."""

import re
import unicodedata

SPACES = re.compile(r"(?<=\w)[\s_-]+(?=[^\W\d_])|\s+")  # A- and -1 keep their sign
UNSEEN = re.compile(r"[\u200b-\u200f\u00ad\ufeff]")  # of no width


def bare(word: object) -> str:
    """A word in its barest form; a whole number is written without its decimals.

    >>> bare(" >50K. "), bare("Very  Good") == bare("very_good"), bare("2.0"), bare("A-"), bare("-1")
    ('>50k', True, '2', 'a-', '-1')
    """
    text = UNSEEN.sub("", unicodedata.normalize("NFKC", str(word))).casefold().strip().rstrip(".").rstrip()
    text = re.sub(r"^([+-]?\d+)\.0+$", r"\1", text)
    return SPACES.sub(" ", text).strip()


def is_letter(key: str) -> bool:
    """Whether a bare word is one letter, whose case may matter."""
    return len(key) == 1 and key.isalpha()
