import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.fingerprint import equal_rows, fingerprint, row_hashes, shared_rows

WORDS = np.array(["a", None, "b", "ab"], object)


def test_it_is_the_same_in_every_session():
    code = (
        "import numpy as np; from tunesmith.data.fingerprint import fingerprint;"
        "print(fingerprint({'n': np.arange(5.0), 'w': np.array(['a', None, 'b', 'ab', ''], object)}))"
    )

    marks = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}

    assert len(marks) == 1
    assert marks != {""}


def test_values_names_order_and_types_count():
    base = fingerprint({"a": np.arange(4), "w": WORDS})

    others = [
        {"a": np.array([0, 1, 3, 2]), "w": WORDS},
        {"b": np.arange(4), "w": WORDS},
        {"w": WORDS, "a": np.arange(4)},
        {"a": np.arange(4.0), "w": WORDS},
        {"a": np.arange(4), "w": np.array(["a", "", "b", "ab"], object)},
        {"a": np.arange(4), "w": np.array(["aa", None, "b", "b"], object)},
    ]

    assert base not in {fingerprint(other) for other in others}


def test_equal_rows_share_the_number_of_the_first():
    numbers = np.array([[1.0, np.nan], [2.0, 0.0], [1.0, np.nan], [2.0, -0.0]])

    assert equal_rows([numbers]).tolist() == [0, 1, 0, 1]


def test_all_arrays_must_agree():
    numbers, words = np.array([1, 1, 1]), np.array(["a", "b", "a"], object)

    assert equal_rows([numbers, words]).tolist() == [0, 1, 0]


def test_rows_that_differ_by_signs_alone_have_other_hashes():
    left = np.array([[1.0, 2.0], [-1.0, -2.0], [1.0, -2.0], [-1.0, 2.0]])

    assert len(np.unique(row_hashes([left]))) == 4


def test_shared_rows_counts_rows_of_the_second_that_are_in_the_first():
    left = [np.array([1, 2, 3]), np.array(["a", "b", "c"], object)]
    right = [np.array([3, 2, 2]), np.array(["c", "b", "x"], object)]

    assert shared_rows(left, right) == 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_groups_are_those_of_a_dict(rows):
    array = np.array(rows, np.float32)
    first: dict = {}
    expected = [first.setdefault(row, index) for index, row in enumerate(rows)]

    assert equal_rows([array]).tolist() == expected
