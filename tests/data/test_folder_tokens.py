"""The tokenizer of a trained encoder beside a target."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import tunesmith as ts
from tests.models.test_stored import BERT, bert_folder
from tests.training.pretrained.test_beginning import Heard
from tunesmith.data.tokenizers.folder import FolderTokens
from tunesmith.records import DataError

WORDS = ["good", "bad", "food", "service", "very", "the", "was"]
MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


@pytest.fixture
def folder(tmp_path):
    """A BERT with random weights and a tokenizer of words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    place = tmp_path / "bert"
    bert_folder(place)
    held = load_file(place / "model.safetensors")
    gains = {name: torch.ones_like(value) for name, value in held.items() if name.endswith("LayerNorm.weight")}
    save_file(held | gains, place / "model.safetensors")
    engine = Tokenizer(models.WordLevel({word: number for number, word in enumerate(MARKS + WORDS)}, "[UNK]"))
    engine.pre_tokenizer = pre_tokenizers.Whitespace()
    engine.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    engine.save(str(place / "tokenizer.json"))
    return place


def test_texts_get_the_marks_of_the_tokenizer(folder):
    tokens, starts = FolderTokens.read(folder).encode(["very good", "odd"])

    assert tokens.tolist() == [2, 8, 4, 3, 2, 1, 3]
    assert starts.tolist() == [0, 4, 7]


def test_json_carries_it_all(folder):
    tokenizer = FolderTokens.read(folder)
    again = FolderTokens.from_json(json.loads(json.dumps(tokenizer.to_json())))

    assert (again.vocabulary, again.unknown) == (11, 1)
    assert again.encode(["the food"])[0].tolist() == tokenizer.encode(["the food"])[0].tolist()
    assert again.decode([2, 9, 6, 3, 0, 0]) == "[CLS] the food [SEP]"


def test_a_tokenizer_that_pads_with_another_number_is_refused(folder):
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[SEP]"}))

    with pytest.raises(DataError, match="pads with token 3, and rows of text beside a target are padded with 0"):
        FolderTokens.read(folder)


@pytest.mark.parametrize(
    "way",
    [
        {},
        {"model.freeze": "body", "optim.lr": 0.1, "train.epochs": 60},
        {"model.lora.rank": 2, "model.pooling": "first"},
    ],
)
def test_an_encoder_is_fine_tuned_with_its_own_tokens(folder, tmp_path, way):
    rows = [(f"the {what} was {how}", how) for what in ("food", "service") for how in ("good", "bad")] * 30
    table = tmp_path / "t.csv"
    table.write_text(
        "text,label\n" + "\n".join(f"{text} in the shop number {i},{label}" for i, (text, label) in enumerate(rows))
    )
    recipe = {
        "model.pretrained": str(folder), "data.tokenizer_folder": str(folder), "optim.lr": 5e-3, "train.epochs": 16, "eval.metric": "log_loss",
        "train.batch_size": 16, "train.threads": 1, "eval.bootstrap": 0, "run.watch": False, "data.keep_duplicates_together": False,
    }  # fmt: skip
    heard = Heard()

    run = ts.fit(ts.Task(train=str(table), target="label"), {**recipe, **way}, display=heard, folder=tmp_path / "run")

    assert run.recipe.model.name == "encoder"
    assert run.recipe.model.width == BERT["hidden_size"]
    assert any("rows of the table of" in line and "of no token of its tokenizer" in line for line in heard.notices)
    assert any("37 of 39 parameters are taken" in line for line in heard.notices)
    assert run.scores["parts"]["test"]["scores"]["accuracy"] > 0.9
    assert ts.load(tmp_path / "run").predict(str(table)).labels[0] == "good"
