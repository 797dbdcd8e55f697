import sys

import pytest

from tunesmith.records import Catalog, UnknownName


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A room with one member in its folder."""
    folder = tmp_path / "a_room_of_shapes"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from tunesmith.records import Catalog\nSHAPES = Catalog('shape')\nSHAPES.load(__path__, __name__)\n"
    )
    (folder / "round.py").write_text("from a_room_of_shapes import SHAPES\n\n@SHAPES.add('round')\ndef round(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("a_room_of_shapes")]:
        del sys.modules[name]


def test_a_file_in_the_folder_is_a_member(room):
    from a_room_of_shapes import SHAPES

    assert list(SHAPES) == ["round"]
    assert "round" in SHAPES
    assert len(SHAPES) == 1
    assert SHAPES["round"].__name__ == "round"


def test_a_broken_member_is_said_each_time_and_hides_no_other(room):
    (room / "angular.py").write_text("raise ValueError('no such angle')\n")
    from a_room_of_shapes import SHAPES

    with pytest.raises(ValueError, match="no such angle"):
        list(SHAPES)
    with pytest.raises(ValueError, match="no such angle"):
        list(SHAPES)


def test_an_unknown_name_and_a_name_given_twice():
    catalog: Catalog[int] = Catalog("number")
    catalog.add("one")(1)

    with pytest.raises(UnknownName, match=r"no number called 'ones'; did you mean 'one'?"):
        catalog["ones"]
    with pytest.raises(ValueError, match="already has a member called 'one'"):
        catalog.add("one")(2)
