import pytest
import torch
from torch import nn

from tunesmith.blocks.layers import swap_norm
from tunesmith.blocks.layers.norm.batch_renorm import BatchRenorm
from tunesmith.blocks.layers.norm.cosine import CosineConv, CosineLinear
from tunesmith.blocks.layers.norm.layout import ChannelsLast
from tunesmith.records import ModelError, UnknownName


def pictures() -> torch.Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def net() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.BatchNorm2d(8),
        nn.Flatten(),
        nn.Linear(128, 4),
    )
    for norm in (model[1], model[4]):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return model


def test_batch_becomes_group_in_place_and_keeps_its_gains():
    model = net()
    gains = [model[1].weight.clone(), model[4].bias.clone()]

    report = swap_norm(model, "group", groups=4)

    assert isinstance(model[1], nn.GroupNorm)
    assert model[1].num_groups == 4
    assert torch.equal(model[1].weight, gains[0])
    assert torch.equal(model[4].bias, gains[1])
    assert [row.kept for row in report.swapped] == [("weight", "bias")] * 2
    assert report.swapped[0].dropped == ("running_mean", "running_var")
    assert "new parameter objects" in str(report)


@pytest.mark.parametrize(
    "name",
    ["batch", "batch_mean_only", "batch_renorm", "frn", "group", "instance", "layer", "none", "rms", "sync_batch"],
)
@pytest.mark.parametrize("start", ["batch", "group", "instance", "rms"])
def test_any_member_becomes_any_other_and_runs(start, name):
    model = net()

    swap_norm(model, start, example=pictures())
    report = swap_norm(model, name)

    assert len(report.swapped) == 2 or start == "none", str(report)
    assert model(pictures()).shape == (4, 4)


def test_what_a_filter_leaves_out_stays():
    paths, kinds, callables = net(), net(), net()

    swap_norm(paths, "layer", only="1")
    swap_norm(kinds, "layer", only=["instance"])
    swap_norm(callables, "layer", only=lambda path, module: path == "4")

    assert [isinstance(paths[i], nn.BatchNorm2d) for i in (1, 4)] == [False, True]
    assert [isinstance(kinds[i], nn.BatchNorm2d) for i in (1, 4)] == [True, True]
    assert [isinstance(callables[i], nn.BatchNorm2d) for i in (1, 4)] == [True, False]


def test_dtype_mode_and_frozen_gains_stay():
    model = net().to(torch.bfloat16).eval()
    model[1].weight.requires_grad_(False)
    model[4].requires_grad_(False)

    swap_norm(model, "group")

    assert model[1].weight.dtype == torch.bfloat16
    assert not model[1].training
    assert (model[1].weight.requires_grad, model[1].bias.requires_grad) == (False, True)
    assert not any(one.requires_grad for one in model[4].parameters())


def test_a_device_stays():
    model = net().to("meta")

    swap_norm(model, "group")

    assert model[1].weight.device.type == "meta"


def test_a_shared_layer_is_swapped_once():
    norm = nn.BatchNorm1d(4)
    model = nn.Sequential(nn.Linear(4, 4), norm, nn.Linear(4, 4), norm)

    report = swap_norm(model, "layer")

    assert model[1] is model[3]
    assert isinstance(model[1], nn.LayerNorm)
    assert [row.where for row in report.rows] == ["1, 3"]


def test_a_layer_norm_over_pictures_stays_and_says_why():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.LayerNorm([8, 6, 6]))

    report = swap_norm(model, "batch")

    assert isinstance(model[1], nn.LayerNorm)
    assert "(8, 6, 6) together" in report.stayed[0].because


def test_groups_that_do_not_divide_stay_and_say_why():
    report = swap_norm(net(), "group", groups=3)

    assert [row.became for row in report.rows] == ["", ""]
    assert "3 groups for 8 channels" in str(report)


def test_a_layer_norm_of_sequences_becomes_rms_and_with_an_example_batch():
    plain, shown = (nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6)) for _ in range(2))
    nn.init.normal_(plain[1].weight)
    gain = plain[1].weight.clone()
    x = torch.randn(3, 7, 5)

    refused = swap_norm(nn.Sequential(nn.LayerNorm(6)), "batch")
    report = swap_norm(plain, "rms")
    swap_norm(shown, "batch", example=x)

    assert "pass example=a batch" in refused.stayed[0].because
    assert isinstance(plain[1], nn.RMSNorm)
    assert torch.equal(plain[1].weight, gain)
    assert report.swapped[0].dropped == ("bias",)
    assert isinstance(shown[1], ChannelsLast)
    pooled = shown(x)
    torch.testing.assert_close(pooled.mean((0, 1)), torch.zeros(6), atol=1e-5, rtol=0)


def test_averages_stay_between_batch_norms_and_evaluation_is_the_same():
    model = net()
    model(pictures())
    expected = model.eval()(pictures())

    report = swap_norm(model, "batch_renorm")

    assert isinstance(model[1], BatchRenorm)
    assert "running_var" in report.swapped[0].kept
    torch.testing.assert_close(model(pictures()), expected)


def test_averages_are_estimated_anew_on_a_batch():
    model = net()
    swap_norm(model, "group")
    model.eval()

    swap_norm(model, "batch", example=pictures(), estimate=True)

    assert not model[1].training
    assert model[1].momentum == 0.1
    torch.testing.assert_close(model[1].running_mean, model[0](pictures()).mean((0, 2, 3)))


def test_weight_norm_takes_the_norms_away_and_wraps_all_but_the_last_layer():
    model, cosine = net(), net()
    weight = model[0].weight.detach().clone()

    report = swap_norm(model, "weight")
    swap_norm(cosine, "cosine", centred=True)

    assert isinstance(model[1], nn.Identity)
    assert "parametrizations.weight.original0" in dict(model[0].named_parameters())
    torch.testing.assert_close(model[0].weight, weight)
    assert type(model[6]) is nn.Linear
    assert {row.became for row in report.rows} == {"none", "weight"}
    assert isinstance(cosine[3], CosineConv)
    assert cosine[3].centred
    assert not isinstance(cosine[6], CosineLinear)
    assert cosine(pictures()).shape == (4, 4)


def test_a_new_optimizer_trains_the_new_gains():
    model = net()
    swap_norm(model, "instance")
    before = model[1].weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    model(pictures()).square().sum().backward()
    optimizer.step()

    assert not torch.equal(model[1].weight, before)


def test_wrong_use_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'group'"):
        swap_norm(net(), "grup")
    with pytest.raises(ModelError, match=r"hold it in an nn\.Sequential"):
        swap_norm(nn.BatchNorm1d(3), "layer")
    with pytest.raises(ModelError, match="needs example=a batch"):
        swap_norm(net(), "batch", estimate=True)
    with pytest.raises(ModelError, match="no option 'group'"):
        swap_norm(net(), "group", group=2)
