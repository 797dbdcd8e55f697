"""A request to stop, left in the folder of a run or a search: the one word that somebody outside may say to a training.

The file `stop` holds `stop` (end after the update; nothing is saved beyond what there is) or `save` (a checkpoint first, as after
Ctrl-C). Whoever trains there looks for it about once a second and takes it away when it obeys. What was left before a start is not meant
for it, and goes.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from tunesmith.records import RunError, did_you_mean
from tunesmith.runs.files import write_text

How: TypeAlias = Literal["stop", "save"]
HOWS: tuple[How, ...] = get_args(How)
FILE = "stop"


def ask_to_stop(folder: Path, how: How = "save") -> None:
    """Leaves the request. Raises `RunError` for another word, `StorageError` where the folder cannot be written."""
    if how not in HOWS:
        raise RunError(f"no way to stop called {how!r}{did_you_mean(how, HOWS)}")
    write_text(folder / FILE, how + "\n")


def asked_to_stop(folder: Path) -> How | None:
    """The request that lies there; None for none. What is no word of ours is taken for the careful one, `save`."""
    try:
        word = (folder / FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return "stop" if word == "stop" else "save"


def forget_request(folder: Path) -> None:
    """Takes the request away: it was obeyed, or comes from before the start."""
    with suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)


def requests(folder: Path | None) -> Callable[[], How | None]:
    """A look at the folder that takes a request it finds away. An old request goes at once."""
    if folder is None:
        return lambda: None
    forget_request(folder)

    def look() -> How | None:
        how = asked_to_stop(folder)
        if how is not None:
            forget_request(folder)
        return how

    return look
