"""Batches by length: every input once with its own ids, the longest first; results in order."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.blas import blas_threads
from scratch_embed.sentences.length_batches import (
    LONG_TEXT,
    batches_by_length,
    compute_in_batches,
)
from scratch_embed.text.packed import Packed, pack

TEXTS = st.lists(st.text("abc", min_size=1, max_size=60), max_size=40)
SIZES = st.none() | st.integers(1, 5)


def ids_of(text):
    return [ord(letter) for letter in text]


def tokenize(texts):
    return pack([ids_of(text) for text in texts])


def rows_of(batch):
    return [row.tolist() for row in np.split(batch.ids, batch.offsets[1:-1])]


def test_batches_by_hand():
    """Five texts of 1 to 5 tokens are one batch, which a batch_size of 2 splits."""
    texts = ["ccc", "a", "eeeee", "bb", "dddd"]
    whole, = batches_by_length(texts, tokenize, None, workers=2)
    assert whole[0].tolist() == [2, 4, 0, 3, 1]
    parts = [indices.tolist() for indices, _ in batches_by_length(texts, tokenize, 2, workers=2)]
    assert parts == [[2, 4], [0, 3], [1]]


@given(TEXTS, SIZES, st.integers(1, 3))
def test_every_input_is_in_one_batch_with_its_own_ids(texts, batch_size, workers):
    found = {}
    for indices, batch in batches_by_length(texts, tokenize, batch_size, workers):
        assert 1 <= len(indices) <= (batch_size or len(texts))
        for index, ids in zip(indices.tolist(), rows_of(batch), strict=True):
            assert index not in found
            found[index] = ids
    assert found == {n: ids_of(text) for n, text in enumerate(texts)}


@given(TEXTS, SIZES, st.integers(1, 3))
def test_the_longest_inputs_come_first(texts, batch_size, workers):
    lengths = [len(texts[n]) for indices, _ in batches_by_length(texts, tokenize, batch_size,
                                                                 workers) for n in indices]
    assert lengths == sorted(lengths, reverse=True)


@given(TEXTS, SIZES)
def test_results_are_in_the_order_of_the_inputs(texts, batch_size):
    sums = np.zeros(len(texts))

    def compute(indices, batch):
        sums[indices] += [sum(row) for row in rows_of(batch)]
    compute_in_batches(compute, texts, tokenize, batch_size)
    assert sums.tolist() == [sum(ids_of(text)) for text in texts]


def test_an_input_without_tokens_is_an_error_that_names_it():
    def one_token_each_but_the_second(texts):
        return Packed(np.array([1, 1]), np.array([0, 1, 1, 2]), np.array([0, 0]))
    with pytest.raises(ValueError, match="input 1: expected a text with a token, got ''"):
        list(batches_by_length(["a", "", "b"], one_token_each_but_the_second, None, workers=1))


def test_only_one_long_text_may_use_several_blas_threads():
    """Several batches have a thread each, and a short text is faster in one."""
    seen = []
    before = blas_threads()
    for texts in (["a"], ["a" * (LONG_TEXT + 1)], ["a" * (LONG_TEXT + 1)] * 2):
        compute_in_batches(lambda indices, batch: seen.append(blas_threads()), texts, tokenize, 1)
    one = None if before is None else 1
    assert seen == [one, before, one, one]
