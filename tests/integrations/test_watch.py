"""`watch` as a user sees it: the run it writes, what it says, how it ends."""

import gc
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

import tunesmith as ts
from tunesmith.records import RunError
from tunesmith.runs import Run
from tunesmith.runs.readers import read_log


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def rows(count=8, size=16):
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(size, 6, generator=generator), torch.randint(3, (size,), generator=generator))
        for _ in range(count)
    ]


def epoch_of(model, optimizer, on, scale=1.0):
    for x, y in rows():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y) * scale
        loss.backward()
        optimizer.step()
        on.step(loss)


def test_a_run_folder_that_readers_and_reports_take(tmp_path):
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    with ts.watch(model, optimizer, folder=tmp_path / "run", quiet=True) as on:
        for place in range(3):
            epoch_of(model, optimizer, on)
            on.epoch(val_loss=1.0 - 0.1 * place, accuracy=0.4 + 0.1 * place)

    run = Run(tmp_path / "run")
    history = read_log(tmp_path / "run")[0]
    assert run.status == "finished"
    assert [row["step"] for row in run.evaluations] == [8, 16, 24]
    assert [row["best"] for row in run.evaluations] == [True, True, True]
    assert run.evaluations[-1]["metric"] == "accuracy"
    assert run.layers[0]["name"] == "0"
    assert len(history.get("loss", "train")) == 24
    assert history.get("loss", "val").values.tolist() == [1.0, 0.9, 0.8]
    assert history.get("accuracy", "val", per="evaluation").values.tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert history.facts["watched"]
    assert history.facts["optimizer"] == "adam"
    assert history.facts["steps_per_epoch"] == 8
    page = ts.report(tmp_path / "run").read_text(encoding="utf-8")
    assert "Update over weight" in page


def test_the_mean_training_loss_of_an_epoch_is_worked_out(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    expected = sum(float(nn.functional.cross_entropy(model(x), y).detach()) for x, y in rows()) / 8

    with ts.watch(model, optimizer, quiet=True) as on:
        epoch_of(model, optimizer, on)
        on.epoch(val_loss=1.0)

    assert on.run.evaluations[0]["train_loss"] == pytest.approx(expected, rel=1e-6)


def test_what_is_found_is_said_once_and_written_down():
    said = []
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    on = ts.Watch(model, optimizer, say=lambda finding, step: said.append((finding.fault, step)))

    for _ in range(3):
        epoch_of(model, optimizer, on, scale=float("inf"))
        on.epoch(val_loss=float("nan"))
    on.close()

    faults = [fault for fault, _ in said]
    assert faults, "a loss that is not finite was not said"
    assert len(set(faults)) == len(faults)
    assert {one.fault for one in on.run.findings} == set(faults)


def test_a_score_of_which_more_is_worse_is_best_at_its_lowest():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    with ts.watch(model, optimizer, quiet=True) as on:
        for value in (3.0, 2.0, 2.5):
            epoch_of(model, optimizer, on)
            on.epoch(mae=value)

    assert [row["best"] for row in on.run.evaluations] == [True, True, False]


def test_a_score_nobody_knows_has_no_best():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    with ts.watch(model, optimizer, quiet=True) as on:
        epoch_of(model, optimizer, on)
        on.epoch(smoothness=3.0)

    assert "best" not in on.run.evaluations[0]


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("broke"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_an_exception_ends_the_run_and_takes_the_hooks_away(tmp_path, error, status):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    with pytest.raises(type(error)), ts.watch(model, optimizer, folder=tmp_path / "run", quiet=True) as on:
        epoch_of(model, optimizer, on)
        model.zero_grad()
        model(rows(1)[0][0])
        raise error

    assert Run(tmp_path / "run").status == status
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    assert torch.autograd.backward.__module__.startswith("torch")


def test_history_and_findings_while_it_goes_on_and_afterwards():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    on = ts.watch(model, optimizer, quiet=True)

    epoch_of(model, optimizer, on)
    during = len(on.history.get("loss"))
    on.close()
    on.close()

    assert during == len(on.history.get("loss")) == 8
    assert not on.findings().failed


def test_a_watch_without_a_name_ends_with_its_optimizer(tmp_path):
    def training():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        ts.watch(model, optimizer, folder=tmp_path / "run", quiet=True)
        for x, y in rows():
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    training()
    gc.collect()

    run = Run(tmp_path / "run")
    assert run.status == "finished"
    assert len(run.signals.read("loss")[0]) >= 5
    assert run.info["facts"]["loss"] == "cross_entropy"


@pytest.mark.slow
def test_a_program_that_never_closes_its_watch_leaves_a_run(tmp_path):
    program = f"""
        import torch, tunesmith as ts
        net = torch.nn.Linear(2, 1)
        sgd = torch.optim.SGD(net.parameters(), lr=0.1)
        on = ts.watch(net, sgd, folder={str(tmp_path / "run")!r}, quiet=True)
        for _ in range(6):
            sgd.zero_grad()
            loss = net(torch.ones(4, 2)).square().mean()
            loss.backward()
            sgd.step()
            on.step(loss)
        """

    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert Run(tmp_path / "run").status == "finished"
    assert len(Run(tmp_path / "run").signals.read("loss")[0]) == 6


def test_a_run_is_gone_on_with(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with ts.watch(model, optimizer, folder=tmp_path / "run", quiet=True) as on:
        epoch_of(model, optimizer, on)

    with ts.watch(model, optimizer, folder=tmp_path / "run", quiet=True, first_step=8) as on:
        epoch_of(model, optimizer, on)

    assert Run(tmp_path / "run").signals.read("loss")[0].tolist() == list(range(1, 17))


def test_a_folder_with_another_run_is_refused(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ts.watch(model, optimizer, folder=tmp_path / "run", quiet=True).close()

    with pytest.raises(RunError, match="already holds a run"):
        ts.watch(model, optimizer, folder=tmp_path / "run", quiet=True)
    assert not optimizer._optimizer_step_pre_hooks


def test_a_whole_watched_training_is_the_same_to_the_bit():
    def trained(watched):
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        loss_of = nn.CrossEntropyLoss()
        on = ts.watch(model, optimizer, loss_fn=loss_of, overhead=5.0, quiet=True) if watched else None
        for _ in range(3):
            model.train()
            for x, y in rows():
                optimizer.zero_grad()
                loss = loss_of(model(x), y)
                loss.backward()
                optimizer.step()
                if on is not None:
                    on.step(loss)
            model.eval()
            with torch.no_grad():
                val = float(loss_of(model(rows(1)[0][0]), rows(1)[0][1]))
            if on is not None:
                on.epoch(val_loss=val)
        if on is not None:
            on.close()
        return list(model.state_dict().values()), torch.get_rng_state()

    alone, watched = trained(False), trained(True)

    assert all(torch.equal(one, other) for one, other in zip(alone[0], watched[0], strict=True))
    assert torch.equal(alone[1], watched[1])


@pytest.mark.parametrize("optimizers", [1, 2])
def test_one_line_and_nothing_else_through_many_updates(optimizers):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    parts = [model.parameters()] if optimizers == 1 else [model[0].parameters(), model[2].parameters()]
    each = [torch.optim.SGD(part, lr=0.1) for part in parts]
    x, y = torch.randn(16, 4), torch.randint(0, 2, (16,))

    with ts.watch(model, each if optimizers == 2 else each[0], quiet=True) as watch:
        for _ in range(300):  # past every place where looks become rarer
            for one in each:
                one.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            for one in each:
                one.step()

    assert watch.history.facts["steps_taken"] == 300
    assert all(not one._optimizer_step_pre_hooks and not one._optimizer_step_post_hooks for one in each)
