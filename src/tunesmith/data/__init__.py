"""Data: readers, kinds of columns, encoders, splits, samplers, and `prepare`. Imports no torch and no polars.

`prepare(task, recipe)` makes of anything a task may bring a `Prepared`: parts of rows ready for a model, and the
`Pipeline` that treats new data alike.
"""

from tunesmith.data.pipeline import Pipeline
from tunesmith.data.prepare import prepare
from tunesmith.data.spec import Column, Part, Prepared, Split

__all__ = ["Column", "Part", "Pipeline", "Prepared", "Split", "prepare"]
