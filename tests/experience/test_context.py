"""Which rule fits what is known."""

from typing import Any

import pytest

from tunesmith.blocks import experience
from tunesmith.blocks.experience import context
from tunesmith.records import RecipeError, UnknownName


@pytest.mark.parametrize(
    ("known", "id", "start"),
    [
        ({}, "lr.adam", 3e-4),  # nothing known: AdamW on an unknown network
        ({"model": "own"}, "lr.adam", 3e-4),
        ({"model": "bag"}, "lr.adam", 1e-3),  # an MLP over embeddings
        ({"optimizer": "sgd", "momentum": 0.9}, "lr.sgd", 0.02),
        ({"optimizer": "sgd", "momentum": 0.0}, "lr.sgd", 0.06),
        ({"optimizer": "sgd", "momentum": 0.0, "batch_norm": True}, "lr.sgd", 0.3),
        ({"optimizer": "sgd", "model": "cnn", "batch_norm": True, "batch": 64}, "lr.sgd", 0.1),
        ({"model": "transformer", "pretrained": True}, "lr.finetune_text", 2e-5),
        ({"model": "transformer", "pretrained": False}, "lr.adam", 3e-4),
        ({"model": "cnn", "pretrained": True, "optimizer": "sgd"}, "lr.vision", 1e-3),
        ({"model": "vision", "optimizer": "sgd", "batch": 64}, "lr.vision", 0.025),
        ({"model": "cnn", "parameters": 25_000_000}, "lr.adam", 3e-4),
        ({"model": "lora", "optimizer": "adam"}, "lr.lora", 2e-4),
        ({"model": "rnn", "length": 200, "layers": 2}, "lr.adam", 3e-4),
        ({"model": "lstm", "length": 201}, "lr.adam", 1e-4),
        ({"model": "gru", "layers": 3, "length": 900}, "lr.adam", 1e-4),  # once, not twice
        ({"model": "lstm", "layers": 3, "optimizer": "sgd"}, "lr.sgd", 0.02 / 3),
    ],
)
def test_the_rule_that_fits_most_closely_gives_the_rate(known: dict[str, Any], id: str, start: float) -> None:
    found = experience.prior("optim.lr", **known)

    assert found.id == id
    assert found.start == pytest.approx(start, rel=1e-9)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.start <= found.high


def test_a_start_that_goes_by_the_batch_stays_in_its_range() -> None:
    assert experience.start("optim.lr", model="vision", optimizer="sgd", batch=65_536) == 1.0


def test_a_pretrained_net_searches_two_dropouts() -> None:
    for known in (
        {"pretrained": True},
        {"model": "finetune_text"},
        {"model": "lora"},
        {"model": "mlp", "pretrained": True},
    ):
        assert experience.prior("model.dropout", **known).choices == (0.0, 0.1)


def test_the_baseline_has_neither_decay_nor_dropout() -> None:
    for optimizer in ("sgd", "adamw", "adam"):
        assert experience.start("optim.weight_decay", optimizer=optimizer, stage="baseline") == 0.0
    assert experience.start("model.dropout", model="transformer", stage="baseline") == 0.0


def test_normalisation_goes_by_kind_and_batch() -> None:
    assert experience.start("model.norm", model="cnn", batch=64) == "batch"
    assert experience.start("model.norm", model="cnn", batch=15) == "group"
    assert experience.start("model.norm", model="lstm", batch=4) == "layer"
    assert experience.start("model.norm", model="mlp", batch=8) == "layer"


def test_what_is_told_as_none_is_not_known() -> None:
    assert experience.prior("optim.lr", model=None, batch_norm=None) == experience.prior("optim.lr")


def test_why_names_the_rule_and_what_was_changed() -> None:
    found = experience.prior("optim.lr", model="rnn", length=1000)

    assert found.because.startswith("lr.adam: ")
    assert "times 0.333 by lr.rnn" in found.because


@pytest.mark.parametrize(
    ("path", "known", "error", "words"),
    [
        ("optim.lr", {"optimiser": "sgd"}, UnknownName, "called 'optimiser'; did you mean 'optimizer'"),
        ("optim.lr", {"model": "transfomer"}, UnknownName, "called 'transfomer'; did you mean 'transformer'"),
        ("optim.lr", {"rows": "many"}, RecipeError, "rows = 'many'.*a number was expected"),
        ("optim.lr", {"batch_norm": 1}, RecipeError, "batch_norm = 1.*true or false was expected"),
        ("optim.lr", {"optimizer": 3}, RecipeError, "optimizer = 3.*text was expected"),
        ("optim.lrr", {}, UnknownName, r"start for 'optim\.lrr'; did you mean 'optim\.lr'"),
        ("model.depth", {"model": "cnn"}, UnknownName, "gives model.depth for model cnn; there is one for model mlp"),
        ("optim.lr", {"optimizer": "muon"}, UnknownName, "for optimizer muon; there is one for optimizer sgd"),
    ],
)
def test_what_cannot_be_known_is_said_in_a_sentence(
    path: str, known: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        experience.prior(path, **known)


def test_find_gives_none_where_prior_raises() -> None:
    assert experience.find("optim.lr", optimizer="muon") is None
    assert experience.find("model.depth", model="cnn") is None


def test_limits_are_open_and_closed_as_their_names_say() -> None:
    cases = {"least": (4, 5, 3), "most": (5, 5, 6), "above": (5, 6, 5), "below": (5, 4, 5)}

    for compare, (limit, inside, outside) in cases.items():
        assert context.holds({compare: limit}, inside)
        assert not context.holds({compare: limit}, outside)


def test_wrapped_optimizers_go_by_their_base() -> None:
    assert experience.optimizer_of("sam") == "sgd"
    assert experience.optimizer_of("lookahead", {"base": "radam"}) == "radam"
    assert experience.optimizer_of("schedulefree_sgd") == "sgd"
    assert experience.optimizer_of("adamw") == "adamw"
    assert experience.kind_of("my_net") == "own"


def test_rules_for_a_path_stand_with_the_starts_first() -> None:
    found = [rule.id for rule in experience.rules_for("train.batch_size")]

    assert found[:2] == ["lr.finetune_text", "batch.start"]
    assert {"batch.pow2", "lr.batch", "norm.choice"} <= set(found)
    assert experience.rules_for("run.keep") == ()


def test_importing_the_rules_imports_no_torch() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from tunesmith.blocks import experience as e; e.lint({'optim.lr': 9.0}); e.overview(); "
        "e.prior('optim.lr'); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
