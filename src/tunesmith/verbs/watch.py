"""`watch`: one line that measures a training loop and names what is wrong with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith.integrations.watch import Watch


def watch(
    model: Any,
    optimizer: Any,
    *,
    loss_fn: Any = None,
    folder: str | Path | None = None,
    overhead: float = 0.03,
    num_classes: int | None = None,
    language: str = "en",
    quiet: bool = False,
) -> "Watch":
    """Watches a loop: `watch(model, optimizer)`; with `folder` it writes a run there, else into memory."""
    from tunesmith.integrations.watch import Watch
    from tunesmith.reports.terminal import TerminalDisplay

    say = None if quiet else TerminalDisplay(language=language).finding
    return Watch(model, optimizer, loss_fn=loss_fn, folder=folder, overhead=overhead, num_classes=num_classes, say=say)
