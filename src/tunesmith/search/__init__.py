"""Search that knows what training is: spaces, samplers, budgets, executors. Imports no torch."""

from tunesmith.search.distributed import Distributed
from tunesmith.search.domains import Choice, Domain, Fixed, Int, Ordinal, Real
from tunesmith.search.proposal import Exhausted, Proposal
from tunesmith.search.space import Space, as_space
from tunesmith.search.spaces import space_from

__all__ = [
    "Choice",
    "Distributed",
    "Domain",
    "Exhausted",
    "Fixed",
    "Int",
    "Ordinal",
    "Proposal",
    "Real",
    "Space",
    "as_space",
    "space_from",
]
