import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from tests.preflight.planted import WIDTH, digits, findings, mlp, program, usual_step
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records.check import Inapplicable

UNSEEDED = np.random.default_rng(12345)


class Restless(nn.Module):
    """Draws from a generator that no seed reaches."""

    def forward(self, values):
        return values + float(UNSEEDED.normal(scale=1e-3))


class Unseeded(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, place):
        X, y = digits()[0]
        return torch.as_tensor(X[place]) + float(UNSEEDED.normal()), int(y[place])


def noisy_from(step):
    def own(model, loss_fn, optimizer, xb, yb):
        optimizer.calls = getattr(optimizer, "calls", 0) + 1
        return usual_step(model, loss_fn, optimizer, xb + (optimizer.calls >= step) * float(UNSEEDED.normal()), yb)

    return own


def test_a_draw_from_an_unseeded_generator():
    (found,) = findings("repeatable", program(mlp(64, 10, Restless())), above="")

    assert (found.fault, found.severity) == ("run.nondeterministic", "warning")
    assert found.values["step"] == 1


def test_the_first_step_that_differs():
    (found,) = findings("repeatable", program(step=noisy_from(3)), above="")

    assert found.values["step"] == 3


def test_a_loader_that_never_reads_the_same():
    found = findings("repeatable", program(data=(DataLoader(Unseeded(), batch_size=32), None)), above="")

    assert found[0].values["batch"] == 1


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(),
        lambda: program(mlp(64, 10, nn.Dropout(0.5), nn.BatchNorm1d(WIDTH))),
        lambda: program(step=usual_step),
        lambda: program(
            data=(DataLoader(list(zip(*map(torch.as_tensor, digits()[0]), strict=True)), 32, shuffle=True), None)
        ),
    ],
)
def test_seeded_programs_are_quiet(brought):
    assert findings("repeatable", brought(), above="") == []


def test_a_program_that_raises_is_left_to_others():
    bench = bench_of_program(program(mlp(63)))

    with pytest.raises(Inapplicable, match="raises in its first update"):
        list(CHECKS["repeatable"].look(bench))
