"""The pinned set covers what the project asks for, and lies in the ranges it promises."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def test_every_requirement_is_pinned_inside_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    pins = dict(line.split("==") for line in lines)

    asked = [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["dev"])]

    assert [str(one) for one in asked if canonicalize_name(one.name) not in pins] == []
    assert [str(one) for one in asked if not one.specifier.contains(pins[canonicalize_name(one.name)])] == []
    assert pins["torch"] == "2.13.0"
