import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.training.augment import token_dropout, token_swap


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sentences(rows, length, seed=0):
    """Words from 3 on, now and then an unknown one, an end of text, padding."""
    tokens = torch.randint(3, 30, (rows, length), generator=generator(seed))
    tokens[torch.rand(rows, length, generator=generator(seed + 1)) < 0.1] = 1
    last = torch.randint(0, length, (rows,), generator=generator(seed + 2))
    tokens[torch.arange(rows), last] = 2
    return tokens.masked_fill(torch.arange(length) > last[:, None], 0)


LAWS = given(st.integers(1, 20), st.integers(1, 15), st.integers(0, 99), st.floats(0.01, 1))


@LAWS
@settings(max_examples=60, deadline=None)
def test_padding_and_special_tokens_stay_where_they_are(rows, length, seed, strength):
    tokens = sentences(rows, length, seed)

    for change in (token_dropout, token_swap):
        changed = change(tokens, generator(seed), strength)
        fixed = tokens < 3
        assert torch.equal(changed[fixed], tokens[fixed])
        assert torch.equal(changed == 0, tokens == 0)


@LAWS
@settings(max_examples=60, deadline=None)
def test_a_swap_keeps_the_words_of_each_row(rows, length, seed, strength):
    tokens = sentences(rows, length, seed)

    swapped = token_swap(tokens, generator(seed), strength)

    assert torch.equal(swapped.sort(1).values, tokens.sort(1).values)


@pytest.mark.parametrize(("change", "share"), [(token_dropout, 0.1), (token_swap, 0.1)])
def test_one_word_in_ten_is_changed_at_the_usual_strength(change, share):
    tokens = torch.arange(3, 43).expand(3000, 40)

    changed = (change(tokens, generator()) != tokens).float()

    assert float(changed.mean()) == pytest.approx(share, rel=0.05)
    assert changed.mean(0)[1:-1].std() < 0.01  # in every place alike


def test_swapped_words_are_neighbours():
    tokens = torch.arange(3, 43).expand(500, 40)

    swapped = token_swap(tokens, generator(), 1.0)

    assert (swapped - tokens).abs().max() == 1


def test_a_dropped_word_is_the_unknown_one_that_was_named():
    tokens = torch.arange(10, 50).expand(50, 40)

    dropped = token_dropout(tokens, generator(), 1.0, unknown=7, special=10)

    assert set(dropped[dropped != tokens].tolist()) == {7}


def test_a_vocabulary_with_padding_alone_swaps_everything_else():
    tokens = torch.tensor([[1, 2, 1, 2, 0, 0]]).expand(400, 6)

    swapped = token_swap(tokens, generator(), 1.0, special=1)

    assert (swapped != tokens).any()
    assert (swapped[:, 4:] == 0).all()
