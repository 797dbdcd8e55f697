"""Measures of generators and of embeddings, each alone on arrays or tensors; what is undefined is None, never 0 and never NaN."""

from collections.abc import Callable
from typing import Any

from tunesmith.records import Catalog

MEASURES: Catalog[Callable[..., Any]] = Catalog("measure")
MEASURES.load(__path__, __name__)
