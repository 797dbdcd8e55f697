import pytest

from tunesmith.records import DataError, Task


def test_a_task_needs_data():
    with pytest.raises(DataError, match="a task needs training data"):
        Task("mlp")


def test_an_unknown_kind():
    with pytest.raises(DataError, match="no kind of task called 'multclass'; did you mean 'multiclass'"):
        Task(train=([], []), kind="multclass")


def test_lists_become_tuples():
    task = Task(train="a.csv", target=["x", "y"], drop=["z"])

    assert (task.target, task.drop) == (("x", "y"), ("z",))
