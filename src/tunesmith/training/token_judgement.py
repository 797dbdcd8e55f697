"""The final judgement of a language model: perplexity, accuracy and exact match, over all and by role, beside a unigram model."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.blocks.metrics.tokens import TokenSums, token_intervals, token_scores, unigram
from tunesmith.data.language.packing import IGNORED
from tunesmith.data.language.samples import ROLES
from tunesmith.data.spec import Part, Prepared
from tunesmith.training.batch import Batch, outputs_of
from tunesmith.training.evaluate import batches_of, judging
from tunesmith.training.loop import Plan
from tunesmith.training.plan import evaluation_part
from tunesmith.training.recovery.fitting import fitting

Array = np.ndarray[Any, Any]


def token_judgement(plan: Plan, prepared: Prepared, *, quiet: bool = False) -> dict[str, Any] | None:
    """What `scores.json` holds of a language model; None where the outputs are no scores of the next token."""
    told: dict[str, Any] = {
        "parts": {},
        "metric": "perplexity",
        "temperature": 1.0,
        "threshold": None,
        "threshold_rule": "",
        "positive": None,
        "classes": None,
        "best": plan.state.progress.get("best"),
        "loss": plan.update.loss.name,
    }
    for name, part in (("val", prepared.val), ("test", prepared.test)):
        if part is None:
            continue
        found = _judged(plan, prepared, part, quiet=quiet)
        if found is None:
            return None
        told["parts"][name] = found
    return told


def _judged(plan: Plan, prepared: Prepared, part: Any, *, quiet: bool) -> dict[str, Any] | None:
    seen = tokens_of(plan, prepared, part)
    if seen is None:
        return None
    chats = isinstance(part, Part) and bool((part.beside.get("roles", np.zeros(1)) > 0).any())
    sums = sums_of(seen)
    told: dict[str, Any] = {
        "rows": len(sums.tokens),
        "tokens": int(sums.tokens.sum()),
        "loss": float(sums.nll.sum() / sums.tokens.sum()),
        "scores": token_scores(sums, exact=chats),
    }
    if plan.recipe.eval.bootstrap and not quiet:
        told["intervals"] = token_intervals(
            sums, exact=chats, count=plan.recipe.eval.bootstrap, seed=plan.recipe.train.seed
        )
    if isinstance(prepared.train, Part) and prepared.train.target is not None:
        labels = prepared.train.target[prepared.train.target != IGNORED]
        told["baseline"] = unigram(labels, seen["label"], max(prepared.outputs, int(seen["label"].max()) + 1))
    if chats:
        told["by_role"] = {
            ROLES[role]: token_scores(
                sums_of({key: values[seen["role"] == role] for key, values in seen.items()}), exact=False
            )
            for role in np.unique(seen["role"]).tolist()
        }
    return told


def sums_of(seen: dict[str, Array]) -> TokenSums:
    """Sums by sample."""
    _, place = np.unique(seen["sample"], return_inverse=True)
    nll, right = (np.bincount(place, seen[name]) for name in ("nll", "right"))
    return TokenSums(nll, right, np.bincount(place).astype(np.float64))


def tokens_of(plan: Plan, prepared: Prepared, part: Any) -> dict[str, Array] | None:
    """Every label of a part: nll, whether the likeliest token is it, the label, the role, the number of its sample; each (T,)."""
    precision = plan.update.precision
    held = evaluation_part(part, prepared, precision.device, precision)
    batches = batches_of(held, int(plan.recipe.eval.batch_size), precision.device, precision.dtype)
    room = None if plan.recovery is None else plan.recovery.room
    roles = part.beside.get("roles") if isinstance(part, Part) else None
    found: list[tuple[Array, ...]] = []
    row = 0

    def passed(batch: Batch) -> tuple[Tensor, Tensor] | None:
        with precision.autocast():
            outputs = outputs_of(plan.state.model(batch.inputs))
        logits = classes_last(outputs, batch.target)
        return None if logits is None else foretold(logits, batch.target)

    with judging(plan.state.model):
        for batch, result in fitting(passed, batches, room, precision.device):
            if result is None:
                return None
            target = batch.target.cpu().numpy()
            trains = target != IGNORED
            segments = (
                batch.inputs["segments"].cpu().numpy()
                if isinstance(batch.inputs, dict) and "segments" in batch.inputs
                else 0
            )
            # assumption: a row holds fewer samples than it may have tokens
            sample = np.broadcast_to((row + np.arange(batch.size))[:, None] * 2**20 + segments, target.shape)
            spoken = np.zeros_like(target) if roles is None else roles[row : row + batch.size, : target.shape[1]]
            nll, right = (values.cpu().numpy() for values in result)
            found.append((nll[trains], right[trains], target[trains], spoken[trains], sample[trains]))
            row += batch.size
    names = ("nll", "right", "label", "role", "sample")
    joined = {name: np.concatenate(values) for name, values in zip(names, zip(*found, strict=True), strict=True)}
    return joined if len(joined["label"]) else None


def classes_last(outputs: Tensor, target: Tensor) -> Tensor | None:
    """Outputs as (N, L, V) for targets (N, L), also from (N, V, L); None where they are neither."""
    if outputs.dim() != 3 or target.dim() != 2 or target.is_floating_point() or len(outputs) != len(target):
        return None
    if outputs.shape[1] == target.shape[1]:
        return outputs
    return outputs.transpose(1, 2) if outputs.shape[2] == target.shape[1] else None


def foretold(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """-log p of each label in double precision, and whether the likeliest token is it; 0 where there is no label."""
    scores = logits.float()
    inside = target.clamp(0, logits.shape[-1] - 1)
    nll = torch.logsumexp(scores, -1) - scores.gather(-1, inside[..., None])[..., 0]
    counts = target != IGNORED
    right = (scores.argmax(-1) == target) & counts
    return torch.where(counts, nll, torch.zeros_like(nll)).double(), right.double()
