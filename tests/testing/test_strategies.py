"""The strategies draw numbers of every scale, ties and texts of many scripts; examples shrink."""
import unicodedata

import numpy as np
import pytest
from hypothesis import find, given, settings

from scratch_embed.testing import strategies

MANY = settings(max_examples=2000)


@pytest.mark.parametrize("dtype, tiny, huge", [(np.float32, 1e-40, 1e30),
                                               (np.float64, 1e-310, 1e300)])
def test_vectors_have_tiny_huge_ordinary_and_zero_components(dtype, tiny, huge):
    for condition in (lambda x: 0 < abs(x).max() < tiny, lambda x: abs(x).max() > huge,
                      lambda x: not x.any(), lambda x: 0.1 < abs(x).max() < 10):
        assert find(strategies.vectors(dtype), condition, settings=MANY).dtype == dtype


@given(strategies.pairs())
def test_the_two_vectors_of_a_pair_have_the_same_type_and_dimension(pair):
    a, b = pair
    assert a.dtype == b.dtype and a.dtype in (np.float32, np.float64)
    assert a.shape == b.shape and 1 <= len(a) <= 6 and np.isfinite(a).all()


def test_examples_shrink_to_zeros_and_ones():
    smallest = find(strategies.vectors(np.float32), lambda x: x.sum() > 0, settings=MANY)
    assert smallest.tolist() == [1.0]


@given(strategies.unit_vectors())
def test_unit_vectors_have_norm_1(x):
    assert abs(np.linalg.norm(x.astype(float)) - 1) <= 8 * np.finfo(x.dtype).eps


@given(strategies.batches(tables=2))
def test_batches_have_no_row_of_zeros(tables):
    A, B = tables
    assert A.shape == B.shape and A.dtype == B.dtype
    assert A.any(axis=1).all() and B.any(axis=1).all()


def test_rankings_have_ties_unjudged_documents_and_missing_documents():
    for condition in (lambda x: len(set(x[1].values())) < len(x[1]),
                   lambda x: set(x[1]) - set(x[0]), lambda x: set(x[0]) - set(x[1])):
        judged, _ = find(strategies.rankings(), condition, settings=MANY)
        assert max(judged.values()) > 0


@given(strategies.sequences(vocab_size=7, max_length=5))
def test_sequences_are_non_empty_lists_of_ids(sequences):
    assert all(1 <= len(ids) <= 5 and set(ids) <= set(range(7)) for ids in sequences)


@pytest.mark.parametrize("script", ["LATIN", "GREEK", "CJK", "ARABIC", "THAI", "DEVANAGARI"])
def test_texts_have_many_scripts_and_are_valid_utf_8(script):
    text = find(strategies.texts(), lambda x: any(script in unicodedata.name(c, "") for c in x),
                settings=MANY)
    assert text.encode().decode() == text
