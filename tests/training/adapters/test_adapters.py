"""LoRA in nets: what trains, what a merge gives, what is stored, and to whom it belongs."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tunesmith.blocks.layers.lora import LoraLinear
from tunesmith.records import CheckpointError, MissingExtra, ModelError, RecipeError
from tunesmith.records.sections import LoraTable
from tunesmith.training import adapters
from tunesmith.training.adapters.inserting import scale_of


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Linear(6, width)
        self.second = nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.second(torch.tanh(self.first(x)))))


def net(seed=0, width=8):
    torch.manual_seed(seed)
    return Net(width).double()


def rows():
    return torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def trained(lora, seed=0, **about):
    """A net with an adapter after a few updates of what trains."""
    model = net(seed)
    adapters.insert(model, lora, seed=3, **about)
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(rows()).square().mean().backward()
        optimizer.step()
    return model.eval()


def test_the_layer_is_its_formula():
    torch.manual_seed(0)
    base = nn.Linear(4, 3).double()
    layer = LoraLinear(base, rank=2, scale=1.5)
    nn.init.normal_(layer.lora_B["default"].weight)
    x = torch.randn(7, 4, dtype=torch.float64)

    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert torch.allclose(layer(x), x @ (base.weight + 1.5 * b @ a).T + base.bias, atol=1e-12)


def test_dropout_is_on_the_way_into_the_addition_alone():
    torch.manual_seed(0)
    layer = LoraLinear(nn.Linear(4, 3), rank=2, scale=1.0, dropout=0.5).train()
    x = torch.randn(7, 4)

    assert torch.equal(layer(x), layer.base_layer(x))  # B is zero
    nn.init.normal_(layer.lora_B["default"].weight)
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(layer.eval()(x), layer(x))


def test_a_net_begins_as_it_was_and_the_rest_of_it_stays_to_the_bit():
    plain, model = net(), net()
    inserted = adapters.insert(model, LoraTable(rank=2, head=False), seed=0)
    assert torch.equal(model(rows()), plain(rows()))

    after = trained(LoraTable(rank=2, head=False))

    assert inserted.layers == ("first", "second")
    assert {name for name, one in after.named_parameters() if one.requires_grad} == {
        f"{layer}.lora_{part}.default.weight" for layer in ("first", "second") for part in "AB"
    }
    held = after.state_dict()
    assert torch.equal(held["first.base_layer.weight"], plain.first.weight)
    assert torch.equal(held["head.weight"], plain.head.weight)
    assert not torch.equal(after(rows()), plain(rows()))


@pytest.mark.parametrize(
    ("head", "kind", "trains"),
    [("auto", "multiclass", True), ("auto", "language", False), (True, "language", True), (False, "multiclass", False)],
)
def test_the_head_trains_as_a_whole_where_it_is_no_table_of_tokens(head, kind, trains):
    model = trained(LoraTable(rank=2, head=head), kind=kind)

    assert model.head.weight.requires_grad == trains
    assert torch.equal(model.head.weight, net().head.weight) != trains


def test_what_is_new_trains_as_a_whole():
    model = net()

    adapters.insert(model, LoraTable(rank=2, head=False), whole=["second.weight"])

    assert model.second.base_layer.weight.requires_grad
    assert not model.first.base_layer.weight.requires_grad


@pytest.mark.parametrize(
    ("targets", "layers"),
    [
        ("all", ["first", "second"]),
        (["second"], ["second"]),
        (["*st"], ["first"]),
        (["re:^(first|head)$"], ["first", "head"]),
    ],
)
def test_targets_are_names_endings_globs_and_expressions(targets, layers):
    assert adapters.targets_of(net(), targets) == layers


def test_an_ending_means_the_layer_in_every_block():
    stack = nn.Sequential(net(), net(1))

    assert adapters.targets_of(stack, ["second"]) == ["0.second", "1.second"]


def test_targets_that_are_no_linear_layers_are_refused():
    with pytest.raises(
        RecipeError, match=r"model\.lora\.targets: 'secnd' is no linear layer of this net; did you mean 'second'"
    ):
        adapters.targets_of(net(), ["secnd"])
    with pytest.raises(RecipeError, match="the net Sequential has no linear layer beside its head"):
        adapters.targets_of(nn.Sequential(nn.Linear(2, 2)), "all")


def test_a_second_adapter_is_refused():
    with pytest.raises(ModelError, match="the net has an adapter already; merge it first"):
        adapters.insert(trained(LoraTable(rank=2)), LoraTable(rank=2))


@pytest.mark.parametrize("alpha", ["auto", 3.0])
def test_a_merged_net_gives_the_same_and_is_plain_again(alpha):
    model = trained(LoraTable(rank=2, alpha=alpha))
    before, names = model(rows()), net().state_dict().keys()
    state = adapters.merged_weights(model.state_dict(), scale_of(LoraTable(rank=2, alpha=alpha)))

    merged = adapters.merge(model)

    assert torch.allclose(merged(rows()), before, atol=1e-12)
    assert merged.state_dict().keys() == names == state.keys()
    assert all(torch.allclose(value, state[name], atol=1e-15) for name, value in merged.state_dict().items())
    assert all(one.requires_grad for one in merged.parameters())
    with pytest.raises(ModelError, match="has no adapter to merge"):
        adapters.merge(merged)


def test_a_stored_adapter_is_small_and_gives_the_same_in_the_net_it_belongs_to(tmp_path):
    lora = LoraTable(rank=2, dropout=0.1)
    model = trained(lora)

    folder = adapters.save(model, tmp_path / "adapter", lora, base="the net")

    again = adapters.load(net(), folder)
    assert torch.equal(again(rows()), model(rows()))
    held = load_file(folder / "adapter_model.safetensors")
    assert set(held) == {
        *(f"base_model.model.{layer}.lora_{part}.weight" for layer in ("first", "second") for part in "AB"),
        "base_model.model.head.weight",
        "base_model.model.head.bias",
    }


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            lambda: net(seed=9),
            r"the weights it was trained beside have the mark \w{12}, those of this Net \w{12}; load it into the net",
        ),
        (lambda: net(width=12), r"first\.lora_B\.default\.weight is made for 8, and first of this Net has 12"),
        (lambda: nn.Linear(6, 3), "has a matrix for first, which this Linear lacks"),
    ],
)
def test_an_adapter_of_another_net_is_one_clear_sentence(tmp_path, other, said):
    lora = LoraTable(rank=2)
    folder = adapters.save(trained(lora), tmp_path / "adapter", lora)
    model = other()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    with pytest.raises(ModelError, match=rf"the adapter in .* belongs to another net.*{said}") as raised:
        adapters.load(model, folder)

    assert "\n" not in str(raised.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_folder_without_an_adapter_and_other_kinds_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no adapter; expected a folder with adapter_config\.json"):
        adapters.load(net(), tmp_path)
    with pytest.raises(ModelError, match=r"has no adapter to save; store net\.state_dict"):
        adapters.save(net(), tmp_path, LoraTable())
    folder = adapters.save(trained(LoraTable(rank=2)), tmp_path / "a", LoraTable(rank=2))
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"peft_type": "IA3"}))
    with pytest.raises(ModelError, match="is of the kind 'IA3'; plain LoRA is read"):
        adapters.load(net(), folder)
    file.write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        adapters.load(net(), folder)


def test_an_adapter_without_a_mark_is_checked_by_its_shapes(tmp_path):
    lora = LoraTable(rank=2)
    model = trained(lora)
    folder = adapters.save(model, tmp_path / "adapter", lora)
    save_file(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.safetensors")

    assert torch.equal(adapters.load(net(), folder)(rows()), model(rows()))


def test_peft_computes_the_same_and_reads_what_is_stored(tmp_path):
    peft = pytest.importorskip("peft")
    lora = LoraTable(rank=2, alpha=3.0)
    ours, theirs = trained(lora), net()
    adapters.insert(theirs, LoraTable(rank=2, alpha=3.0, engine="peft"), seed=3)

    theirs.load_state_dict(ours.state_dict())
    folder = adapters.save(ours, tmp_path / "adapter", lora)
    read = peft.PeftModel.from_pretrained(net(), str(folder))

    assert torch.allclose(theirs.eval()(rows()), ours(rows()), atol=1e-12)
    assert torch.allclose(read.eval()(rows()), ours(rows()), atol=1e-12)
    assert torch.allclose(adapters.merge(theirs)(rows()), ours(rows()), atol=1e-12)


def test_the_engine_peft_without_peft_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)

    with pytest.raises(
        MissingExtra, match=r"model\.lora\.engine = 'peft' needs peft .*pip install 'tunesmith\[lora\]'"
    ):
        adapters.insert(net(), LoraTable(engine="peft"))
