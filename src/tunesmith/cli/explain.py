"""`tunesmith explain`: the manual page of a name."""

from shutil import get_terminal_size
from typing import Annotated

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json

WIDEST = 100  # longer lines are hard to read


def explain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A fault, recipe field or catalogue member.", show_default=False),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Print the manual page of a fault, a setting, a layer …"""
    import os
    import sys

    from tunesmith.reports.plot import look_of
    from tunesmith.verbs.explain import contents
    from tunesmith.verbs.explain import explain as explained

    width = min(get_terminal_size().columns, WIDEST)
    look = look_of(sys.stdout, width, dict(os.environ))
    text = explained(name, width=width, look=look) if name else contents(width)
    return Answer({"name": name, "text": text}, text)
