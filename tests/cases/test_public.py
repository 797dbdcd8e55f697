import ast
from pathlib import Path

import pytest

import tunesmith as ts

CASES = Path(__file__).parents[2] / "cases"
DOORS = {"tunesmith", "tunesmith.reports"}  # what the README tells users to import


@pytest.mark.parametrize("file", sorted(CASES.rglob("*.py")), ids=lambda file: file.name)
def test_a_case_uses_public_names_only(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))

    asked = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    asked += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ts"
    }

    assert {name for name in asked if name.split(".")[0] == "tunesmith"} <= DOORS
    assert used <= set(ts.__all__)
