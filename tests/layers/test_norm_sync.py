"""Synchronised batch norm in three processes equals batch norm on the pooled batch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tunesmith.blocks.layers import norm

TARGET = Path(__file__).with_name("sync_target.py")
WORLD = 3


def case(sizes, shape, *, dtype=torch.float64, mean=0.0, **options):
    generator = torch.Generator().manual_seed(sum(sizes))
    x, dy = (torch.randn(sum(sizes), *shape, dtype=dtype, generator=generator) for _ in range(2))
    return {"sizes": sizes, "x": x + mean, "dy": dy, "dims": len(shape) - 1, "options": options}


CASES = {
    "pictures": case((3, 9, 1), (4, 3, 2)),
    "vectors": case((1, 5, 2), (4,), eps=1e-3),
    "one empty": case((0, 6, 3), (4, 5), momentum=None),
    "level of ten thousand": case((5, 20, 8), (4,), dtype=torch.float32, mean=1e4),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three processes over all cases; they say nothing and end well."""
    folder = tmp_path_factory.mktemp("sync")
    torch.save(list(CASES.values()), folder / "cases.pt")
    command = [sys.executable, "-W", "error", str(TARGET)]
    running = [
        subprocess.Popen([*command, str(rank), str(WORLD), str(folder)], stderr=subprocess.PIPE, text=True)
        for rank in range(WORLD)
    ]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in running]
    assert [code for _, code in ended] == [0] * WORLD, "\n".join(text for text, _ in ended)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_processes_give_what_batch_norm_gives_on_the_pooled_batch(folder, name):
    given = CASES[name]
    parts = [torch.load(folder / f"{rank}.pt")[list(CASES).index(name)] for rank in range(WORLD)]
    x = given["x"].double().requires_grad_()
    torch.manual_seed(0)
    layer = norm("batch", x.shape[1], dims=given["dims"], **given["options"]).to(given["x"].dtype)
    torch.nn.init.normal_(layer.weight)
    layer.double()
    single = given["x"].dtype == torch.float32
    exact = {"rtol": 1e-4, "atol": 2e-2, "check_dtype": False} if single else {"rtol": 1e-10, "atol": 1e-10}

    y = layer(x)
    (dx,) = torch.autograd.grad((y * given["dy"]).sum(), x, create_graph=True)
    (d2x,) = torch.autograd.grad(dx.square().sum(), x)
    (layer(x.detach() + 1) * given["dy"]).sum().backward()

    for key, expected in {"y": y, "dx": dx, "d2x": d2x}.items():
        torch.testing.assert_close(torch.cat([part[key] for part in parts]), expected.detach(), **exact)
    for key, expected in {"dgamma": layer.weight.grad, "dbeta": layer.bias.grad}.items():
        torch.testing.assert_close(sum(part[key] for part in parts), expected, **exact)
    for part in parts:
        for key, expected in layer.named_buffers():
            torch.testing.assert_close(part["averages"][key], expected, **exact)
    torch.testing.assert_close(torch.cat([part["eval"] for part in parts]), layer.eval()(x).detach(), **exact)


def test_one_value_over_all_processes_is_refused(folder):
    assert all(
        "one value per channel over all processes" in (folder / f"{rank}.txt").read_text() for rank in range(WORLD)
    )


def test_in_one_process_it_is_batch_norm():
    x = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    one, other = norm("sync_batch", 4, dims=2).double(), norm("batch", 4, dims=2).double()

    assert torch.equal(one(x), other(x))
    assert torch.equal(one.running_var, other.running_var)
