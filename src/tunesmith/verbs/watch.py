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
    first_step: int = 0,
) -> "Watch":
    """Watches a loop: `watch(model, optimizer)` is enough; several optimizers come as a list.

    Losses are read off the backward passes; `step(loss)` after each update tells them exactly, `epoch(val_loss=…)` after an evaluation
    lets the rules judge what there is and print what they find (not with `quiet`). `folder` gets a run that `diagnose`, `report` and
    `live` read; without one everything is in memory. With `loss_fn` the curvature is measured too. Measuring keeps to the share
    `overhead` of the time: all of the first updates, then fewer; in between nothing hangs on the model. The training is the same to
    the bit. `first_step` updates were made before, in a run that is gone on with. Raises `ModelError` for an optimizer that is none
    of torch's, `RunError` for a folder that holds something else.

    >>> import torch
    >>> net = torch.nn.Linear(2, 1)
    >>> sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> with watch(net, sgd, quiet=True) as on:
    ...     for _ in range(3):
    ...         net(torch.ones(4, 2)).square().mean().backward()
    ...         sgd.step()
    ...         sgd.zero_grad()
    >>> len(on.history.get("loss"))
    3
    """
    from tunesmith.integrations.watch import Watch
    from tunesmith.reports import choose

    say = None if quiet else choose(language=language).finding
    return Watch(
        model,
        optimizer,
        loss_fn=loss_fn,
        folder=folder,
        overhead=overhead,
        num_classes=num_classes,
        say=say,
        first_step=first_step,
    )
