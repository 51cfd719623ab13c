"""check_top_k: faulty selections and this package's top_k."""
import numpy as np
import pytest

from scratch_embed.space.neighbours import top_k
from scratch_embed.testing import TOP_K, check_top_k
from tests.testing.broken_functions import assert_broken


def ours(scores, k):
    return top_k(scores, k)[0]


def sorts_in_place(scores, k):
    ids = ours(scores, k)
    scores.sort()
    return ids


def refuses_a_large_k(scores, k):
    if k > len(scores):
        raise ValueError(f"k={k} of {len(scores)}")
    return ours(scores, k)


def rounds_scores(scores, k):
    return ours(np.round(scores.astype(float)), k)


@pytest.mark.parametrize("f, names", [
    (lambda s, k: s.argsort()[::-1][:k], "ties nan_last"),
    (lambda s, k: ours(s, k)[:k - 1], "different_ids best"),
    (lambda s, k: ours(s, k)[::-1], "best ties prefix"),
    (lambda s, k: (-s).argsort(kind="stable")[:k], "integers"),
    (lambda s, k: np.zeros(min(k, len(s)), int), "different_ids best ties nan_last"),
    (lambda s, k: ours(s**2, k), "best ties"),
    (lambda s, k: ours(np.nan_to_num(s), k), "nan_last"),
    (sorts_in_place, "inputs_unchanged best"), (refuses_a_large_k, "beyond_the_end"),
    (rounds_scores, "best ties integers")])
def test_the_broken_invariants_of_a_faulty_function_are_found(f, names):
    assert_broken(names, check_top_k, TOP_K, f)


def test_our_top_k_satisfies_all_invariants():
    check_top_k(ours, max_examples=10)
