"""How many threads the audits use."""

from typing import Any


def one_thread() -> Any:
    """Context in which numerical libraries use one thread.

    Sums come out the same on every machine, and many threads that wait for each other on a busy machine are slower.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn brings it

    return threadpool_limits(1)
