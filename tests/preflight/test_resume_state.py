import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.preflight.outputs_planted import CLASSES, X, found, loud, net, program


def trained(optimizer):
    model = net(5)
    made = optimizer(model.parameters())
    functional.cross_entropy(model(X), CLASSES).backward()
    made.step()
    return model.state_dict(), made.state_dict()


def adam(parameters):
    return torch.optim.Adam(parameters, 1e-3)


WEIGHTS, MOMENTS = trained(adam)
SCHEDULE = {"last_epoch": 5, "_step_count": 6}


def resumed(checkpoint, optimizer=adam, scheduler=False):
    made = program(net(5), nn.CrossEntropyLoss(), optimizer=optimizer, resume_from=checkpoint)
    if scheduler:
        made.scheduler = torch.optim.lr_scheduler.StepLR(made.optimizer, 3)
    return made


@pytest.mark.parametrize(
    ("checkpoint", "scheduler", "lost"),
    [
        ({"model": WEIGHTS, "epoch": 5}, False, ["optimizer"]),
        (WEIGHTS, False, ["optimizer"]),
        ({"model": WEIGHTS, "optimizer": MOMENTS, "epoch": 5}, True, ["scheduler"]),
        ({"model": WEIGHTS, "epoch": 5}, True, ["optimizer", "scheduler"]),
        ({"model": WEIGHTS, "optimizer": MOMENTS | {"state": {}}, "epoch": 5}, False, ["optimizer"]),
    ],
)
def test_what_a_checkpoint_lacks(checkpoint, scheduler, lost):
    (finding,) = loud("resume_state", resumed(checkpoint, scheduler=scheduler))

    assert (finding.fault, finding.subject["lost"]) == ("optim.lost_state", lost)


def test_a_file_is_read(tmp_path):
    torch.save({"model": WEIGHTS, "epoch": 5}, tmp_path / "last.pt")

    assert loud("resume_state", resumed(tmp_path / "last.pt"))


@pytest.mark.parametrize(
    ("checkpoint", "optimizer", "scheduler"),
    [
        ({"model": WEIGHTS, "optimizer": MOMENTS, "scheduler": SCHEDULE, "epoch": 5}, adam, True),
        ({"model": WEIGHTS, "epoch": 5}, lambda p: torch.optim.SGD(p, 0.1), False),  # plain SGD remembers nothing
        ({"state": {"optim": MOMENTS}, "model": WEIGHTS}, adam, False),
        (None, adam, True),
    ],
)
def test_whole_checkpoints(checkpoint, optimizer, scheduler):
    assert not found("resume_state", resumed(checkpoint, optimizer, scheduler))


def test_an_optimizer_that_already_holds_its_moments_has_lost_nothing():
    made = resumed({"model": WEIGHTS, "epoch": 5})
    made.optimizer.load_state_dict(MOMENTS)

    assert not found("resume_state", made)
