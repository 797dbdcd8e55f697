"""What is said when a command fails: one sentence, and the exit code that belongs to it."""

import sys
from typing import Any, TextIO

LAUNCHER, LOST = "TUNESMITH_LAUNCHER", 76  # as in training/ranks: it stays unloaded where nothing went wrong there
FULL = (28, 122)  # errno of a full disk and of a spent quota


def tell(error: BaseException, output: TextIO, *, json: bool, debug: bool) -> int:
    """Prints what went wrong and gives the exit code."""
    if isinstance(error, BrokenPipeError):
        return closed_early()
    if only_lost(error):
        return LOST
    sentence, code = explained(error)
    if debug:
        from traceback import print_exception

        print_exception(error)
    if json:
        from json import dumps

        output.write(dumps({"error": sentence, "kind": type(error).__name__}, ensure_ascii=False) + "\n")
        output.flush()
    sys.stderr.write(f"error: {sentence}\n")
    return code


def only_lost(error: BaseException) -> bool:
    """Whether this is one of several ranks that our launcher started, and tells no more than that another is gone."""
    import os

    from tunesmith.records.errors import RankLost

    return isinstance(error, RankLost) and LAUNCHER in os.environ


def closed_early() -> int:
    """Whoever read our output has seen enough (`| head`); the interpreter must not try to flush it again."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return 0


def explained(error: BaseException) -> tuple[str, int]:
    """The sentence and the exit code of an exception."""
    from typer import Abort, BadParameter

    from tunesmith.records.errors import TunesmithError

    wrong_use = BadParameter.__mro__[1:-3]  # typer's own errors of use, under whatever name this version has them
    if isinstance(error, TunesmithError):
        return one_line(str(error)), error.exit_code
    if isinstance(error, wrong_use):
        return usage(error), 2
    if isinstance(error, KeyboardInterrupt | Abort):
        return "interrupted", 130
    if isinstance(error, OSError):
        return of_the_system(error), 3 if error.errno in FULL else 2
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory; try a smaller --set train.batch_size with a larger --set train.accumulate", 3
    said = one_line(str(error))
    return f"unexpected {type(error).__name__}{': ' + said if said else ''}; --debug shows where", 3


def usage(error: BaseException) -> str:
    """Typer's sentence in our form."""
    option, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if option is not None and context is not None and hasattr(error, "possibilities"):
        return unknown_option(option, context)
    message = one_line(error.format_message()).rstrip(".") if hasattr(error, "format_message") else one_line(str(error))
    help_ = more(context) if context is not None else ""
    return asked(message[:1].lower() + message[1:] or "wrong use", help_)


def unknown_option(name: str, context: Any) -> str:
    """The sentence for an option that the command has not: the nearest it has."""
    from tunesmith.records.errors import nearest

    known = [option for parameter in context.command.params for option in parameter.opts if option.startswith("-")]
    near = " or ".join(nearest(name, known))
    return asked(
        f"{context.command_path} has no option {name}{f'; did you mean {near}?' if near else ''}", more(context)
    )


def asked(sentence: str, help_: str) -> str:
    """The sentence and where to read on; after a question no second one begins with a semicolon.

    >>> asked("did you mean 'fit'?", "; see `tunesmith --help`")
    "did you mean 'fit'? (see `tunesmith --help`)"
    """
    return f"{sentence} ({help_.removeprefix('; ')})" if help_ and sentence.endswith("?") else sentence + help_


def more(context: Any) -> str:
    return f"; see `{context.command_path} --help`"


def of_the_system(error: OSError) -> str:
    reason = one_line(error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else reason


def one_line(text: str) -> str:
    """
    >>> one_line(" two\\n lines ")
    'two lines'
    """
    return " ".join(text.split())
