import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.records import DataError
from tunesmith.search.constraint import constraint_of

NAMES = ["a", "b", "optim.lr", "a-b", "i:n.u", "class", "name"]


@given(a=st.integers(-50, 50), b=st.integers(-50, 50))
@pytest.mark.parametrize(
    "text",
    [
        "a * 2 <= b + 1",
        "not (a == 3 and b in (1, 2))",
        "abs(a - b) < 10 or max(a, b) > 40",
        "-10 < a < 20",
        "a % 3 == 0 if False else True" if False else "a % 3 != 1",
        "a ** 2 // 7 >= min(b, 5) / 2",
    ],
)
def test_an_expression_means_what_python_means(text, a, b):
    assert constraint_of(text, NAMES)({"a": a, "b": b}) == bool(eval(text, {"a": a, "b": b}))


def test_any_name_of_a_parameter_can_be_used():
    config = {"optim.lr": 0.1, "a-b": 3, "i:n.u": 7, "class": 1, "name": "x"}

    assert constraint_of("optim.lr < 0.2 and a-b == 3", NAMES)(config)
    assert not constraint_of("not (i:n.u == 7)", NAMES)(config)
    assert constraint_of("name == 'x'", NAMES)(config)


def test_what_is_not_in_force_leaves_it_open():
    assert constraint_of("a > b", NAMES)({"a": 1})


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ("a <", "cannot be read"),
        ("aa < 3", "did you mean"),
        ("__import__('os')", "calls something"),
        ("a.real < 3", "holds Attribute"),
        ("[x for x in (1, 2)]", "holds"),
        ("lambda: 3", "holds"),
        (3, "expected an expression"),
    ],
)
def test_anything_else_is_refused(given_, says):
    with pytest.raises(DataError, match=says):
        constraint_of(given_, NAMES)


def test_an_expression_that_fails_says_on_what():
    with pytest.raises(DataError, match="fails on"):
        constraint_of("1 / a > 0", NAMES)({"a": 0})


def test_a_function_is_asked_with_a_copy():
    def greedy(config):
        config["a"] = 9
        return True

    config = {"a": 1}

    assert constraint_of(greedy, NAMES)(config)
    assert config == {"a": 1}
