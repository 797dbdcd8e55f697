import pickle

import pytest

from tunesmith.records import errors
from tunesmith.records.errors import TunesmithError, UnknownName, did_you_mean, nearest

TREE = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, TunesmithError)]


@pytest.mark.parametrize("kind", TREE)
def test_every_error_says_its_sentence_and_survives_a_process_pool(kind):
    error = pickle.loads(pickle.dumps(kind("what came; what to try")))

    assert str(error) == "what came; what to try"
    assert type(error) is kind
    assert error.exit_code in (2, 3)


@pytest.mark.parametrize("kind", [one for one in TREE if one is not TunesmithError])
def test_every_error_is_a_builtin_too(kind):
    assert issubclass(kind, (ValueError, KeyError, ImportError, RuntimeError, OSError))


def test_names_much_farther_than_the_nearest_are_not_named():
    assert nearest("optim.lrr", ["optim.lr", "optim.eps", "optim.extra"]) == ["optim.lr"]
    assert nearest("COSINE", ["cosine", "linear"]) == ["cosine"]
    assert nearest("q", []) == []


def test_a_long_list_is_cut():
    text = did_you_mean("zzz", [f"name{number:02}" for number in range(30)])

    assert text.endswith("name11 … (30 in all)")
    assert did_you_mean("x", []) == ""


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError):
        raise UnknownName("no such thing")
