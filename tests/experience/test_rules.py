"""The rules of thumb that come with Tunesmith: every row of the page, with its numbers."""

import math
from pathlib import Path
from typing import Any

import pytest

from tunesmith.blocks import experience
from tunesmith.blocks.experience import RULES, Bound, Rule, Start
from tunesmith.records import UnknownName
from tunesmith.verbs.explain import CATALOGUES, catalogue

PAGE = Path(__file__).parents[1] / "golden" / "rules_of_thumb_ids.txt"
ROWS = [line.split() for line in PAGE.read_text(encoding="utf-8").splitlines()]
PARTS = {"1": "rate", "2": "batch", "3": "model", "4": "regularisation", "5": "data", "6": "search"}
USES = {"P": "prior", "L": "lint", "C": "check", "T": "text"}

# The page, read by hand: path, what is known -> start, low, high, rule.
STARTS: list[tuple[str, dict[str, Any], Any, Any, Any, str]] = [
    ("optim.lr", {"optimizer": "sgd", "batch_norm": True}, 0.1, 1e-3, 1, "lr.sgd"),
    ("optim.lr", {"optimizer": "sgd", "batch_norm": False}, 0.02, 1e-3, 1, "lr.sgd"),
    ("optim.lr", {"optimizer": "adam"}, 3e-4, 1e-5, 1e-2, "lr.adam"),
    ("optim.lr", {"optimizer": "adamw", "model": "transformer"}, 3e-4, 1e-5, 1e-2, "lr.adam"),
    ("optim.lr", {"optimizer": "adamw", "model": "mlp"}, 1e-3, 1e-5, 1e-2, "lr.adam"),
    ("optim.lr", {"optimizer": "adamw", "model": "cnn"}, 1e-3, 1e-5, 1e-2, "lr.adam"),
    ("optim.lr", {"optimizer": "adadelta"}, 1.0, 0.1, 10, "lr.adaptive"),
    ("optim.lr", {"optimizer": "adagrad"}, 0.01, 1e-3, 0.1, "lr.adaptive"),
    ("optim.lr", {"optimizer": "rmsprop"}, 1e-3, 1e-4, 1e-2, "lr.adaptive"),
    ("optim.lr", {"optimizer": "nadam"}, 2e-3, 2e-4, 2e-2, "lr.adaptive"),
    ("optim.lr", {"model": "finetune_text"}, 2e-5, 5e-6, 1e-4, "lr.finetune_text"),
    ("train.epochs", {"model": "finetune_text"}, 3, 2, 4, "lr.finetune_text"),
    ("schedule.warmup", {"model": "finetune_text"}, 0.06, 0.06, 0.1, "lr.finetune_text"),
    ("optim.lr", {"model": "lora"}, 2e-4, 5e-5, 1e-3, "lr.lora"),
    ("lora.rank", {"model": "lora"}, 8, 8, 64, "lr.lora"),
    ("optim.lr", {"model": "vision", "optimizer": "sgd", "batch": 256}, 0.1, 1e-3, 1, "lr.vision"),
    ("optim.lr", {"model": "vision", "optimizer": "sgd", "batch": 512}, 0.2, 1e-3, 1, "lr.vision"),
    ("optim.lr", {"model": "vision"}, 1e-3, 1e-5, 1e-2, "lr.vision"),
    ("optim.layer_decay", {"pretrained": True}, 1.0, 0.65, 1, "lr.parts"),
    ("schedule.warmup", {"model": "mlp"}, 0.0, 0, 0.1, "warm.length"),
    ("schedule.warmup", {"model": "cnn"}, 0.0, 0, 0.1, "warm.length"),
    ("schedule.warmup", {"model": "transformer"}, 0.05, 0, 0.1, "warm.length"),
    ("optim.momentum", {}, 0.9, 0.7, 0.99, "momentum"),
    ("optim.eps", {}, 1e-8, 1e-10, 1e-3, "adam.eps"),
    ("train.batch_size", {"rows": 10_000}, 32, 8, 1024, "batch.start"),
    ("train.batch_size", {"rows": 10_001}, 128, 8, 1024, "batch.start"),
    ("model.depth", {"model": "mlp"}, 2, 1, 4, "depth"),
    ("model.depth", {"model": "rnn"}, 1, 1, 3, "depth"),
    ("model.width", {"model": "mlp"}, 128, 32, 1024, "width"),
    ("model.width", {"model": "cnn"}, 32, 16, 64, "conv"),
    ("model.embedding_dim", {}, 128, 64, 512, "embed.size"),
    ("model.dropout", {}, 0.0, 0, 0.5, "reg.dropout"),
    ("model.dropout", {"part": "dense"}, 0.2, 0.2, 0.5, "reg.dropout"),
    ("model.dropout", {"part": "conv"}, 0.05, 0.05, 0.2, "reg.dropout"),
    ("model.dropout", {"model": "transformer"}, 0.1, 0, 0.5, "reg.dropout"),
    ("model.dropout", {"model": "language_model", "epochs": 1}, 0.0, 0, 0.5, "reg.dropout"),
    ("optim.weight_decay", {"optimizer": "sgd"}, 5e-4, 1e-5, 1e-2, "reg.l2"),
    ("optim.weight_decay", {"optimizer": "adamw"}, 0.01, 1e-3, 0.3, "reg.l2"),
    ("optim.clip_norm", {"model": "rnn"}, 1.0, 0.25, 5, "reg.clip"),
    ("optim.clip_norm", {"model": "transformer"}, 1.0, 0.25, 5, "reg.clip"),
]
BOUNDS: list[tuple[str, str, dict[str, Any]]] = [
    ("lr.sgd", "optim.lr", {"below": 1e-5, "above": 10}),
    ("lr.adam", "optim.lr", {"below": 1e-7, "above": 3e-2}),
    ("lr.finetune_text", "optim.lr", {"above": 2e-4}),
    ("lr.ratio", "update.ratio", {"below": 1e-4, "above": 1e-2}),
    ("warm.length", "schedule.warmup", {"above": 0.1}),
    ("momentum", "optim.momentum", {"at_least": 0.99}),
    ("batch.tenth", "updates.total", {"below": 200}),
    ("conv", "model.width", {"below": 8}),
    ("norm.choice", "train.batch_size", {"below": 16}),
    ("reg.dropout", "model.dropout", {"above": 0.5}),
    ("reg.clip", "clip.share", {"above": 0.5}),
    ("data.ratio", "classes.ratio", {"above": 10}),
    ("target.scale", "target.std", {"below": 0.01, "above": 10}),
]
WARNINGS = {"sched.marks", "warm.length", "batch.accum", "batch.engine", "reg.l2", "loss.tasks"}
NUMBERS = [
    ("sched.consts", "poly_power", 0.9),
    ("sched.consts", "plateau_threshold", 1e-4),
    ("batch.tenth", "updates_per_epoch", 10),
    ("depth", "residual_from", 10),
    ("embed.init", "std", 0.02),
    ("norm.choice", "groups", 32),
    ("norm.consts", "eps_frn", 1e-6),
    ("seeds", "least", 3),
    ("pin_memory", "batches", 20),
    ("seq.cut", "percentile", 99),
    ("search.space", "trials", 59),
    ("spike.skip", "back", 100),
]


def every(kind: type[Any], of: str) -> list[Any]:
    return [pytest.param(rule, one, id=f"{rule.id}-{one.path}") for rule in RULES.values() for one in getattr(rule, of)]


def test_every_row_of_the_page_is_there_with_its_section_standing_and_use() -> None:
    assert [row[0] for row in ROWS] == list(RULES)
    assert len(ROWS) == 81
    for id, section, standing, uses in ROWS:
        rule = RULES[id]
        assert rule.part == PARTS[section], id
        assert rule.standing == {"-": "none"}.get(standing, standing), id
        assert set(rule.use) == {USES[use] for use in uses}, id


@pytest.mark.parametrize(("path", "known", "start", "low", "high", "id"), STARTS)
def test_the_starts_are_those_of_the_page(
    path: str, known: dict[str, Any], start: Any, low: Any, high: Any, id: str
) -> None:
    found = experience.prior(path, **known)

    assert (found.start, found.low, found.high, found.id) == (start, low, high, id)
    assert type(found.start) is type(start)  # a count stays whole


@pytest.mark.parametrize(("id", "path", "limits"), BOUNDS)
def test_the_bounds_are_those_of_the_page(id: str, path: str, limits: dict[str, Any]) -> None:
    (bound,) = [one for one in RULES[id].bounds if one.path == path]

    assert {name: getattr(bound, name) for name in ("below", "above", "at_least")} == {
        "below": None,
        "above": None,
        "at_least": None,
    } | limits
    assert bound.severity == "note"


def test_only_the_rows_that_say_so_warn() -> None:
    assert {id for id, rule in RULES.items() if any(one.severity == "warning" for one in rule.bounds)} == WARNINGS


@pytest.mark.parametrize(("id", "name", "value"), NUMBERS)
def test_numbers_that_no_setting_has(id: str, name: str, value: float) -> None:
    assert experience.number(id, name) == value


def test_59_random_trials_reach_the_best_share_with_the_probability() -> None:
    trials, share, probability = (
        experience.number("search.space", name) for name in ("trials", "best_share", "probability")
    )

    assert 1 - (1 - share) ** (trials - 1) < probability < 1 - (1 - share) ** trials


@pytest.mark.parametrize(("rule", "one"), every(Start, "starts"))
def test_a_start_lies_in_its_range(rule: Rule, one: Start) -> None:
    assert one.why
    if one.choices:
        assert one.start in one.choices
    elif one.low is not None:
        assert one.high is not None
        assert one.low < one.high
        assert one.low <= float(one.start) <= one.high
    if one.log:
        assert one.low is not None
        assert one.high is not None
        ends = (1 - one.high, 1 - one.low) if one.complement else (one.low, one.high)
        assert all(math.isfinite(math.log(end)) for end in ends)


@pytest.mark.parametrize(("rule", "one"), every(Bound, "bounds"))
def test_a_bound_lies_outside_every_range_that_is_searched(rule: Rule, one: Bound) -> None:
    ranges = [start for start in rule.starts if start.path == one.path and start.low is not None]

    for start in ranges:
        assert one.broken(start.start) is None
        if one.at_least is None:  # the momentum 0.99 is the end of its range, and remarked
            assert one.broken(start.low) is None
            assert one.broken(start.high) is None


def test_words_that_a_rule_offers_are_members() -> None:
    families = {
        "model.activation": "activation",
        "model.init": "init",
        "model.norm": "norm",
        "model.pooling": "pooling",
        "optim.name": "optimizer",
        "schedule.name": "schedule",
        "data.sampler": "sampler",
    }
    for rule in RULES.values():
        for one in rule.starts:
            members = catalogue(families[one.path]) if one.path in families else None
            assert members is None or set(one.choices) - {"auto"} <= set(members), (rule.id, one.path)
    assert "experience" not in CATALOGUES


def test_advice_that_contradicts_itself_names_rules_and_a_condition() -> None:
    told = experience.current().contradictions

    assert [one.about for one in told] == ["Batch", "Rate", "Length", "Normalisation"]
    assert all(one.condition and set(one.rules) <= set(RULES) for one in told)


def test_a_rule_is_frozen_and_an_unknown_one_gives_the_nearest() -> None:
    with pytest.raises(Exception, match="frozen"):
        RULES["lr.adam"].standing = "wrong"  # type: ignore[misc]
    with pytest.raises(UnknownName, match=r"did you mean 'lr\.adam'"):
        RULES["lr.adm"]
    with pytest.raises(UnknownName, match="no number 'trial'; did you mean 'trials'"):
        experience.number("search.space", "trial")
    assert "lr.adm" not in RULES
