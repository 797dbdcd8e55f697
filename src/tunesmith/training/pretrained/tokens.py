"""The tokens of a language model that a training begins from: are they the ones of the data, and is there room for all of them?"""

from pathlib import Path

from torch import nn

from tunesmith.blocks.models import stored
from tunesmith.data.spec import Prepared, Tokens
from tunesmith.records import Recipe
from tunesmith.training.pretrained.architecture import stored_in
from tunesmith.training.pretrained.weights import Weights

TABLES = ("table.weight", "head.weight")  # a row for each token


def known_by(model: nn.Module, recipe: Recipe, prepared: Prepared) -> dict[str, list[str]]:
    """Parameters that mean nothing to the data, by the reason: the tables, where the tokens are not those of the model's own tokenizer."""
    there = stored_in(recipe)
    if there is None or not isinstance(prepared.spec.get("tokens"), Tokens) or _same_tokenizer(recipe, there.folder):
        return {}
    own = (
        "data.tokenizer_folder names another tokenizer"
        if recipe.data.tokenizer_folder
        else "the tokenizer is fitted to the data"
    )
    names = ["table.weight"] + (["head.weight"] if prepared.kind == "language" else [])
    held = dict(model.named_parameters())
    return {
        f"{own} (data.tokenizer_folder = {str(there.folder)!r} would take the one of the weights), so tokens have other numbers": [
            name for name in names if name in held
        ]
    }


def widened(weights: Weights, model: nn.Module, recipe: Recipe, prepared: Prepared) -> tuple[Weights, list[str]]:
    """The weights with as many rows as the tokenizer has tokens, and what to tell.

    New ones are such as the marks of a conversation; rows that the tokenizer never gives fill tables up to a round number.
    """
    there = stored_in(recipe)
    tokens = prepared.spec.get("tokens")
    if there is None or not isinstance(tokens, Tokens) or not _same_tokenizer(recipe, there.folder):
        return weights, []
    more = tokens.vocabulary - there.vocabulary
    if not more:
        return weights, []
    rows = TABLES if prepared.kind == "language" else TABLES[:1]
    wide = {
        name: stored.grown(weights[name], tokens.vocabulary)[: tokens.vocabulary] for name in rows if name in weights
    }
    told = (
        f"{more} tokens beyond the {there.vocabulary} of {there.folder} begin at the mean of those"
        if more > 0
        else f"{-more} rows of the table of {there.folder} are of no token of its tokenizer and left out"
    )
    return weights | wide, [told]


def _same_tokenizer(recipe: Recipe, folder: Path) -> bool:
    own = recipe.data.tokenizer_folder
    return own is not None and Path(own).expanduser().resolve() == folder.resolve()
