"""Settings beside a log as facts of the run."""

import pytest

from tunesmith.runs.readers.settings import facts_of


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"learning_rate": "1e-3", "per_device_train_batch_size": 8}, {"lr": 0.001, "batch_size": 8}),
        (
            {"optim": {"name": "x"}, "args": {"num_epochs": 5, "optimizer": "adamw"}},
            {"epochs": 5, "optimizer": "adamw"},
        ),
        ({"classes": ["cat", "dog"]}, {"classes": 2}),
        ({"labels": [0, 1, 1, 0]}, {}),
        ({"num_classes": 10, "nc": 3}, {"classes": 10}),
        ({"epochs": 9223372036854775807, "max_steps": -1, "batch_size": 0.5}, {}),
        ({"warmup_steps": 100, "seed": 1}, {}),
    ],
)
def test_facts(settings: dict[str, object], facts: dict[str, object]) -> None:
    assert facts_of(settings) == facts
