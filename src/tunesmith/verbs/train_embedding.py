"""`train_embedding`: an encoder trained without labels, in the same run folder, with the same checkpoints, signals and reports."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import Recipe
from tunesmith.records.until import Until
from tunesmith.reports import Display
from tunesmith.verbs.fit import AnyRun
from tunesmith.verbs.unlabelled import Kind, train

if TYPE_CHECKING:
    from tunesmith.generative.embedding.task import Embedding
    from tunesmith.training.loop import Plan

EMBEDDING = Kind(
    name="embedding",
    model="encoder",
    said="training of embeddings",
    title="embeddings of rows",
    arrays="samples/embeddings.npz",
    again="tunesmith.train_embedding(task, folder={folder!r}, resume=True)",
    scores=("alignment", "uniformity", "embedding_rank", "embedding_spread_normalised"),
)


def train_embedding(
    task: "Embedding",
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    folder: str | Path | None = None,
    resume: bool | int | AnyRun = False,
    until: int | str | Until | None = None,
    display: Display | None = None,
) -> AnyRun:
    """Trains an encoder to agree on two views of each row, and gives the run; `run.model(rows)` embeds rows with the best weights.

    `task` is a `tunesmith.Embedding`: the encoder, the rows, the rule. The recipe is that of `fit`, as far as it is of use: optim.*,
    schedule.*, train.steps or train.epochs, train.batch_size, eval.every, run.*. At each evaluation two views of held rows are embedded;
    best is the smallest alignment + uniformity, and `collapse.representation` is told where embeddings collapse. `run.model.encoder` is
    the encoder alone; `embed` and `linear_probe` of `tunesmith.generative` use it. `folder`, `resume` and `until` are those of `fit`: a
    resumed run is the run that never stopped, bit for bit.

    Raises `TunesmithError`s: bad input and settings (exit code 2), `TrainingFailed` and `StorageError` (3).
    """

    def planned(recipe: Recipe) -> "Plan":
        from tunesmith.generative.embedding.plan import planned

        return planned(task, recipe)

    return train(EMBEDDING, planned, task.told, recipe, folder=folder, resume=resume, until=until, display=display)
