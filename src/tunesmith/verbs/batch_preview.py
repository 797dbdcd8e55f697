"""The batch preview of a language model: what it is about to learn, shown and kept before the first update."""

from typing import TYPE_CHECKING

from tunesmith.runs import MemoryWriter, RunWriter

if TYPE_CHECKING:
    from tunesmith.data.spec import Prepared
    from tunesmith.reports.display import Display
    from tunesmith.training.plan import Made

SHOWN = 2  # rows in the terminal
FILE = "data/preview.txt"


def preview_batch(made: "Made", prepared: "Prepared", screen: "Display", writer: RunWriter | MemoryWriter) -> None:
    """Decodes the first training batch, shows some of it and writes all of it down. Nothing happens for other kinds of task.

    Raises `DataError` where the targets are not the inputs shifted by one.
    """
    from tunesmith.data.language.block import LanguageBlock
    from tunesmith.data.language.preview import previewed, shown_first
    from tunesmith.reports.preview import preview_file, preview_lines
    from tunesmith.training.feeds import MemoryFeed

    blocks = () if prepared.pipeline is None else prepared.pipeline.blocks
    block = next((one for one in blocks if isinstance(one, LanguageBlock)), None)
    feed = getattr(made.plan.feed, "feed", made.plan.feed)  # several ranks read one, and divide it
    if block is None or block.codec is None or not isinstance(feed, MemoryFeed):
        return
    batch = next(feed.whole(feed.rows.device))
    tokens = batch.inputs["tokens"] if isinstance(batch.inputs, dict) else batch.inputs
    rows = previewed(tokens.cpu().numpy(), batch.target.cpu().numpy(), block.codec)
    screen.lines(preview_lines(shown_first(rows, SHOWN), len(rows)))
    writer.write_text(FILE, preview_file(rows))
