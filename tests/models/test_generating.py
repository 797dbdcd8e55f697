from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tunesmith.blocks import models
from tunesmith.blocks.models import stored
from tunesmith.blocks.models.generating import Choosing, chances, generate
from tunesmith.data.tokenizers.pieces import Pieces
from tunesmith.records import ModelError, Recipe, revise

PROMPTS = [[5, 9, 3], [7], [1, 2, 3, 4, 5, 6], [8, 8]]
WAYS = [{}, {"temperature": 0.8}, {"temperature": 1.0, "top_k": 5}, {"temperature": 1.3, "top_p": 0.7}]


def net(kind="language", **changes):
    """A decoder whose logits are far enough apart for its choices to differ."""
    torch.manual_seed(0)
    spec = {"tokens": SimpleNamespace(vocabulary=40, length=30, padding=0)}
    shape = {"model.width": 32, "model.depth": 2, "model.kv_heads": 2, "model.dropout": 0.2}
    model = models.build("decoder", revise(Recipe(), shape | changes), spec, 40, kind)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4) if weight.dim() > 1 else None
    return model.double()


@pytest.mark.parametrize("settings", WAYS)
@pytest.mark.parametrize("positions", ["rotary", "learnt"])
def test_prompts_together_are_continued_as_one_by_one(settings, positions):
    model = net(**{"model.positions": positions})

    together = generate(model, PROMPTS, longest=12, seed=3, **settings)

    alone = [generate(model, [prompt], longest=12, seed=3 + i, **settings)[0] for i, prompt in enumerate(PROMPTS)]
    assert together == alone
    assert len({one.tokens for one in together}) == len(PROMPTS)


@pytest.mark.parametrize("settings", WAYS)
def test_with_a_cache_the_tokens_are_those_without(settings):
    model = net()

    assert generate(model, PROMPTS, longest=12, **settings) == generate(
        model, PROMPTS, longest=12, cache=False, **settings
    )


def test_the_most_probable_token_is_that_of_a_plain_loop():
    model = net().eval()
    row = list(PROMPTS[0])
    for _ in range(6):
        row.append(int(model(torch.tensor([row]))[0, -1].argmax()))

    assert generate(model, PROMPTS[:1], longest=6)[0].tokens == tuple(row[3:])


def test_a_stop_token_ends_its_row_alone():
    model = net()
    plain = generate(model, PROMPTS, longest=8)
    stop = plain[0].tokens[2]

    found = generate(model, PROMPTS, longest=8, stop=[stop])

    for before, after in zip(plain, found, strict=True):
        at = before.tokens.index(stop) + 1 if stop in before.tokens else 8
        assert after.tokens == before.tokens[:at]
        assert after.stopped == (stop in before.tokens)


def test_the_seed_decides_what_is_drawn():
    model = net()

    one, same, other = (generate(model, PROMPTS, longest=9, temperature=1.0, seed=seed) for seed in (0, 0, 50))

    assert one == same
    assert one != other


def test_the_mode_of_the_model_and_torchs_generator_stay_as_they_were():
    model = net().train()
    state = torch.get_rng_state()

    generate(model, PROMPTS, longest=3, temperature=1.0)

    assert model.training
    assert torch.equal(torch.get_rng_state(), state)


class Counting(nn.Module):
    """The next number, whatever came before."""

    def __init__(self, wrapped):
        super().__init__()
        self.wrapped = wrapped

    def forward(self, tokens):
        logits = nn.functional.one_hot((tokens + 1) % 10, 10).float()
        return SimpleNamespace(logits=logits) if self.wrapped else logits


@pytest.mark.parametrize("wrapped", [True, False])
def test_any_language_model_can_be_asked(wrapped):
    found = generate(Counting(wrapped), [[3], [8, 7]], longest=4, stop=[6])

    assert [one.tokens for one in found] == [(4, 5, 6), (8, 9, 0, 1)]
    assert [one.stopped for one in found] == [True, False]


def test_draws_follow_their_probabilities():
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0])
    choosing = Choosing(temperature=2.0, top_k=3)
    generator = torch.Generator().manual_seed(0)

    drawn = torch.tensor([choosing.token(logits, generator) for _ in range(4000)])

    expected = torch.tensor([2.0, 0.0, 1.0]).div(2).softmax(0).double()
    share = torch.bincount(drawn, minlength=4) / 4000
    assert torch.allclose(share[:3].double(), expected, atol=4 * 0.5 / 4000**0.5)  # four standard errors at most
    assert share[3] == 0


def test_the_nucleus_is_the_smallest_set_of_enough_probability():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()

    assert chances(logits, Choosing(1.0, top_p=0.75)).tolist() == pytest.approx([0.625, 0.375, 0, 0])
    assert chances(logits, Choosing(1.0, top_p=0.1)).tolist() == [1, 0, 0, 0]
    assert chances(logits, Choosing(1.0, top_p=1.0)).tolist() == pytest.approx([0.5, 0.3, 0.15, 0.05])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": -1.0}, r"temperature = -1\.0; expected 0"),
        ({"temperature": 1.0, "top_k": 0}, "top_k = 0; expected how many tokens may come"),
        ({"temperature": 1.0, "top_p": 1.5}, r"top_p = 1\.5; expected a probability"),
        ({"top_k": 3}, "top_k and top_p change nothing at temperature 0; set temperature to 1"),
        ({"longest": 0}, "longest = 0; expected how many tokens may come"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ModelError, match=said):
        generate(net(), PROMPTS, **{"longest": 3} | settings)


def test_prompts_and_models_that_cannot_be_are_refused():
    with pytest.raises(ModelError, match="prompt 1 has no tokens; begin it with the token that begins a text"):
        generate(net(), [[1], []], longest=2)
    with pytest.raises(
        ModelError, match="prompt 0 holds token 40, and the table has 40 tokens; use the tokenizer of this model"
    ):
        generate(net(), [[40]], longest=2)
    with pytest.raises(ModelError, match="built for kind 'multiclass' and predicts no tokens"):
        generate(net("multiclass"), [[1]], longest=2)
    with pytest.raises(ModelError, match=r"the Flatten gave no logits \(1, length, vocabulary\)"):
        generate(nn.Flatten(), [[1]], longest=2)


def test_a_trained_model_tells_a_story(shared):
    folder = shared / "data/models/stories260k"
    model, tokenizer = stored.load(folder), Pieces.from_folder(folder)
    prompts = [
        [tokenizer.begin, *tokenizer.encode([text])[0].tolist()] for text in ("Once upon a time", "Tim saw a big dog.")
    ]

    found = generate(model, prompts, longest=40)

    assert tokenizer.decode([*prompts[0], *found[0].tokens]).startswith(
        "Once upon a time, there was a little girl named Lily."
    )
    assert found == [generate(model, [prompt], longest=40)[0] for prompt in prompts]
