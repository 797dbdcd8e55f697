"""`tunesmith clean`: removes old checkpoints."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.answers import Answer
from tunesmith.cli.options import Debug, Json


def clean(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder, or a folder of runs.")],
    keep: Annotated[
        int, typer.Option(metavar="NUMBER", help="Newest checkpoints that stay beside the best and the last.")
    ] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Remove old checkpoints; the best and the last stay."""
    from tunesmith.reports.wording import counted, size
    from tunesmith.runs.cleaning import clean as cleaned

    done = cleaned(folder, keep=keep, dry_run=dry_run)
    total = sum(one.bytes for one in done)
    verb = "would be removed" if dry_run else "removed"
    lines = [
        one.busy or f"{one.folder}: {counted(len(one.removed), 'checkpoint')} {verb} ({size(one.bytes)})"
        for one in done
    ]
    runs = [
        {"folder": one.folder, "removed": one.removed, "bytes": one.bytes, "busy": one.busy or None} for one in done
    ]
    data = {"runs": runs, "bytes": total, "dry_run": dry_run}
    return Answer(data, "\n".join([*lines, *([f"{size(total)} in all"] if len(done) > 1 else [])]))
