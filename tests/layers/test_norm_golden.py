"""Every golden case of the norms through our own layers. A case without a row fails."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith.blocks.layers import NORMS, norm
from tunesmith.blocks.layers.norm.sync_batch import pooled

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FILE = json.loads((GOLDEN / "norms_cases.json").read_text(encoding="utf-8"))
ARRAYS = np.load(GOLDEN / "norms.npz")
CASES = {case["case"]: case for case in FILE["cases"]}


class Golden:
    """One case: its numbers as tensors, and the comparison at its tolerance."""

    def __init__(self, name: str) -> None:
        self.case = CASES[name]
        self.name, self.attrs = name, self.case["attrs"]
        self.checked: set[str] = set()

    def __getitem__(self, array: str) -> torch.Tensor:
        self.checked.add(array)
        return torch.from_numpy(ARRAYS[f"{self.name}.{array}"])

    def equal(self, found: torch.Tensor, array: str) -> None:
        atol = self.attrs.get("atol", FILE["atol"])
        expected = self[array].double()
        torch.testing.assert_close(found.detach().double(), expected, rtol=FILE["rtol"], atol=atol, check_dtype=False)

    def layer(self, name: str, features: int, dims: int, **options: object) -> nn.Module:
        """The member with the case's γ, β and τ, in the type of its input."""
        layer = norm(name, features, dims=dims, **options).to(self["x"].dtype)
        ours = {"weight": "gamma", "bias": "beta", "threshold": "tau"}
        with torch.no_grad():
            for parameter, array in ours.items():
                if array in self.case["arrays"] and getattr(layer, parameter, None) is not None:
                    getattr(layer, parameter).copy_(self[array])
        return layer


def batch_train(golden: Golden) -> None:
    x = golden["x"].requires_grad_()
    layer = golden.layer(
        "batch", x.shape[1], x.dim() - 2, eps=golden.attrs["eps"], momentum=golden.attrs.get("momentum", 0.1)
    )
    if "running_mean_in" in golden.case["arrays"]:
        layer.running_mean.copy_(golden["running_mean_in"])
        layer.running_var.copy_(golden["running_var_in"])

    y = layer(x)

    golden.equal(y, "y")
    if "dy" in golden.case["arrays"]:
        y.backward(golden["dy"])
        golden.equal(x.grad, "dx")
        golden.equal(layer.weight.grad, "dgamma")
        golden.equal(layer.bias.grad, "dbeta")
    if "running_mean_out" in golden.case["arrays"]:
        golden.equal(layer.running_mean, "running_mean_out")
        golden.equal(layer.running_var, "running_var_out")
    if "mean" in golden.case["arrays"]:  # that of the batch: what a running average at momentum 1 takes over
        whole = norm("batch", x.shape[1], dims=2, momentum=1.0).double()
        whole(x)
        values = x.numel() // x.shape[1]
        golden.equal(whole.running_mean, "mean")
        golden.equal(whole.running_var * (values - 1) / values, "var_biased")


def batch_eval(golden: Golden) -> None:
    x = golden["x"]
    layer = golden.layer("batch", x.shape[1], 2, eps=golden.attrs["eps"]).eval()
    layer.running_mean.copy_(golden["mean"])
    layer.running_var.copy_(golden["var"])

    golden.equal(layer(x), "y")


def layer_norm(golden: Golden) -> None:
    x = golden["x"].requires_grad_()
    sizes = tuple(x.shape[-golden.attrs["ndims"] :])
    layer = golden.layer("layer", sizes if len(sizes) > 1 else sizes[0], 0, eps=golden.attrs["eps"])

    y = layer(x)

    golden.equal(y, "y")
    if "dy" in golden.case["arrays"]:
        y.backward(golden["dy"])
        golden.equal(x.grad, "dx")


def group_norm(golden: Golden) -> None:
    x = golden["x"]
    layer = golden.layer("group", x.shape[1], 2, groups=golden.attrs["groups"], eps=golden.attrs["eps"])

    golden.equal(layer(x), "y")


def instance_norm(golden: Golden) -> None:
    golden.equal(golden.layer("instance", golden["x"].shape[1], 2, eps=golden.attrs["eps"])(golden["x"]), "y")


def rms_norm(golden: Golden) -> None:
    golden.equal(golden.layer("rms", golden["x"].shape[-1], 0, eps=golden.attrs["eps"])(golden["x"]), "y")


def weight_norm(golden: Golden) -> None:
    v = golden["v"]
    assert golden.attrs["dim"] == 0
    plain = nn.Linear(v.shape[1], v.shape[0]) if v.dim() == 2 else nn.Conv2d(v.shape[1], v.shape[0], v.shape[2:])
    layer = NORMS["weight"](plain.double())
    parts = layer.parametrizations.weight
    with torch.no_grad():
        parts.original0.copy_(golden["g"].reshape(parts.original0.shape))
        parts.original1.copy_(v)

    golden.equal(layer.weight, "w")


def cosine_norm(golden: Golden) -> None:
    units, width = golden["w"].shape
    layer = NORMS["cosine"](nn.Linear(width, units).double(), centred=golden.attrs["centered"])
    point = NORMS["cosine"](nn.Conv1d(width, units, 1).double(), centred=golden.attrs["centered"])
    with torch.no_grad():
        layer.weight.copy_(golden["w"])
        point.weight.copy_(golden["w"][:, :, None])

    golden.equal(layer(golden["x"]), "y")
    golden.equal(point(golden["x"][:, :, None])[:, :, 0], "y")


def frn_tlu(golden: Golden) -> None:
    x = golden["x"]

    golden.equal(golden.layer("frn", x.shape[1], 2, eps=golden.attrs["eps"], tlu=False)(x), "y_before_tlu")
    golden.equal(golden.layer("frn", x.shape[1], 2, eps=golden.attrs["eps"])(x), "y")


def batch_renorm(golden: Golden) -> None:
    x, attrs = golden["x"], golden.attrs
    limits = {"rmax": attrs["rmax"], "dmax": attrs["dmax"], "plain_updates": 0, "rmax_at": 0, "dmax_at": 0}
    layer = golden.layer("batch_renorm", x.shape[1], 2, eps=attrs["eps"], momentum=attrs["alpha"], **limits)
    layer.running_mean.copy_(golden["moving_mean"])
    layer.running_std.copy_(golden["moving_sigma"])
    bare = norm("batch_renorm", x.shape[1], dims=2, affine=False, **limits).double()  # r and d from its moments
    bare.load_state_dict({name: value for name, value in layer.state_dict().items() if name in bare.state_dict()})

    y, plain = layer(x), bare(x)

    golden.equal(y, "y")
    golden.equal(layer.running_mean, "new_moving_mean")
    golden.equal(layer.running_std, "new_moving_sigma")
    golden.equal(plain.mean((0, 2, 3)), "d")
    var = x.var((0, 2, 3), correction=0)
    golden.equal(plain.std((0, 2, 3), correction=0) * (var + attrs["eps"]).sqrt() / var.sqrt(), "r")


def sync_statistics(golden: Golden) -> None:
    shards = [golden[f"shard{number}"] for number in range(3)]

    mean, var = pooled(shards)

    golden.equal(mean, "mean")
    golden.equal(var, "var_biased")


ROWS = {
    "bn4d_train": batch_train,
    "bn4d_eval": batch_eval,
    "bn2d_train": batch_train,
    "ln_last": layer_norm,
    "ln_two_dims": layer_norm,
    "gn_g1": group_norm,
    "gn_g2": group_norm,
    "gn_g3": group_norm,
    "gn_g6": group_norm,
    "in4d": instance_norm,
    "rms": rms_norm,
    "wn_linear": weight_norm,
    "wn_conv": weight_norm,
    "cosine_norm": cosine_norm,
    "cosine_norm_centered": cosine_norm,
    "frn_tlu": frn_tlu,
    "batch_renorm_early": batch_renorm,
    "batch_renorm_late": batch_renorm,
    "sync_bn_unequal": sync_statistics,
    "ln_float32_mean_1e4": layer_norm,
    "bn_float32_mean_1e4": batch_train,
}


@pytest.mark.parametrize("name", CASES)
def test_a_golden_case_comes_out(name):
    assert name in ROWS, f"the golden case {name} has no row"
    golden = Golden(name)

    ROWS[name](golden)

    assert golden.checked >= set(golden.case["arrays"]), "every array of the case takes part"


def test_every_row_has_its_case():
    assert set(ROWS) == set(CASES)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("batch_renorm", (64, 6)),
        ("sync_batch", (64, 6)),
        ("instance", (3, 6, 40)),
        ("group", (3, 6, 40)),
        ("batch_mean_only", (64, 6)),
    ],
)
def test_a_mean_of_ten_thousand_costs_float32_no_precision(name, shape):
    x = torch.from_numpy((np.random.default_rng(0).normal(size=shape) + 1e4).astype(np.float32))

    found = norm(name, 6, dims=len(shape) - 2)(x)

    exact = norm(name, 6, dims=len(shape) - 2).double()(x.double())
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=5e-3)
