"""The page of all catalogues is what the members say."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.verbs.catalogues import CATALOGUES, catalogue

SCRIPT = Path(__file__).parents[2] / "scripts" / "catalogue"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("catalogue_script", str(SCRIPT))
    module = module_from_spec(spec_from_loader(loader.name, loader))  # type: ignore[arg-type]
    loader.exec_module(module)
    return module


def test_the_page_and_its_pictures_are_up_to_date(script: ModuleType) -> None:
    assert script.differences() == [], "run scripts/catalogue"


def test_the_page_names_every_member_and_stays_small(script: ModuleType) -> None:
    page = script.page()

    assert set(script.FAMILIES) == set(CATALOGUES) - {"exporter"}
    assert all(f"| `{name}`" in page for family in script.FAMILIES for name in catalogue(family))
    assert sum(len(text) for name, text in script.files().items() if name.endswith(".svg")) < 150_000
    assert all(line.count(" | ") == 3 for line in page.splitlines() if line.startswith("| `"))


def test_what_is_stale_is_named(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "DOCS", tmp_path)
    script.write()
    (tmp_path / "pictures" / "schedule.gone.svg").write_text("<svg/>")
    (tmp_path / "pictures" / "schedule.cosine.svg").write_text("<svg/>")

    found = script.differences()

    assert found == ["pictures/schedule.cosine.svg", "pictures/schedule.gone.svg"]
    assert script.main(["--check"]) == 1
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0
