"""Language models in the loop: packed as unpacked, accumulated as whole, padded little, judged by closed forms."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tunesmith as ts
from tunesmith.blocks import losses
from tunesmith.blocks.metrics.tokens import TokenSums, token_intervals, token_scores, unigram
from tunesmith.data import prepare
from tunesmith.data.samplers import SAMPLERS
from tunesmith.data.spec import Part, Prepared, Tokens
from tunesmith.records import DataError, ModelError, Recipe, Task, revise
from tunesmith.reports import QuietDisplay
from tunesmith.training.dryrun import Trial
from tunesmith.training.evaluate import joined, loss_noise
from tunesmith.training.feeds import Rows
from tunesmith.training.plan import refuse_small_tables
from tunesmith.training.token_judgement import classes_last, foretold

WORDS = ("red", "blue", "green", "seven", "eleven", "north", "south", "salt")
LIMIT = 96


def chats(count: int = 48, *, long: bool = True) -> list[dict[str, Any]]:
    """Questions whose answer repeats a word of them, of very different lengths."""
    rows = []
    for number in range(count):
        word = WORDS[number % len(WORDS)]
        more = " please" * (number % 5) if long else ""
        rows.append({"instruction": f"Say {word} {number}{more}", "output": " ".join([word] * (1 + number % 4))})
    return rows


class Tiny(nn.Module):
    """One block of causal attention, within segments where there are some; positions restart with them."""

    def __init__(self, vocabulary: int = 261, width: int = 16) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(vocabulary, width), nn.Embedding(LIMIT, width)
        self.mix = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, inputs: Any) -> Tensor:
        parts = inputs if isinstance(inputs, dict) else {"tokens": inputs}
        tokens = parts["tokens"]
        length = tokens.shape[1]
        positions = parts.get("positions", torch.arange(length).expand_as(tokens))
        x = self.table(tokens) + self.places(positions)
        sees = torch.ones(length, length, dtype=torch.bool).tril()
        if "segments" in parts:
            sees = sees & (parts["segments"][:, :, None] == parts["segments"][:, None, :])
        query, key, value = self.mix(x).chunk(3, -1)
        scores = (query @ key.mT / math.sqrt(x.shape[-1])).masked_fill(~sees, -math.inf)
        logits: Tensor = self.head(x + scores.softmax(-1) @ value)
        return logits


def ready(changes: dict[str, Any] | None = None, **about: Any) -> Prepared:
    recipe = revise(Recipe(), {"data.max_seq_len": LIMIT, **(changes or {})})
    return prepare(Task(train=chats(), kind="language", **about), recipe)


def whole_loss(prepared: Prepared, model: nn.Module) -> tuple[Tensor, list[Tensor]]:
    """The loss over the training part in one batch, and its gradients."""
    rows = Rows(prepared.train, prepared.spec, torch.device("cpu"), torch.float64)
    batch = rows.take(torch.arange(len(rows)))
    reduced = losses.build("auto", kind="language")(model(batch.inputs), batch.target, batch.weight)
    slopes = torch.autograd.grad(reduced.value, list(model.parameters()))
    return reduced.value.detach(), list(slopes)


@pytest.mark.parametrize("own", [True, False])
def test_packed_samples_give_the_loss_and_gradients_they_give_alone(own):
    """Of a module of the user's own, and of the built-in decoder."""
    from tunesmith.blocks import models

    loose, packed = ready({"data.test": 0.0}), ready({"data.test": 0.0, "data.pack": True})
    torch.manual_seed(0)
    small = revise(Recipe(), {"model.width": 16, "model.depth": 2, "model.heads": 2})
    built = models.build("decoder", small, packed.spec, packed.outputs, "language")
    model = (Tiny() if own else built).double()
    if not own:
        alone = models.build("decoder", small, loose.spec, loose.outputs, "language").double()
        alone.load_state_dict(model.state_dict())

    (one, slopes), (other, others) = whole_loss(loose, model if own else alone), whole_loss(packed, model)

    assert len(packed.train) < len(loose.train)
    assert abs(float(one - other)) < 1e-10
    for left, right in zip(slopes, others, strict=True):
        assert torch.allclose(left, right, atol=1e-10)


def test_packing_that_leaks_would_be_seen():
    """The test above can fail: without segments the loss is another."""
    packed = ready({"data.test": 0.0, "data.pack": True})
    torch.manual_seed(0)
    model = Tiny().double()
    rows = Rows(packed.train, packed.spec, torch.device("cpu"), torch.float64)
    batch = rows.take(torch.arange(len(rows)))
    loss = losses.build("auto", kind="language")
    leaking = {"tokens": batch.inputs["tokens"], "positions": batch.inputs["positions"]}

    apart, mixed = (float(loss(model(inputs), batch.target).value.detach()) for inputs in (batch.inputs, leaking))

    assert abs(apart - mixed) > 1e-4


def fit(changes: dict[str, Any] | None = None, model: Any = Tiny, **about: Any) -> Any:
    settings = {
        "train.epochs": 2,
        "train.batch_size": 8,
        "optim.lr": 3e-3,
        "eval.bootstrap": 50,
        "data.max_seq_len": LIMIT,
    }
    control = {name: about.pop(name) for name in ("folder", "resume", "until") if name in about}
    task = ts.Task(model, train=about.pop("train", chats()), kind="language", **about)
    return ts.fit(task, {**settings, **(changes or {})}, display=QuietDisplay(), **control)


@pytest.mark.parametrize("pack", [False, True])
def test_four_micro_batches_are_one_batch(pack):
    """Token-weighted: micro-batches hold different numbers of labels, the update is that of the big batch."""
    about = {
        "data.pack": pack,
        "train.precision": "fp64",
        "data.sampler": "shuffle",
        "optim.name": "sgd",
        "optim.lr": 0.5,
    }
    once = fit({**about, "train.batch_size": 12})
    four = fit({**about, "train.batch_size": 3, "train.accumulate": 4})

    for left, right in zip(once.model.parameters(), four.model.parameters(), strict=True):
        assert torch.allclose(left, right, atol=1e-9)
    assert once.scores["parts"]["val"]["loss"] == pytest.approx(four.scores["parts"]["val"]["loss"], abs=1e-9)


def test_a_real_training_learns_to_answer_and_to_stop(tmp_path):
    run = fit(
        {
            "train.epochs": 30,
            "train.batch_size": 8,
            "optim.lr": 5e-3,
            "model.width": 64,
            "model.depth": 2,
            "data.val": 0.2,
        },
        model="auto",
        train=chats(64, long=False),
        folder=tmp_path / "run",
    )

    test = run.scores["parts"]["test"]
    assert test["scores"]["perplexity"] < 0.1 * test["baseline"]["perplexity"]
    assert test["scores"]["token_accuracy"] > 0.8
    assert set(test["by_role"]) == {"assistant"}
    low, high = test["intervals"]["perplexity"]
    assert low <= test["scores"]["perplexity"] <= high
    assert 0 <= test["scores"]["exact_match"] <= 1


def test_real_weights_learn_real_chats(shared, tmp_path):
    """A small Llama on conversations it has never seen the like of: packed, its own tokens, only replies train."""
    place = str(shared / "data" / "models" / "stories260k")
    own = {"model.pretrained": place, "data.tokenizer_folder": place, "data.chat_template": "im", "data.pack": True}
    file = shared / "data" / "sft" / "identity.jsonl.gz"
    changes = {**own, "data.max_seq_len": 384, "data.bad_rows": "drop", "train.epochs": 4, "optim.lr": 2e-3}

    run = fit(changes, model="auto", train=file, folder=tmp_path / "run")

    losses = run.signals.read("loss")[1]
    assert np.mean(losses[-3:]) < 0.75 * np.mean(losses[:3])
    preview = (tmp_path / "run" / "data" / "preview.txt").read_text(encoding="utf-8")
    assert "</s>⟧" in preview
    assert "⟦<s>" not in preview


@pytest.mark.slow
def test_exact_match_is_what_greedy_generation_gives():
    from tunesmith.blocks.models.generating import generate

    run = fit(
        {"train.epochs": 60, "optim.lr": 5e-3, "model.width": 64, "model.depth": 2},
        model="auto",
        train=chats(64, long=False),
    )
    prepared = prepare(
        Task(train=chats(64, long=False), kind="language"), revise(run.recipe, {"data.max_seq_len": LIMIT})
    )
    part, codec = prepared.test, prepared.pipeline.blocks[0].codec

    prompts, answers = [], []
    for row, target in zip(part.inputs["tokens"], part.target, strict=True):
        labels = np.flatnonzero(target != -100)
        answers.append(target[labels].tolist()[:-1])  # without the end of the text, which comes after a line break
        prompts.append(row[: labels[0] + 1].tolist())
    made = generate(run.model, prompts, longest=LIMIT, stop=[codec.closes_turn])
    same = np.mean([list(one.tokens) == answer for one, answer in zip(made, answers, strict=True)])

    assert run.scores["parts"]["test"]["scores"]["exact_match"] == pytest.approx(same)


def test_every_field_of_text_trains(tmp_path):
    for number, changes in enumerate(
        (
            {"data.tokenizer": "bpe", "data.vocab_size": 300},
            {"data.too_long": "split", "data.max_seq_len": 24},
            {"data.too_long": "drop", "data.max_seq_len": 48},
            {"data.train_roles": ["user", "assistant"]},
            {"data.end_of_text": False},
            {"data.sampler": "length", "data.pack": True},
            {"data.bad_rows": "drop"},
        )
    ):
        model = (lambda: Tiny(302)) if "data.tokenizer" in changes else Tiny
        run = fit({**changes, "train.epochs": 1, "eval.bootstrap": 0}, model=model, folder=tmp_path / str(number))

        assert math.isfinite(run.scores["parts"]["val"]["scores"]["perplexity"]), changes
        assert (tmp_path / str(number) / "data" / "preview.txt").is_file()


def test_user_turns_that_train_are_scored_apart():
    scores = fit({"data.train_roles": ["user", "assistant"]}).scores["parts"]["test"]

    assert set(scores["by_role"]) == {"user", "assistant"}


def test_a_paused_run_goes_on_as_if_it_had_not_paused(tmp_path):
    whole = fit({"train.epochs": 3}, folder=tmp_path / "whole")
    fit({"train.epochs": 3}, folder=tmp_path / "parts", until="7 steps")
    again = fit({"train.epochs": 3}, folder=tmp_path / "parts", resume=True)

    for left, right in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_stored_model_says_how_surprised_it_is(tmp_path):
    rows = chats(12)
    fit({"model.width": 16, "model.depth": 1, "model.heads": 2}, model="auto", folder=tmp_path / "run")

    found = ts.load(tmp_path / "run").predict(rows)

    assert len(found) == 12
    assert found.rows.tolist() == list(range(12))
    assert np.isfinite(found.values).all()


def test_rows_of_like_length_share_a_batch():
    prepared = ready()
    rows = Rows(prepared.train, prepared.spec, torch.device("cpu"), torch.float32)
    sizes = rows.sizes
    assert sizes is not None

    def padded(name: str) -> int:
        order = SAMPLERS[name](
            labels=sizes if name == "length" else None, rows=len(sizes), seed=0, epoch=0, batch_size=4
        )
        return sum(int(sizes[order[i : i + 4]].max()) * len(order[i : i + 4]) for i in range(0, len(order), 4))

    assert padded("length") < 0.9 * padded("shuffle")
    assert fit().recipe.data.sampler == "length"


def test_batches_are_as_long_as_their_longest_row():
    prepared = ready()
    rows = Rows(prepared.train, prepared.spec, torch.device("cpu"), torch.float32)
    assert rows.sizes is not None
    short = int(np.argmin(rows.sizes))

    batch = rows.take(torch.tensor([short]))

    assert batch.inputs.shape == batch.target.shape == (1, int(rows.sizes[short]))


def test_a_vocabulary_larger_than_the_model_is_refused():
    class Narrow(Tiny):
        def __init__(self) -> None:
            super().__init__(300)
            self.head = nn.Linear(16, 260)

    with pytest.raises(
        ModelError, match=r"the vocabulary has 261 tokens and the model's outputs are 260; give the model 261"
    ):
        fit(model=Narrow)
    with pytest.raises(DataError, match="beyond an embedding table: 260 where 'table' has 260 rows"):
        fit(model=lambda: Tiny(260))


def test_an_embedding_too_small_for_tokens_that_have_not_come_yet_is_refused():
    """The rows tried hold no token that is missing, and the vocabulary has some."""
    prepared = ready({"data.tokenizer": "bpe", "data.vocab_size": 400})
    rows = Rows(prepared.train, prepared.spec, torch.device("cpu"), torch.float32)
    batch = rows.take(torch.tensor([0]))

    with pytest.raises(ModelError, match=r"the model's embedding has 250 rows; give the model \d+ of them"):
        refuse_small_tables(prepared, Trial(batch, prepared.outputs, {"the input": 250}))


def test_scores_are_those_of_the_closed_forms():
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]]))
    target = torch.tensor([[0, 1, -100]])

    nll, right = foretold(logits, target)

    assert nll[0].tolist() == pytest.approx([math.log(2), -math.log(0.8), 0.0], abs=1e-6)
    assert right[0].tolist() == [1.0, 1.0, 0.0]
    turned = classes_last(
        logits.transpose(1, 2).contiguous()[:, :, :2].repeat(1, 1, 2), torch.zeros(1, 4, dtype=torch.long)
    )
    assert turned is not None
    assert turned.shape == (1, 4, 3)


def test_perplexity_of_a_uniform_model_is_its_vocabulary():
    sums = TokenSums(np.full(4, 10 * math.log(50)), np.zeros(4), np.full(4, 10.0))

    assert token_scores(sums, exact=False)["perplexity"] == pytest.approx(50)
    assert token_intervals(sums, exact=True, count=20, seed=0)["perplexity"] == pytest.approx((50, 50))
    assert unigram(np.arange(4), np.array([0, 1]), 4)["perplexity"] == pytest.approx(4)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(60):
        tokens = rng.integers(5, 40, 80).astype(float)
        rate = rng.gamma(4.0, 0.25, 80)  # of each text, mean 1
        sums = TokenSums(tokens * rate, np.zeros(80), tokens)
        low, high = token_intervals(sums, exact=False, count=200, seed=trial)["perplexity"]
        held += low <= math.e <= high
    assert 50 <= held <= 60


def test_outputs_of_different_lengths_are_joined_and_their_noise_told():
    whole = joined([torch.ones(2, 3), torch.ones(1, 5)], -100)

    assert whole.tolist()[0] == [1, 1, 1, -100, -100]
    from tunesmith.training.evaluate import Evaluated

    loss = losses.build("auto", kind="language")
    seen = Evaluated(1.0, np.empty(0), np.empty(0), None, np.array([[10.0, 10.0], [12.0, 10.0], [8.0, 10.0]]))
    assert loss_noise(loss, seen) == pytest.approx(0.2 / math.sqrt(3))


def test_arrays_of_tokens_for_a_model_of_ones_own_are_judged_too():
    tokens = np.random.default_rng(0).integers(0, 20, (60, 9))

    run = ts.fit(
        ts.Task(lambda: Tiny(20), train=(tokens[:, :-1], tokens[:, 1:]), kind="language"),
        {"train.epochs": 1, "eval.bootstrap": 0, "train.batch_size": 8},
        display=QuietDisplay(),
    )

    scores = run.scores["parts"]["val"]
    assert scores["scores"]["perplexity"] > 15
    assert "by_role" not in scores


def test_the_prepared_part_is_what_the_loop_is_given():
    prepared = ready()

    assert isinstance(prepared.train, Part)
    assert isinstance(prepared.spec["tokens"], Tokens)
    taken = prepared.train.take(np.array([1, 0]))
    assert np.array_equal(taken.beside["lengths"], prepared.train.beside["lengths"][[1, 0]])


def test_tune_says_that_it_does_not_take_language_models():
    with pytest.raises(DataError, match="which a language model has not; train it with fit"):
        ts.tune(ts.Task(train=chats(), kind="language"), budget="2 epochs")
