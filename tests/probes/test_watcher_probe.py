"""The watch inside our own loop."""

import torch
from torch import nn

import tunesmith as ts
from tunesmith.doctor.probes.watcher_probe import WatchProbe
from tunesmith.reports import QuietDisplay

RECIPE = {
    "train.epochs": 3,
    "train.batch_size": 16,
    "data.val": 0.2,
    "data.test": 0.0,
    "eval.bootstrap": 0,
    "optim.lr": 1e-2,
    "run.watch": False,
}


def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=generator)
    return x, (x[:, 0] > 0).long()


def model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))


def test_it_writes_into_the_run_of_fit_and_changes_nothing():
    probe = WatchProbe(overhead=10.0)

    alone = ts.fit(ts.Task(model(), train=data()), RECIPE, display=QuietDisplay())
    seen = ts.fit(ts.Task(model(), train=data()), RECIPE, display=QuietDisplay(), probes=[probe])
    facts = probe.facts
    rest = probe.close()

    names = {
        *seen.signals.names(),
        *((one.name, one.where) for one in rest),
    }  # what waits to be written is given at the end
    assert {("update_ratio", "0"), ("dead_fraction", "1"), ("activation_std", "2"), ("confidence", "")} <= names
    written = seen.signals.read("update_ratio", "0")[0] if ("update_ratio", "0") in seen.signals.names() else ()
    assert len(written) + len([one for one in rest if (one.name, one.where) == ("update_ratio", "0")]) > 10
    assert facts["loss"] == "cross_entropy"
    for one, other in zip(alone.model.parameters(), seen.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in seen.model.modules())


def test_closing_before_anything_was_seen_gives_nothing():
    assert WatchProbe().close() == []
