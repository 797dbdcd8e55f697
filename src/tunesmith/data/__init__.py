"""Data: readers, kinds of columns, encoders, splits, samplers, and `prepare`. Imports no torch."""
