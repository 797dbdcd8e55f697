"""Worked cases: whole projects that use Tunesmith as anybody would."""
