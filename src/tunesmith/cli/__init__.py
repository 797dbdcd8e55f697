"""The command line: a few lines per command; every room is imported when its command runs.

Exit codes: 0 all well, 2 wrong use or bad input, 3 training failed, device lost or disk full, 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def main() -> None:
    """The entry point of `tunesmith`."""
    # Threads that wait for each other sleep: spinning made a fit on two busy cores four times as long (docs/log.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Carries out one command and gives its exit code."""
    from tunesmith.cli.answers import own_output

    with own_output("--json" in arguments) as output:
        return carried_out(list(arguments), output)


def carried_out(arguments: list[str], output: "TextIO") -> int:
    """The command itself; whatever it raises becomes a sentence and an exit code."""
    from tunesmith.cli.answers import Answer, say
    from tunesmith.cli.app import app
    from tunesmith.cli.failing import tell

    json = "--json" in arguments
    try:
        answer = app(arguments, prog_name="tunesmith", standalone_mode=False)
        if isinstance(answer, Answer):
            say(answer, output, json=json)
            if answer.then is not None:
                answer.then()
            return answer.code
        return answer if isinstance(answer, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        return tell(error, output, json=json, debug="--debug" in arguments)
