import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.plain_llama import llama, neighbours
from tunesmith.blocks import models
from tunesmith.blocks.models import stored
from tunesmith.data.tokenizers.pieces import Pieces
from tunesmith.records import CheckpointError, ModelError, Recipe, revise

SENTENCE = "Once upon a time, there was a little girl named Lily."
BERT = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
    "vocab_size": 30, "max_position_embeddings": 40, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2,
}  # fmt: skip


@pytest.fixture
def stories(shared):
    return shared / "data/models/stories260k"


@pytest.fixture
def small(tmp_path):
    """A folder of a small decoder with random weights, in the layout of Transformers."""
    torch.manual_seed(0)
    shape = {"model.width": 16, "model.depth": 2, "model.heads": 4, "model.kv_heads": 2, "model.tied": False}
    spec = {"tokens": SimpleNamespace(vocabulary=30, length=8, padding=0)}
    net = models.build("decoder", revise(Recipe(), shape), spec, 30, "language")
    return stored.write(net, tmp_path / "small")


def spoil(folder, **changes):
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def test_the_logits_of_a_stored_llama_are_those_of_a_plain_forward_pass(stories):
    tokenizer = Pieces.from_folder(stories)
    tokens = np.array([tokenizer.begin, *tokenizer.encode([SENTENCE])[0]])
    config = json.loads((stories / "config.json").read_text())
    weights = {name: value.double().numpy() for name, value in load_file(stories / "model.safetensors").items()}

    with torch.no_grad():
        found = stored.load(stories)(torch.from_numpy(tokens)[None])[0].numpy()

    expected = llama(
        tokens, weights, depth=config["n_layers"], heads=config["n_heads"], kv_heads=config["n_kv_heads"],
        eps=config["norm_eps"], base=config["rope_theta"], turned=neighbours,
    )  # fmt: skip
    assert np.abs(found - expected).max() < 1e-4
    chances = found - np.log(np.exp(found).sum(-1, keepdims=True))
    assert -chances[np.arange(len(tokens) - 1), tokens[1:]].mean() == pytest.approx(0.100, abs=5e-4)  # data/README.md


@pytest.mark.parametrize("layout", stored.LAYOUTS)
def test_a_decoder_is_written_and_read_back_bit_for_bit(stories, tmp_path, layout):
    net = stored.load(stories)

    again = stored.load(stored.write(net, tmp_path / layout, layout))

    assert all(torch.equal(one, again.state_dict()[name]) for name, one in net.state_dict().items())
    assert (again.rotary, again.norm.eps, again.kv_heads) == (net.rotary, net.norm.eps, net.kv_heads)


def test_in_the_layout_of_the_source_the_file_holds_the_same_numbers(stories, tmp_path):
    folder = stored.write(stored.load(stories), tmp_path / "back", "llama2.c")

    one, two = load_file(stories / "model.safetensors"), load_file(folder / "model.safetensors")
    assert set(one) == set(two)
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_transformers_reads_what_is_written(small):
    transformers = pytest.importorskip("transformers")
    tokens = torch.arange(1, 9)[None]

    theirs = transformers.AutoModelForCausalLM.from_pretrained(small, local_files_only=True).eval()

    with torch.no_grad():
        assert torch.allclose(theirs(tokens).logits, stored.load(small)(tokens), atol=1e-5)


def test_shards_are_joined(small):
    held = load_file(small / "model.safetensors")
    names = sorted(held)
    parts = {"model-1.safetensors": names[:5], "model-2.safetensors": names[5:]}
    expected = stored.load(small).state_dict()
    for file, mine in parts.items():
        save_file({name: held[name] for name in mine}, small / file)
    index = {"weight_map": {name: file for file, mine in parts.items() for name in mine}}
    (small / "model.safetensors.index.json").write_text(json.dumps(index))
    (small / "model.safetensors").unlink()

    found = stored.load(small).state_dict()

    assert all(torch.equal(value, found[name]) for name, value in expected.items())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"model_type": "gpt2"},
            r"describes a 'gpt2'; the decoder reads weights of llama.*model\.name = 'transformers/",
        ),
        ({"model_type": None}, "describes none of the models we know"),
        ({"num_hidden_layers": None}, "num_hidden_layers is missing; expected a whole number above 0"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers is 'two'; expected a whole number"),
        ({"num_hidden_layers": 3}, r"lacks model\.layers\.2\..* \(9 in all\), which its config\.json asks for"),
        ({"num_hidden_layers": 1}, r"holds model\.layers\.1\..* for which its config\.json has no place"),
        (
            {"vocab_size": 31},
            r"embed_tokens\.weight has the shape \(30, 16\), and its config\.json asks for \(31, 16\)",
        ),
        ({"hidden_act": "gelu"}, r"hidden_act = 'gelu', which our net does not have \(it has 'silu'\)"),
        (
            {"rope_scaling": {"rope_type": "yarn"}},
            "rotary positions of the kind 'yarn', and our decoder has plain ones",
        ),
        ({"head_dim": 8}, r"head_dim = 8, which our net does not have \(it has 4\)"),
        ({"num_key_value_heads": 3}, r"model\.kv_heads = 3 does not divide model\.heads = 4"),
    ],
)
def test_a_folder_that_does_not_fit_is_one_sentence(small, changes, said):
    spoil(small, **changes)

    with pytest.raises(ModelError, match=said) as raised:
        stored.load(small)
    assert "\n" not in str(raised.value)


def test_absent_and_broken_files_are_one_sentence(small, tmp_path):
    with pytest.raises(ModelError, match=r"holds no config\.json; expected a folder of a language model"):
        stored.load(tmp_path / "nowhere")
    (small / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        stored.load(small)
    (small / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"holds a config\.json and no model\.safetensors"):
        stored.load(small)
    (small / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json is no JSON"):
        stored.load(small)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.gated": False}, "rotary positions, gated hidden units and RMS norms alone"),
        ({"model.norm": "layer"}, "rotary positions, gated hidden units and RMS norms alone"),
        ({"model.activation": "gelu"}, "another activation than silu"),
    ],
)
def test_a_decoder_that_is_no_llama_is_not_written(tmp_path, changes, said):
    spec = {"tokens": SimpleNamespace(vocabulary=30, length=8, padding=0)}
    net = models.build("decoder", revise(Recipe(), {"model.width": 16} | changes), spec, 30, "language")

    with pytest.raises(ModelError, match=said):
        stored.write(net, tmp_path / "x")
    with pytest.raises(ModelError, match=r"no layout called 'llama2'; did you mean 'llama2\.c'"):
        stored.write(net, tmp_path / "x", "llama2")


def test_new_tokens_begin_at_the_mean_of_the_known_ones():
    table = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))

    longer = stored.grown(table, 7)

    assert torch.equal(longer[:5], table)
    assert torch.allclose(longer[5:], table.mean(0).expand(2, -1))
    assert stored.grown(table, 4) is table


def bert_folder(folder, prefix=""):
    """A small BERT with random weights; and its weights."""
    generator = torch.Generator().manual_seed(0)
    width, hidden = BERT["hidden_size"], BERT["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": (30, width), "embeddings.position_embeddings.weight": (40, width),
        "embeddings.token_type_embeddings.weight": (2, width), "embeddings.LayerNorm.weight": (width,),
        "embeddings.LayerNorm.bias": (width,), "pooler.dense.weight": (width, width), "pooler.dense.bias": (width,),
    }  # fmt: skip
    for i in range(BERT["num_hidden_layers"]):
        for name, shape in {
            "attention.self.query": (width, width), "attention.self.key": (width, width), "attention.self.value": (width, width),
            "attention.output.dense": (width, width), "attention.output.LayerNorm": (width,),
            "intermediate.dense": (hidden, width), "output.dense": (width, hidden), "output.LayerNorm": (width,),
        }.items():  # fmt: skip
            shapes[f"encoder.layer.{i}.{name}.weight"] = shape
            shapes[f"encoder.layer.{i}.{name}.bias"] = shape[:1]
    held = {name: torch.randn(shape, generator=generator) / 3 for name, shape in shapes.items()}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(BERT))
    save_file({prefix + name: value for name, value in held.items()}, folder / "model.safetensors")
    return {name: value.double().numpy() for name, value in held.items()}


def plain_bert(tokens, weights, *, heads, eps, depth):
    """The last hidden states (L, width) of a text without padding, in NumPy."""
    from scipy.special import erf

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
        return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    beside = weights["embeddings.position_embeddings.weight"][: len(tokens)]
    x = weights["embeddings.word_embeddings.weight"][tokens] + beside
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for i in range(depth):
        at = f"encoder.layer.{i}"
        query, key, value = (
            linear(x, f"{at}.attention.self.{name}").reshape(len(tokens), heads, -1).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        score = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
        share = np.exp(score - score.max(-1, keepdims=True))
        seen = (share / share.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(x.shape)
        x = norm(x + linear(seen, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        hidden = linear(x, f"{at}.intermediate.dense")
        hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
        x = norm(x + linear(hidden, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x


@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize(("pooling", "pooled"), [("mean", lambda x: x.mean(0)), ("first", lambda x: x[0])])
def test_an_encoder_of_the_kind_of_bert_agrees_with_a_plain_forward_pass(tmp_path, prefix, pooling, pooled):
    weights = bert_folder(tmp_path / "bert", prefix)
    rows = [[3, 7, 29, 1], [5, 6, 0, 0]]

    net = stored.load(tmp_path / "bert", changes={"model.pooling": pooling}).double()
    found = net(torch.tensor(rows)).detach().numpy()

    for row, vector in zip(rows, found, strict=True):
        real = np.array([token for token in row if token])
        expected = plain_bert(real, weights, heads=4, eps=1e-12, depth=2)
        np.testing.assert_allclose(vector, pooled(expected), atol=1e-5)


def test_what_an_encoder_cannot_be_is_refused(tmp_path):
    bert_folder(tmp_path / "bert")
    spoil(tmp_path / "bert", position_embedding_type="relative_key")

    with pytest.raises(ModelError, match="position_embedding_type = 'relative_key', which our net does not have"):
        stored.load(tmp_path / "bert")
