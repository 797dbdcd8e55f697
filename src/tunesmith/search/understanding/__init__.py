"""What a search has taught: which parameters matter, where the space was too narrow, what each value can do, when to stop.

All take a space and trials, whoever made them; scores are minimised. Nothing here trains but `rounds`.
"""

from typing import TYPE_CHECKING

from tunesmith.records.late import late

if TYPE_CHECKING:
    from tunesmith.search.understanding.at_edges import edges
    from tunesmith.search.understanding.by_rounds import rounds
    from tunesmith.search.understanding.coordinates import parallel
    from tunesmith.search.understanding.fronts import pareto
    from tunesmith.search.understanding.importances import importance
    from tunesmith.search.understanding.isolating import isolation
    from tunesmith.search.understanding.pictures import picture
    from tunesmith.search.understanding.repeats import duplicates
    from tunesmith.search.understanding.stopping import advice

__all__ = ["advice", "duplicates", "edges", "importance", "isolation", "parallel", "pareto", "picture", "rounds"]

__getattr__ = late(
    __name__,
    {
        "advice": "stopping",
        "duplicates": "repeats",
        "edges": "at_edges",
        "importance": "importances",
        "isolation": "isolating",
        "parallel": "coordinates",
        "pareto": "fronts",
        "picture": "pictures",
        "rounds": "by_rounds",
    },
)
