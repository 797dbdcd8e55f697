"""A mended program made again from the names of its changes."""

import torch
from torch import nn

from tunesmith.autopilot.program.replay import digest, replayed
from tunesmith.doctor.causes import Case
from tunesmith.doctor.causes.rate_sweep import at_rate
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.repair.patient import operated
from tunesmith.doctor.repair.plan import planned
from tunesmith.records import Clock, Program


def bench_of(rate=0.001):
    inputs = 100 * torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    target = (inputs[:, 0] > 0).long()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    parts = {"val": (inputs[40:], target[40:]), "batch_size": 10, "epochs": 3}
    return Bench(Program(net, nn.CrossEntropyLoss(), optimizer, (inputs[:40], target[:40]), **parts))


def test_rates_and_other_changes_lead_to_the_same_program_in_their_order():
    bench = bench_of()
    first = operated(bench, at_rate(Case(bench, Clock()), 0.032, 1.0))
    between = Bench(first)
    names = {one.change.name: one.change for one in planned(Case(between, Clock()), [], {})}
    wanted = operated(between, names["standardised inputs"])

    changes = [{"change": "rate × 0.032"}, {"change": "standardised inputs"}]
    found = replayed(bench_of(), changes, [], digest(wanted))

    assert found is not None
    assert found.optimizer.param_groups[0]["lr"] == 0.001 * 0.032
    row = torch.randn(3, 4)
    assert torch.equal(found.model.eval()(row), wanted.model.eval()(row))


def test_several_changes_at_once_are_found_by_their_parts():
    name = "standardised inputs + Adam with its defaults"

    found = replayed(bench_of(), [{"change": name}], [], "")
    bench = bench_of()
    queue = {one.change.name: one for one in planned(Case(bench, Clock()), [], {})}

    assert {"standardised inputs", "Adam with its defaults"} <= set(queue)
    assert found is None  # the hash is that of none


def test_names_that_lead_nowhere_give_none():
    assert replayed(bench_of(), [{"change": "another world"}], [], "") is None
    assert replayed(bench_of(), [{"change": "one + two"}], [], "") is None


def test_the_hash_tells_weights_and_settings_apart():
    one, same, other = bench_of().program, bench_of().program, bench_of(rate=0.002).program
    moved = bench_of().program
    with torch.no_grad():
        moved.model[0].bias += 1e-3

    assert digest(one) == digest(same)
    assert len({digest(one), digest(other), digest(moved)}) == 3
