"""The records everything stands on. Imports no torch."""

from tunesmith.records.catalog import Catalog
from tunesmith.records.check import CHEAP, DEAR, PASS, Check, Findings, Inapplicable, examine
from tunesmith.records.clock import Clock, OutOfTime
from tunesmith.records.derived import Derived, derived, updates_of
from tunesmith.records.errors import (
    CheckpointError,
    DataError,
    DeviceError,
    MissingExtra,
    ModelError,
    RankLost,
    RecipeError,
    RunBusy,
    RunError,
    StorageError,
    TrainingFailed,
    TunesmithError,
    UnknownName,
    did_you_mean,
)
from tunesmith.records.finding import Evidence, Finding, Remedy, Safety, Severity, healthy
from tunesmith.records.foreign import import_foreign
from tunesmith.records.manual import explain_field
from tunesmith.records.program import Program
from tunesmith.records.recipe import Recipe, Source, apply, revise
from tunesmith.records.recipe_text import (
    read_recipe,
    recipe_from_json,
    recipe_from_toml,
    recipe_schema,
    recipe_to_json,
    recipe_to_toml,
)
from tunesmith.records.settings import parse_setting
from tunesmith.records.signal import Signal
from tunesmith.records.task import Task
from tunesmith.records.trial import Trial

__all__ = [
    "CHEAP",
    "DEAR",
    "PASS",
    "Catalog",
    "Check",
    "CheckpointError",
    "Clock",
    "DataError",
    "Derived",
    "DeviceError",
    "Evidence",
    "Finding",
    "Findings",
    "Inapplicable",
    "MissingExtra",
    "ModelError",
    "OutOfTime",
    "Program",
    "RankLost",
    "Recipe",
    "RecipeError",
    "Remedy",
    "RunBusy",
    "RunError",
    "Safety",
    "Severity",
    "Signal",
    "Source",
    "StorageError",
    "Task",
    "TrainingFailed",
    "Trial",
    "TunesmithError",
    "UnknownName",
    "apply",
    "derived",
    "did_you_mean",
    "examine",
    "explain_field",
    "healthy",
    "import_foreign",
    "parse_setting",
    "read_recipe",
    "recipe_from_json",
    "recipe_from_toml",
    "recipe_schema",
    "recipe_to_json",
    "recipe_to_toml",
    "revise",
    "updates_of",
]
