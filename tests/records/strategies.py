"""Valid values of every recipe field, made from the schema, so that a new field is tried at once."""

from typing import Any

from hypothesis import strategies as st

from tunesmith.records import Recipe, revise
from tunesmith.records.fields import field
from tunesmith.records.sections import PATHS, TABLES

NAMES = st.text(min_size=1, max_size=8)
EXTRA = st.dictionaries(
    NAMES,
    st.recursive(
        st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
        st.lists,
        max_leaves=3,
    ),
)
AMOUNTS = st.sampled_from(["0.05dur", "2ep", "1.5ep", "500", "500updates", "10000samples"])


def of_kind(admits: Any) -> st.SearchStrategy[Any]:
    """Values of one alternative of JSON Schema."""
    if "enum" in admits or "const" in admits:
        return st.sampled_from(admits.get("enum") or [admits["const"]])
    low, above = admits.get("minimum"), admits.get("exclusiveMinimum")
    high, below = admits.get("maximum"), admits.get("exclusiveMaximum")
    match admits["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(low, high if high is not None else 2**31)
        case "number":
            bounds = {"min_value": low if low is not None else above, "max_value": high if high is not None else below}
            return st.floats(
                **bounds,
                exclude_min=above is not None,
                exclude_max=below is not None,
                allow_nan=False,
                allow_infinity=False,
            )
        case "null":
            return st.none()
        case "array":
            return st.lists(of_kind(admits["items"]), max_size=3)
        case "object" if isinstance(admits.get("additionalProperties"), dict):
            return st.dictionaries(NAMES, of_kind(admits["additionalProperties"]), max_size=3)
        case "object":
            return EXTRA
    return AMOUNTS if "pattern" in admits else NAMES


def of_field(path: str) -> st.SearchStrategy[Any]:
    """Values that a recipe field takes."""
    if path in ("data.val", "data.test"):
        return st.floats(0, 0.49)
    if path == "run.language":
        return st.sampled_from(["en", "zh"])
    if path in TABLES:
        inside = TABLES[path].model_json_schema()["properties"]
        return st.fixed_dictionaries(
            {}, optional={name: st.one_of(*map(of_kind, one.get("anyOf", [one]))) for name, one in inside.items()}
        )
    return st.one_of(*(of_kind(one) for one in field(path).admits))


recipes: st.SearchStrategy[Recipe] = st.sets(st.sampled_from(PATHS), max_size=12).flatmap(
    lambda paths: st.fixed_dictionaries({path: of_field(path) for path in sorted(paths)}).map(
        lambda changes: revise(Recipe(), changes)
    )
)
