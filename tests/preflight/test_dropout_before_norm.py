import pytest
import torch
from torch import nn

from tests.preflight.planted import findings, mlp, program, usual_step
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.doctor.preflight.dropout_before_norm import shift, statistics
from tunesmith.records.check import Inapplicable


def net(share, *, before=True, width=64):
    torch.manual_seed(0)
    drop, norm = nn.Dropout(share), nn.BatchNorm1d(width)
    first = [nn.Linear(64, width), nn.ReLU()]
    middle = (
        [drop, nn.Linear(width, width), norm, nn.ReLU()] if before else [nn.Linear(width, width), norm, nn.ReLU(), drop]
    )
    return nn.Sequential(*first, *middle, nn.Linear(width, 10))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_shift_is_that_of_the_closed_form(share):
    """Norm of the inputs themselves: var(d x) = (var + mean²) / keep - mean², Li et al., eq. 4."""
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Dropout(share), nn.BatchNorm1d(64), nn.Linear(64, 10))
    bench = bench_of_program(program(whole))
    twin, batches = bench.twin(), [bench.batch(600, "all")] * 20
    layers = {"1": twin.model[1]}

    noisy, given_noisy = statistics(twin, layers, batches, dropping=True)
    calm, given_calm = statistics(twin, layers, batches, dropping=False)

    x = batches[0].inputs.double()
    varies = x.var(0) > 0
    expected = (x.var(0, correction=0) + x.mean(0) ** 2) / (1 - share) - x.mean(0) ** 2
    torch.testing.assert_close(given_noisy["1"][varies], expected[varies], rtol=0.15, atol=0.02)
    torch.testing.assert_close(given_calm["1"], x.var(0, correction=0))
    torch.testing.assert_close(calm["1"][1].double(), x.var(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(noisy["1"][1].double()[varies], expected[varies], rtol=0.15, atol=0.02)
    assert shift(given_noisy["1"], given_calm["1"]) > 1


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_dropout_before_batch_norm(share):
    (finding,) = findings("dropout_before_norm", program(net(share), lr=0.05), above="")

    assert (finding.severity, finding.fault) == ("note", "model.bad_normalization")
    assert finding.values["layer"] == "4"
    assert finding.subject["layers"] == ["4"]
    assert finding.values["ratio"] > 1.2
    assert finding.values["loss"] > finding.values["true"]


@pytest.mark.parametrize("whole", [net(0.5, before=False), net(0.02), net(0.5, before=False, width=16)])
def test_dropout_after_the_last_norm_or_hardly_any(whole):
    assert not findings("dropout_before_norm", program(whole, lr=0.05), above="")


@pytest.mark.parametrize(
    "brought",
    [
        lambda: program(mlp()),
        lambda: program(mlp(64, 10, nn.Dropout(0.5))),
        lambda: program(net(0.0)),
        lambda: program(net(0.5), eval_mode=False),
        lambda: program(net(0.5), step=doubled),
    ],
)
def test_what_has_not_both_or_is_given_other_inputs_is_left_out(brought):
    with pytest.raises(Inapplicable):
        findings("dropout_before_norm", brought())


def doubled(model, loss_fn, optimizer, xb, yb):
    return usual_step(model, loss_fn, optimizer, 2 * xb, yb)


def test_a_step_of_its_own_is_no_hindrance_and_the_program_stays():
    brought = program(net(0.5), lr=0.05, step=usual_step)
    before = {name: value.clone() for name, value in brought.model.state_dict().items()}

    assert findings("dropout_before_norm", brought, above="")
    assert all(torch.equal(value, before[name]) for name, value in brought.model.state_dict().items())
