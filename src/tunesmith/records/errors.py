"""The error tree. Every error a user can meet says what came, what was expected and what to try.

TunesmithError                      exit 2
├── UnknownName        (KeyError)   a name no catalogue, section or column has
├── RecipeError        (ValueError) a recipe value of the wrong type or out of range
├── DataError          (ValueError) a file, column, row or label that cannot be used
├── ModelError         (ValueError) a model, loss or optimizer that cannot train as it is
├── RunError           (ValueError) a run folder that cannot be used as asked
│   ├── RunBusy                     another process holds the folder
│   └── CheckpointError             a checkpoint that is cut short, altered or of another version
├── MissingExtra       (ImportError) an optional package is absent; names the extra
├── TrainingFailed     (RuntimeError)  exit 3: the training itself broke
│   ├── DeviceError                 exit 3: the device is absent or was lost
│   └── RankLost                    exit 3: another rank of the training is gone
└── StorageError       (OSError)    exit 3: disk full or not writable; nothing already written is lost
"""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

MARGIN = 0.11  # assumption: a name this much less alike than the nearest is not worth naming


class TunesmithError(Exception):
    """The root of all errors raised on purpose. `exit_code` is what the command line returns."""

    exit_code = 2

    def __str__(self) -> str:  # KeyError would put quotes around the sentence
        return str(self.args[0]) if self.args else type(self).__name__


class UnknownName(TunesmithError, KeyError):
    """A name that nothing answers to."""


class RecipeError(TunesmithError, ValueError):
    """A recipe value of the wrong type, out of range, or in conflict with another."""


class DataError(TunesmithError, ValueError):
    """Data that cannot be read or used as asked."""


class ModelError(TunesmithError, ValueError):
    """A model, loss or optimizer that cannot train as it is."""


class RunError(TunesmithError, ValueError):
    """A run folder that cannot be used as asked."""


class RunBusy(RunError):
    """Another process writes to the run folder."""


class CheckpointError(RunError):
    """A checkpoint that is cut short, altered, or of another version."""


class MissingExtra(TunesmithError, ImportError):
    """An optional package is absent."""


class TrainingFailed(TunesmithError, RuntimeError):
    """The training broke; what was written up to there is kept."""

    exit_code = 3


class DeviceError(TrainingFailed):
    """The device is absent, or was lost."""


class RankLost(TrainingFailed):
    """Another rank of the training died, so this one cannot go on."""


class StorageError(TunesmithError, OSError):
    """The disk is full or not writable."""

    exit_code = 3


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names closest to `name`, best first.

    >>> nearest("cosin", ["cosine", "linear", "constant"])
    ['cosine']
    """
    by_fold = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(name.casefold(), by_fold, n=most, cutoff=0.6)
    likeness = [SequenceMatcher(None, fold, name.casefold()).ratio() for fold in found]
    return [by_fold[fold] for fold, like in zip(found, likeness, strict=True) if like >= likeness[0] - MARGIN]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A clause to end a sentence on: the nearest names, or all of them where few.

    >>> did_you_mean("cosin", ["cosine", "linear"])
    "; did you mean 'cosine'?"
    >>> did_you_mean("xyz", ["cosine", "linear"])
    '; known: cosine, linear'
    """
    names = sorted(known)
    close = nearest(name, names)
    if close:
        return "; did you mean " + " or ".join(repr(candidate) for candidate in close) + "?"
    shown = ", ".join(names[:12]) + (f" … ({len(names)} in all)" if len(names) > 12 else "")
    return f"; known: {shown}" if names else ""
