"""The grammar of roles, and what a person says against what was inferred."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.records import DataError
from tunesmith.runs import readers
from tunesmith.runs.quantities import QUANTITIES
from tunesmith.runs.readers.roles import Role, parse_role, read_map

PLACES = (
    st.text("abcxyz019 ", min_size=1, max_size=9)
    .map(str.strip)
    .filter(bool)
    .filter(lambda text: not {"of", "term"} & set(text.split()))
)


@given(
    st.sampled_from(sorted(QUANTITIES)), st.sampled_from(["", "train", "val", "test"]), st.one_of(st.just(""), PLACES)
)
def test_a_role_is_read_back_from_its_words(name: str, part: str, where: str) -> None:
    role = Role(name=name, part=part, where=" ".join(where.split()))
    if not part and name == "epoch" and not where:
        role = Role(kind="epoch")

    assert parse_role(str(role)) == role


@pytest.mark.parametrize("text", ["step", "epoch", "fold", "run", "part", "time", "ignore"])
def test_roles_of_whole_columns(text: str) -> None:
    assert str(parse_role(text)) == text


def test_other_words_for_the_same() -> None:
    assert parse_role("Validation Learning rate") == Role(name="lr", part="val")
    assert parse_role("dev acc") == Role(name="accuracy", part="val")
    assert parse_role("loss term kl") == Role(name="loss", where="kl")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty role"),
        ("train", "names a part but no quantity"),
        ("val los", "did you mean 'loss'"),
        ("wibble", "no quantity"),
        ("loss term", "name the place"),
    ],
)
def test_a_bad_role_says_what_was_expected(text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        parse_role(text)


def test_maps_of_a_command_line() -> None:
    assert read_map(["a=b=train loss", " x = ignore"]) == {"a=b": "train loss", "x": "ignore"}
    for text in ("loss", "=loss"):
        with pytest.raises(DataError, match="COLUMN=ROLE"):
            read_map([text])


def log(folder: Path) -> Path:
    path = folder / "log.csv"
    path.write_text("n,alpha,beta,gamma\n" + "".join(f"{i},{9 - i},{0.5 + i / 100},{i * i}\n" for i in range(8)))
    return path


def test_a_person_overrules(tmp_path: Path) -> None:
    roles = {"ALPHA ": "train loss", "beta": "val accuracy", "n": "epoch", "gamma": "ignore"}

    (history,) = readers.read_log(log(tmp_path), roles)

    assert history.axis == "epoch"
    assert [(one.part, one.name, one.column) for one in history] == [
        ("train", "loss", "alpha"),
        ("val", "accuracy", "beta"),
    ]


def test_a_role_given_stays_although_the_values_speak_against_it(tmp_path: Path) -> None:
    (history,) = readers.read_log(log(tmp_path), {"gamma": "test accuracy", "alpha": "loss"})

    assert history.get("accuracy", "test") is not None
    assert history.roles["gamma"] == "test accuracy"


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'aplha' in .*did you mean 'alpha'"):
        readers.read_log(log(tmp_path), {"aplha": "loss"})


def test_without_a_person_this_is_no_curve(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no training curve.*--map"):
        readers.read_log(log(tmp_path))


def test_words_of_a_printed_log_may_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("".join(f"round {i}: wibble {9 - i}\n" for i in range(1, 6)))

    (history,) = readers.read_log(path, {"wibble": "train loss"})

    assert history.get("loss", "train").values.tolist() == [8, 7, 6, 5, 4]  # type: ignore[union-attr]


def test_runs_parts_and_epochs_may_be_mapped_too(tmp_path: Path) -> None:
    rows = [f"{net},{half},{i},{9 - i + (half == 'b')}\n" for net in "xy" for i in range(1, 6) for half in "ab"]
    path = tmp_path / "log.csv"
    path.write_text("net,half,pass,wibble\n" + "".join(rows))

    found = readers.read_log(path, {"net": "run", "half": "run", "pass": "epoch", "wibble": "val loss"})

    assert [one.title.rpartition(": ")[2] for one in found] == [
        f"net {net}, half {half}" for net in "xy" for half in "ab"
    ]
    assert found[0].axis == "epoch"
    assert found[0].get("loss", "val").steps.tolist() == [1, 2, 3, 4, 5]  # type: ignore[union-attr]


def test_a_count_of_a_printed_log_may_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("".join(f"tour {i}: wibble {9 - i}\n" for i in range(1, 6)))

    (history,) = readers.read_log(path, {"wibble": "train loss", "tour": "epoch"})

    assert (history.axis, history.get("loss").steps.tolist()) == ("epoch", [1, 2, 3, 4, 5])  # type: ignore[union-attr]
