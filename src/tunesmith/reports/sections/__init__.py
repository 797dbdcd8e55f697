"""The parts of a run's page: one file each, from `Facts` to markup, or None where the run has nothing to show."""
