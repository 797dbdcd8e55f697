"""The rooms of the house: who may import whom, and which of them do without torch."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ROOT / "src" / "tunesmith"

ABOVE = "all above"
ROOMS: dict[str, str] = {  # from top to bottom: a room, and the rooms it may import
    "records": "",
    "runs": "records",
    "data": "records",
    "blocks/experience": "records",
    "blocks/schedules": "records",
    "blocks/layers": "records",
    "blocks/losses": "records",
    "blocks/metrics": "records",
    "blocks/models": "records layers",
    "blocks/optim": "records experience",
    "training": ABOVE,
    "doctor/probes": "records data training",
    "doctor/audits": "records data metrics",
    "doctor/preflight": ABOVE,
    "doctor/diagnosis": "records runs",
    "doctor/causes": ABOVE,
    "doctor/bias_variance": "records data metrics training",
    "doctor/repair": ABOVE,
    "search": "records experience runs",
    "generative": "records runs experience schedules layers losses metrics models optim training probes",
    "scaling": "records runs",
    "ensembles": "records runs data experience schedules layers losses metrics models optim training",
    "autopilot": ABOVE,
    "reports": "records runs data metrics search",
    "integrations": "records runs probes diagnosis",
    "verbs": ABOVE,
    "cli": ABOVE,
    "testing": ABOVE,
}
WITHOUT_TORCH = (
    "records",
    "runs",
    "data",
    "schedules",
    "experience",
    "search",
    "audits",
    "diagnosis",
    "reports",
    "verbs",
    "cli",
)
WINGS = ("blocks", "doctor")
FACE = "tunesmith"  # the package itself: names that are looked up when they are first used
BRANCHES = tuple(f"{FACE}.{wing}" for wing in WINGS)

NAMES = {path.rpartition("/")[2]: path for path in ROOMS}
ORDER = list(NAMES)


class Import(NamedTuple):
    """One import of one of our modules, or of torch."""

    file: Path
    line: int
    module: str
    at_top: bool  # carried out when the module is imported

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


def room_of(module: str) -> str:
    """`tunesmith.blocks.layers.norm` -> `layers`; the wing or the package itself where it is no room."""
    parts = module.split(".")[1:]
    if parts and parts[0] in WINGS:
        return parts[1] if len(parts) > 1 else parts[0]
    return parts[0] if parts else FACE


def module_of(file: Path) -> str:
    parts = file.relative_to(HOUSE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = HOUSE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path.is_dir() and any(path.glob("*.py")))


def imported(node: ast.AST, file: Path) -> Iterator[str]:
    """The modules one node imports; `importlib.import_module("…")` counts too."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            here = module_of(file).split(".")
            above = here[: len(here) - node.level + (file.name == "__init__.py")]
            base = ".".join([*above, base] if base else above)
        for alias in node.names:
            if (base, alias.name) == (FACE, "__version__"):
                continue
            below = f"{base}.{alias.name}"
            yield below if base.startswith(FACE) and (is_module(below) or base in BRANCHES) else base
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
        yield from (one.value for one in node.args[:1] if isinstance(one, ast.Constant) and isinstance(one.value, str))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", getattr(node.test, "attr", "")) == "TYPE_CHECKING"


def walk(node: ast.AST, at_top: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        late = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(child)
        yield child, at_top
        yield from walk(child, at_top and not late)


@cache
def imports() -> tuple[Import, ...]:
    found = []
    for file in sorted(HOUSE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
        for node, at_top in walk(tree, True):
            for module in imported(node, file):
                if module.split(".")[0] in (FACE, "torch", "torchvision"):
                    found.append(Import(file, getattr(node, "lineno", 0), module, at_top))
    return tuple(found)


def edges() -> Iterator[tuple[str, str, Import]]:
    """From room to room; the package itself, which only names its doors, is left out as the one that imports."""
    for one in imports():
        here = room_of(module_of(one.file))
        there = room_of(one.module)
        if one.module.startswith(FACE) and here not in (there, FACE):
            yield here, there, one


def allowed(room: str) -> set[str]:
    line = ROOMS[NAMES[room]]
    return set(ORDER[: ORDER.index(room)]) if line == ABOVE else set(line.split())


def test_every_folder_is_a_room_of_the_table():
    folders = {str(file.parent.relative_to(HOUSE)) for file in HOUSE.rglob("*.py")} - {".", *WINGS}
    loose = {file.name for file in HOUSE.glob("*.py")} - {"__init__.py"}

    strangers = {
        folder for folder in folders if not any(folder == room or folder.startswith(f"{room}/") for room in ROOMS)
    }

    assert strangers == set()
    assert loose == set(), "a module belongs into a room"


def test_a_room_imports_only_what_its_line_names():
    wrong = [str(one) for here, there, one in edges() if here not in NAMES or there not in allowed(here)]

    assert wrong == []


def test_the_wings_import_nothing():
    assert [str(one) for one in imports() if room_of(module_of(one.file)) in WINGS] == []


def test_rooms_do_not_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {}
    for here, there, _ in edges():
        graph.setdefault(here, set()).add(there)

    def circle(room: str, path: tuple[str, ...]) -> tuple[str, ...]:
        if room in path:
            return (*path[path.index(room) :], room)
        return next((found for there in sorted(graph.get(room, ())) if (found := circle(there, (*path, room)))), ())

    assert [found for room in sorted(graph) if (found := circle(room, ()))] == []


def test_torch_is_imported_late_in_the_rooms_that_do_without_it():
    wrong = [
        str(one)
        for one in imports()
        if one.at_top and one.module.startswith("torch") and room_of(module_of(one.file)) in (*WITHOUT_TORCH, FACE)
    ]

    assert wrong == []


@pytest.mark.parametrize("room", [FACE, *(room for room in WITHOUT_TORCH if (HOUSE / NAMES[room]).is_dir())])
def test_importing_a_room_imports_no_torch(room):
    module = FACE if room == FACE else f"{FACE}.{NAMES[room].replace('/', '.')}"
    program = f"import sys, {module}; sys.exit('torch came with it' if 'torch' in sys.modules else 0)"

    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def tracked_texts() -> Iterator[tuple[str, str]]:
    """The text files under version control, or in the tree where there is no version control (a source archive)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True)
    names = (
        listed.stdout.split("\0")[:-1]
        if listed.returncode == 0
        else [str(path.relative_to(ROOT)) for path in HOUSE.rglob("*") if path.is_file()]
    )
    for name in names:
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except (
            UnicodeDecodeError,
            FileNotFoundError,
            IsADirectoryError,
        ):  # pictures and archives; files about to be deleted
            continue


FORBIDDEN = {  # in pieces, since this file is tracked too
    "a path of one machine": re.compile(r"(?<![\w.])/(wo" + r"rk|ro" + r"ot|ho" + r"me/\w+)/"),
    "the host of a package registry": re.compile(
        "|".join(
            (
                "py" + r"pi\.org",
                "python" + r"hosted\.org",
                "download\\.py" + r"torch\.org",
                "conda\\.anac" + r"onda\.org",
            )
        )
    ),
    "the number of an issue": re.compile(r"\bissue" + r"s?\s*#?\s*\d+", re.IGNORECASE),
}


def test_the_project_speaks_of_itself_alone():
    wrong = [
        f"{name}:{text.count(chr(10), 0, found.start()) + 1} has {what}: {found.group()}"
        for name, text in tracked_texts()
        for what, pattern in FORBIDDEN.items()
        for found in pattern.finditer(text)
    ]

    assert wrong == []


def test_every_folder_of_the_house_is_a_package():
    bare = {
        str(file.parent.relative_to(HOUSE))
        for file in HOUSE.rglob("*.py")
        if not (file.parent / "__init__.py").exists()
    }

    assert bare == set()  # an installation leaves out what is no package
