"""Remedies of embeddings that collapsed: one change of the rule, the heads or the batch a file. Each is only an offer."""

from tunesmith.generative.mending.embedding_remedies.catalogue import EMBEDDING_REMEDIES, Desk, embedding_remedy

__all__ = ["EMBEDDING_REMEDIES", "Desk", "embedding_remedy"]

EMBEDDING_REMEDIES.load(__path__, __name__)
