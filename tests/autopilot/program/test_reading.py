"""What is read of programs of every kind, and how it is judged."""

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.autopilot.judging import Scorer
from tunesmith.autopilot.program.losses import Losses
from tunesmith.autopilot.program.reading import Reading, Rows, constant
from tunesmith.autopilot.program.start import LARGE, own_copy, parts_of
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program

ROWS = 60


def read(outputs, target, loss, **about):
    torch.manual_seed(0)
    net = nn.Linear(4, outputs) if isinstance(outputs, int) else outputs
    inputs = torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    parts = {"val": (inputs, target), "batch_size": 10, "epochs": 1}
    bench = Bench(Program(net, loss, optimizer, (inputs, target), **parts | about))
    reading = Reading(bench, Rows(bench.val, torch.arange(ROWS)))
    return reading, reading.look(bench.twin()), net(inputs).detach(), bench


LABELS = torch.arange(ROWS) % 3
HALF = torch.arange(ROWS) % 2


def test_classes_by_a_softmax():
    reading, seen, outputs, _ = read(3, LABELS, nn.CrossEntropyLoss())

    assert (reading.kind, reading.scorer.name, reading.classes) == ("multiclass", "accuracy", (0, 1, 2))
    np.testing.assert_allclose(seen.said, outputs.softmax(1).numpy(), rtol=1e-5)
    assert seen.loss == pytest.approx(float(nn.functional.cross_entropy(outputs, LABELS)), rel=1e-5)
    assert reading.scorer.score(seen.said) == pytest.approx(float((outputs.argmax(1) == LABELS).float().mean()))


def test_two_classes_by_one_output_of_every_form():
    target = HALF.float()[:, None]
    reading, logits, outputs, _ = read(1, target, nn.BCEWithLogitsLoss())
    _, chances, given, _ = read(nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), target, nn.BCELoss())
    _, function, own, _ = read(nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), target, nn.functional.binary_cross_entropy)

    assert (reading.kind, reading.scorer.name) == ("binary", "roc_auc")
    np.testing.assert_allclose(logits.said[:, 1], outputs.sigmoid()[:, 0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(chances.said[:, 1], given[:, 0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(function.said[:, 1], own[:, 0].numpy(), rtol=1e-5)


def test_log_probabilities_and_labels_of_its_own():
    _, logs, outputs, _ = read(nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(1)), LABELS, nn.NLLLoss())
    _, labels, _, _ = read(3, LABELS, nn.CrossEntropyLoss(), predict=lambda outputs: outputs.argmin(1))

    np.testing.assert_allclose(logs.said, outputs.exp().numpy(), rtol=1e-5)
    assert set(np.unique(labels.said)) == {0.0, 1.0}


def test_numbers_and_a_named_metric():
    target = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(1))

    reading, seen, outputs, _ = read(2, target, nn.MSELoss(), metric="rmse")

    assert (reading.kind, reading.scorer.name, reading.scorer.better) == ("multi_regression", "rmse", "min")
    np.testing.assert_allclose(seen.said, outputs.double().numpy())


def test_an_embedding_is_judged_by_its_loss_row_by_row():
    def pulled(outputs, target):
        return (outputs.norm(dim=1) - target.float().mean(1)).abs().mean()

    target = torch.stack([HALF, LABELS], 1)
    reading, seen, outputs, bench = read(5, target, pulled)

    assert isinstance(reading.scorer, Losses)
    np.testing.assert_allclose(seen.said, (outputs.norm(dim=1) - target.float().mean(1)).abs().numpy(), rtol=1e-5)
    assert reading.scorer.score(seen.said) == pytest.approx(float(pulled(outputs, target)), rel=1e-5)
    assert constant(reading, bench.target) is None


def test_losses_are_compared_row_by_row():
    drawn = np.random.default_rng(0)
    old = drawn.gamma(2.0, size=200)
    scorer = Losses(200)

    better, same = scorer.gain(old - 0.1, old), scorer.gain(old + drawn.normal(scale=0.5, size=200), old)

    assert (better.value, better.sure) == (pytest.approx(0.1), True)
    assert not same.sure
    assert scorer.gain(np.full(200, np.nan), old).chance == 0.0
    low, high = scorer.interval(old, 1000, 0)
    assert low < old.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * old.std() / np.sqrt(200), rel=0.15)


def test_the_constant_answer_scores_as_the_best_guess():
    reading, _, _, bench = read(3, torch.clamp(LABELS, max=1), nn.CrossEntropyLoss(), num_classes=3)

    assert isinstance(reading.scorer, Scorer)
    assert reading.scorer.score(constant(reading, bench.target)) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("val", "test", "name", "counts"),
    [(ROWS, True, "test", (ROWS, ROWS)), (ROWS, False, "val", (ROWS, ROWS)), (LARGE, False, "held", (500, 500))],
)
def test_the_rows_that_choose_and_those_that_judge(val, test, name, counts):
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    rows = (torch.randn(val, 4), torch.arange(val) % 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    about = {"test": rows if test else None, "batch_size": 10, "epochs": 1}
    parts = parts_of(Bench(Program(net, nn.CrossEntropyLoss(), optimizer, rows, rows, **about)), 0)

    assert (parts.name, (len(parts.chosen), len(parts.judged))) == (name, counts)
    if name == "held":
        assert not set(parts.chosen.places.tolist()) & set(parts.judged.places.tolist())


@pytest.mark.parametrize("form", ["arrays", "tensors", "dataset"])
def test_without_validation_rows_a_fifth_of_the_training_rows_is_set_aside(form):
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    rows = (torch.arange(200.0).reshape(50, 4), torch.arange(50) % 3)

    class Own(torch.utils.data.Dataset):
        def __len__(self):
            return 50

        def __getitem__(self, place):
            return rows[0][place], rows[1][place]

    given = {"arrays": tuple(one.numpy() for one in rows), "tensors": rows, "dataset": Own()}[form]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    made = Bench(own_copy(Program(net, nn.CrossEntropyLoss(), optimizer, given, batch_size=10, epochs=1), 0))

    assert (len(made.train), len(made.val)) == (40, 10)
    first = {float(one) for part in (made.train, made.val) for one in part.take(range(len(part))).inputs[:, 0]}
    assert first == set(rows[0][:, 0].tolist())
