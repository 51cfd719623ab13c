"""check_similarity: faulty cosines and this package's cosine."""
import math

import numpy as np
import pytest

from scratch_embed.space.similarity import cosine, cosine_matrix, dot
from scratch_embed.testing import SIMILARITY, check_similarity
from tests.testing.broken_functions import assert_broken


def naive(a, b):
    """The textbook formula."""
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def with_epsilon(a, b):
    """The product of the norms is at least 1e-8; torch guards against zero norms similarly."""
    return np.clip(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-8), -1, 1)


def hides_nan(a, b):
    return np.nan_to_num(cosine(a, b))


def absolute(a, b):
    return abs(cosine(a, b))


def not_symmetric(a, b):
    """The second vector is divided by its largest component and rounded to float16."""
    return cosine(a, np.float16(b / (abs(b).max() or 1)))


def normalises_in_place(a, b):
    a /= 2 * (abs(a).max() or 1)
    return float(cosine(a, b)) + float(a[0])


def first_axis_twice(a, b):
    return cosine(np.append(a, a[:1]), np.append(b, b[:1]))


@pytest.mark.parametrize("f, names", [
    (naive, "range zero power_of_two every_scale"),
    (with_epsilon, "power_of_two every_scale"),
    (hides_nan, "nan"),
    (absolute, "value opposite"),
    (not_symmetric, "value symmetric"),
    (normalises_in_place, "inputs_unchanged symmetric"),
    (first_axis_twice, "value axes"),
    (lambda a, b: dot(a, b), "value itself range factor"),
    (lambda a, b: float(cosine(a, b)) + 1e-5, "value opposite itself range zero"),
    (lambda a, b: math.nan, "value itself range zero")])
def test_the_broken_invariants_of_a_faulty_function_are_found(f, names):
    assert_broken(names, check_similarity, SIMILARITY, f)


@pytest.mark.parametrize("f", [
    cosine, lambda a, b: cosine_matrix(a[None], b[None])[0, 0]])
def test_our_cosine_satisfies_all_invariants(f):
    check_similarity(f, max_examples=10)


def test_a_cosine_in_float32_breaks_every_scale():
    """The squares of very small and very large components are not representable in float32."""
    def in_float32(a, b):
        a, b = np.float32(a), np.float32(b)
        return np.clip(naive(a, b), -1, 1)
    with pytest.raises(AssertionError, match="'every_scale'"):
        check_similarity(in_float32, without=("value", "itself", "axes", "factor", "zero",
                                              "power_of_two"))
