"""Tunesmith: looks at data and program, trains, watches, names the cause of a failure, mends it, searches and reports.

>>> import tunesmith as ts
>>> ts.Recipe().optim.lr
'auto'
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from tunesmith.blocks.layers import initialise, lsuv, norm_for, output_bias_from, swap_norm
    from tunesmith.blocks.schedules import from_torch, to_torch
    from tunesmith.doctor.preflight.same_function import same_function
    from tunesmith.generative.embedding.task import Embedding
    from tunesmith.generative.embedding.watch import EmbeddingWatch
    from tunesmith.generative.gan.task import Gan
    from tunesmith.generative.gan.watch import GanWatch
    from tunesmith.integrations.watch import Watch
    from tunesmith.records import (
        Evidence,
        Finding,
        Findings,
        Program,
        Recipe,
        Remedy,
        Safety,
        Signal,
        Source,
        Task,
        Trial,
        TunesmithError,
        revise,
    )
    from tunesmith.runs import Run
    from tunesmith.search import Choice, Distributed, Exhausted, Fixed, Int, Ordinal, Proposal, Real, Space, space_from
    from tunesmith.search.ask import Search
    from tunesmith.search.search_cv import SearchCV
    from tunesmith.search.study import Study
    from tunesmith.search.subjects import Command
    from tunesmith.verbs.audit import audit
    from tunesmith.verbs.batched_subject import BatchedSubject
    from tunesmith.verbs.collapse import collapse
    from tunesmith.verbs.decompose import error_parts, learning_curve
    from tunesmith.verbs.diagnose import diagnose
    from tunesmith.verbs.explain import explain
    from tunesmith.verbs.export import export
    from tunesmith.verbs.find_batch import find_batch
    from tunesmith.verbs.find_rate import find_rate
    from tunesmith.verbs.fit import fit
    from tunesmith.verbs.predict import load, predict
    from tunesmith.verbs.preflight import preflight
    from tunesmith.verbs.repair import repair
    from tunesmith.verbs.report import report
    from tunesmith.verbs.schedule import schedule
    from tunesmith.verbs.search import search
    from tunesmith.verbs.train_embedding import train_embedding
    from tunesmith.verbs.train_gan import train_gan
    from tunesmith.verbs.tune import Tuned, tune
    from tunesmith.verbs.watch import watch

_PLACES = {
    **dict.fromkeys(
        (
            "Evidence",
            "Finding",
            "Findings",
            "Program",
            "Recipe",
            "Remedy",
            "Safety",
            "Signal",
            "Source",
            "Task",
            "Trial",
            "TunesmithError",
            "apply",
            "revise",
        ),
        "tunesmith.records",
    ),
    **dict.fromkeys(("initialise", "lsuv", "norm_for", "output_bias_from", "swap_norm"), "tunesmith.blocks.layers"),
    **dict.fromkeys(("from_torch", "to_torch"), "tunesmith.blocks.schedules"),
    **dict.fromkeys(
        ("Choice", "Distributed", "Exhausted", "Fixed", "Int", "Ordinal", "Proposal", "Real", "Space", "space_from"),
        "tunesmith.search",
    ),
    "BatchedSubject": "tunesmith.verbs.batched_subject",
    "Command": "tunesmith.search.subjects",
    "Embedding": "tunesmith.generative.embedding.task",
    "EmbeddingWatch": "tunesmith.generative.embedding.watch",
    "Gan": "tunesmith.generative.gan.task",
    "GanWatch": "tunesmith.generative.gan.watch",
    "Run": "tunesmith.runs",
    "Search": "tunesmith.search.ask",
    "Study": "tunesmith.search.study",
    "SearchCV": "tunesmith.search.search_cv",
    "Watch": "tunesmith.integrations.watch",
    "audit": "tunesmith.verbs.audit",
    "collapse": "tunesmith.verbs.collapse",
    "diagnose": "tunesmith.verbs.diagnose",
    "error_parts": "tunesmith.verbs.decompose",
    "explain": "tunesmith.verbs.explain",
    "export": "tunesmith.verbs.export",
    "find_batch": "tunesmith.verbs.find_batch",
    "find_rate": "tunesmith.verbs.find_rate",
    "fit": "tunesmith.verbs.fit",
    "learning_curve": "tunesmith.verbs.decompose",
    "load": "tunesmith.verbs.predict",
    "predict": "tunesmith.verbs.predict",
    "preflight": "tunesmith.verbs.preflight",
    "repair": "tunesmith.verbs.repair",
    "report": "tunesmith.verbs.report",
    "same_function": "tunesmith.doctor.preflight.same_function",
    "schedule": "tunesmith.verbs.schedule",
    "train_embedding": "tunesmith.verbs.train_embedding",
    "train_gan": "tunesmith.verbs.train_gan",
    "tune": "tunesmith.verbs.tune",
    "Tuned": "tunesmith.verbs.tune",
    "watch": "tunesmith.verbs.watch",
}

__all__ = [
    "BatchedSubject",
    "Choice",
    "Command",
    "Distributed",
    "Embedding",
    "EmbeddingWatch",
    "Evidence",
    "Exhausted",
    "Finding",
    "Findings",
    "Fixed",
    "Gan",
    "GanWatch",
    "Int",
    "Ordinal",
    "Program",
    "Proposal",
    "Real",
    "Recipe",
    "Remedy",
    "Run",
    "Safety",
    "Search",
    "SearchCV",
    "Signal",
    "Source",
    "Space",
    "Study",
    "Task",
    "Trial",
    "Tuned",
    "TunesmithError",
    "Watch",
    "audit",
    "collapse",
    "diagnose",
    "error_parts",
    "explain",
    "export",
    "find_batch",
    "find_rate",
    "fit",
    "from_torch",
    "initialise",
    "learning_curve",
    "load",
    "lsuv",
    "norm_for",
    "output_bias_from",
    "predict",
    "preflight",
    "repair",
    "report",
    "revise",
    "same_function",
    "schedule",
    "search",
    "space_from",
    "swap_norm",
    "to_torch",
    "train_embedding",
    "train_gan",
    "tune",
    "watch",
]


def __getattr__(name: str) -> Any:
    """Public names are found when they are first used: importing the package loads nothing heavy."""
    if name == "__version__":
        from importlib.metadata import version

        return version("tunesmith")
    if name == "search":
        return import_module("tunesmith.search")
    if name not in _PLACES:
        raise AttributeError(f"module 'tunesmith' has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES, "search"])


class _Room(ModuleType):
    """The room `search`, which is also the verb: `tunesmith.search(f, space)`."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        return import_module("tunesmith.verbs.search").search(*given, **named)


class _Face(ModuleType):
    """This package. A room that is imported becomes an attribute of it, and `search` is the name of a verb as well."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "search" and type(value) is ModuleType:
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face
