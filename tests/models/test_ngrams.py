import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.blocks.models.ngrams import GOLDEN, MULTIPLIER, with_ngrams


def by_hand(row, longest, vocabulary, buckets):
    """The same indices by Python's whole numbers, which never wrap around."""
    found = list(row)
    for length in range(2, longest + 1):
        for start in range(len(row) - length + 1):
            key = 0
            for token in row[start : start + length]:
                key = key * MULTIPLIER + token
            product = key * GOLDEN % 2**64
            found.append(vocabulary + product * buckets // 2**64)
    return found


@given(st.lists(st.integers(1, 19_999), min_size=3, max_size=9), st.integers(2, 3), st.sampled_from([16, 2**10, 2**16]))
def test_the_bucket_of_an_ngram_is_the_top_of_its_product_with_the_golden_ratio(row, longest, buckets):
    found, real = with_ngrams(torch.tensor([row]), longest, vocabulary=20_000, buckets=buckets)

    assert found[0].tolist() == by_hand(row, longest, 20_000, buckets)
    assert real.all()


def test_an_ngram_that_touches_padding_is_not_real():
    _, real = with_ngrams(torch.tensor([[5, 6, 7, 0, 0]]), 3, vocabulary=10, buckets=16)

    assert real[0].tolist() == [True, True, True, False, False, True, True, False, False, True, False, False]


def test_pairs_of_a_vocabulary_spread_evenly_over_the_buckets():
    tokens = torch.cartesian_prod(torch.arange(1, 257), torch.arange(1, 257))

    found, _ = with_ngrams(tokens, 2, vocabulary=300, buckets=256)

    counts = torch.bincount(found[:, 2] - 300, minlength=256).double()
    assert counts.mean() == 256
    assert counts.std() < 2 * 16  # a random function has the square root of 256


def test_a_text_shorter_than_the_ngram_has_only_the_shorter_ones():
    found, real = with_ngrams(torch.tensor([[4]]), 3, vocabulary=10, buckets=16)

    assert found.tolist() == [[4]]
    assert real.tolist() == [[True]]
