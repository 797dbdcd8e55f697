"""What the page of a check shows."""

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith import Finding, Program, Task
from tunesmith.doctor.preflight import bench_of_program, bench_of_task
from tunesmith.doctor.preflight.look import look, picture_of, runs_of
from tunesmith.verbs.fit import as_recipe

DATA = "src/tunesmith/demo_data"


def pictures():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 1, 8, 8)).astype(np.float32)
    y = rng.integers(0, 3, 120)
    X[y == 1, :, :4] += 2.0
    X[y == 2, :, 4:] += 2.0
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    sgd = torch.optim.SGD(net.parameters(), 0.05)
    return Program(net, nn.CrossEntropyLoss(), sgd, (X, y), batch_size=16, epochs=20, num_classes=3)


def test_the_samples_are_what_the_network_is_given():
    program = pictures()

    seen = look(bench_of_program(program), steps=30, shown=50)

    low, high = (float(word) for word in seen.scale.removeprefix("black is ").split("; ")[0].split(", white is "))
    for one in seen.samples:
        given = torch.from_numpy(program.train[0][one.row])
        assert np.abs(one.picture.astype(int) - picture_of(given, (low, high)).astype(int)).max() <= 1
        assert one.label == str(program.train[1][one.row])
    assert len({one.row for one in seen.samples}) == 50
    assert seen.steps == 30


def test_a_wrong_label_stands_in_front():
    program = pictures()
    program.train[1][7] = (program.train[1][7] + 1) % 3

    seen = look(bench_of_program(program), steps=100)

    assert 7 in [one.row for one in seen.samples[:3]]


def test_rows_that_findings_name_stand_first_with_the_fault():
    named = Finding(fault="data.label_noise", severity="warning", message="x", subject={"rows": [99, 3]})

    seen = look(bench_of_program(pictures()), [named], steps=5)

    assert [one.row for one in seen.samples[:2]] == [99, 3]
    assert seen.samples[0].found == ("data.label_noise",)
    assert all(one.found == () for one in seen.samples[2:])


def test_filters_activations_and_dynamics():
    seen = look(bench_of_program(pictures()), steps=40)

    assert [(one.layer, one.total, one.tiles[0].shape) for one in seen.filters] == [("0", 4, (3, 3))]
    assert [(one.layer, one.total, one.tiles[0].shape) for one in seen.activations] == [("0", 4, (6, 6))]
    assert seen.dynamics is not None
    assert seen.dynamics.steps[[0, -1]].tolist() == [0, 40]
    assert seen.dynamics.right.shape == (21, 8)
    assert seen.dynamics.right[0].mean() == pytest.approx(1 / 3, abs=0.15)
    assert seen.dynamics.right[-1].mean() > seen.dynamics.right[0].mean()
    assert seen.dynamics.loss[-1] < seen.dynamics.loss[0]


def test_looking_changes_nothing():
    program = pictures()
    before = {name: value.clone() for name, value in program.model.state_dict().items()}
    state = torch.get_rng_state()

    look(bench_of_program(program), steps=10)

    assert all(torch.equal(value, before[name]) for name, value in program.model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_a_table_row_shows_cell_and_encoding():
    bench = bench_of_task(Task(train=f"{DATA}/adult_2000.csv.gz", target="income"), as_recipe({"train.epochs": 1}))

    seen = look(bench, steps=2, shown=20)

    values = {name: (cell, given) for name, cell, given in seen.samples[0].values}
    view = bench.material.whole
    place = view.rows.tolist().index(seen.samples[0].row)
    assert values["age"][0] == f"{view.table['age'][place]:.6g}"
    assert values["workclass"][1].startswith("index ")


def test_text_is_decoded_and_the_trained_tokens_are_marked():
    bench = bench_of_task(Task(train=f"{DATA}/sms_1000.csv.gz", target="label"), as_recipe({"train.epochs": 1}))
    seen = look(bench, steps=2, shown=20)
    words = "".join(piece for piece, _ in seen.samples[0].tokens)
    assert any(letter.isalpha() for letter in words)

    torch.manual_seed(0)
    x = torch.randint(1, 9, (40, 6))
    y = x.clone()
    y[:, :3] = -100
    net = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))

    def loss(outputs, target):
        return nn.functional.cross_entropy(outputs.transpose(1, 2), target)

    program = Program(net, loss, torch.optim.SGD(net.parameters(), 0.1), (x, y), batch_size=8, epochs=2)
    seen = look(bench_of_program(program), steps=2, shown=10)

    one = seen.samples[0]
    assert [piece for piece, _ in one.tokens] == [str(token) for token in x[one.row].tolist()]
    assert [trained for _, trained in one.tokens] == [False] * 3 + [True] * 3


def test_equal_neighbours_are_counted():
    assert runs_of([]) == ""
    assert runs_of([2.0, 0.5, 0.5]) == "2, 2 × 0.5"
