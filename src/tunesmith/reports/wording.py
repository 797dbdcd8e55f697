"""How numbers, times and sizes are written for people."""

import math
from collections.abc import Mapping
from typing import Any

ABSENT = "–"


def number(value: Any, digits: int = 4) -> str:
    """A number in at most `digits` significant digits, without needless zeros; other values as text.

    >>> [number(value) for value in (0.123456, 12345.6, 1e-5, 0.5, 3, float("nan"), None)]
    ['0.1235', '12346', '1e-05', '0.5', '3', 'nan', '–']
    """
    if value is None:
        return ABSENT
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-4 <= abs(value) < 10**digits:
        places = digits - 1 - (math.floor(math.log10(abs(value))) if value else 0)
        text = f"{value:.{max(places, 0)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if abs(value) < 1e7 and abs(value) >= 1:
        return f"{value:.0f}"
    return f"{value:.{digits - 1}g}"


def score(value: Any) -> str:
    """A score at fixed width, so that rows line up: four places below 100, fewer above.

    >>> [score(value) for value in (0.5, 12.25, 4321.5, 1234567.0, float("nan"), None)]
    ['0.5000', '12.2500', '4321.5', '1.235e+06', 'nan', '–']
    """
    if value is None:
        return ABSENT
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e5 or 0 < abs(value) < 1e-4:
        return f"{value:.3e}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


def interval(bounds: Any) -> str:
    """The two ends of an interval.

    >>> interval([0.89, 0.912345])
    '0.8900 to 0.9123'
    """
    return f"{score(bounds[0])} to {score(bounds[1])}" if bounds else ""


def percent(share: float | None) -> str:
    """A share in percent; the blank before the sign is one that does not break.

    >>> [percent(value).replace("\\xa0", " ") for value in (0.5, 0.1234, 0.0004, 0.0, None)]
    ['50 %', '12.3 %', '0.04 %', '0 %', '–']
    """
    if share is None or not math.isfinite(share):
        return ABSENT
    return f"{100 * share:.3g}\xa0%"


def duration(seconds: float | None) -> str:
    """
    >>> [duration(value) for value in (0.25, 9.94, 75, 3725, 200000, None)]
    ['0.2s', '9.9s', '1m15s', '1h02m', '2d07h', '–']
    """
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours < 48 else f"{hours // 24}d{hours % 24:02d}h"


def size(count: float | None) -> str:
    """Bytes, in powers of 1024.

    >>> [size(value) for value in (12, 2048, 5 * 1024**2, 3 * 1024**3, None)]
    ['12 B', '2.0 KiB', '5.0 MiB', '3.0 GiB', '–']
    """
    if count is None:
        return ABSENT
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def count(value: int | None) -> str:
    """A whole number with thin groups of three.

    >>> count(1234567)
    '1,234,567'
    """
    return ABSENT if value is None else f"{value:,}"


def counted(value: int, noun: str) -> str:
    """
    >>> [counted(value, "checkpoint") for value in (0, 1, 2)]
    ['0 checkpoints', '1 checkpoint', '2 checkpoints']
    """
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def shape(value: Any) -> str:
    """
    >>> [shape(value) for value in ((3, 4), [10], (), None, "3 × 4")]
    ['3 × 4', '10', '', '', '3 × 4']
    """
    if value is None or isinstance(value, str):
        return value or ""
    return " × ".join(str(side) for side in value)


def setting(value: Any) -> str:
    """The value of a setting, as a recipe file has it.

    >>> [setting(value) for value in (True, None, 0.001, "adamw", [1, 0.5], {})]
    ['true', 'none', '0.001', 'adamw', '[1, 0.5]', '{}']
    """
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return number(value)


def equation(value: Any, text: str) -> str:
    """How a number was derived, without the result that stands beside it.

    >>> equation(32, "train.batch_size x train.accumulate = 32 x 1 = 32")
    'train.batch_size x train.accumulate = 32 x 1'
    """
    return text.removesuffix(f" = {number(value)}").removesuffix(f" = {value}")


def described(values: Mapping[str, Any]) -> str:
    """`name value` pairs in one line.

    >>> described({"accuracy": 0.91234, "log_loss": 0.25})
    'accuracy 0.9123, log_loss 0.2500'
    """
    return ", ".join(f"{name} {score(value)}" for name, value in values.items())


def visible(text: str) -> str:
    """The text without characters that would steer a terminal.

    >>> visible("a\\x1b[31mb")
    'a�[31mb'
    """
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)
