"""Models whose generations are simulated, one file each: a factory of a `Subject`, by name."""

from collections.abc import Callable

from tunesmith.generative.recursive.subject import Subject
from tunesmith.records.catalog import Catalog

MODELS: Catalog[Callable[..., Subject]] = Catalog("model of recursive training")

MODELS.load(__path__, __name__)
