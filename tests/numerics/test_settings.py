"""Settings as JSON values, and digests that differ if arrays or words differ."""
import json
from typing import NamedTuple

import numpy as np
import pytest

from scratch_embed.numerics.settings import digest, digest_words, json_value, saved_as, saved_with


class Pair(NamedTuple):
    left: float
    right: object = None


@saved_as("mean")
def average(x):
    return sum(x) / len(x)


def test_settings_become_json_values_and_numpys_numbers_become_pythons():
    settings = dict(dim=np.int64(4), lr=np.float32(0.5), on=np.bool_(True), pair=Pair(1.5),
                    zero=np.array(0.25), names=("a", "b"), nothing=None, form=average)
    found = json_value(settings)
    assert found == dict(dim=4, lr=0.5, on=True, pair=dict(left=1.5, right=None), zero=0.25,
                         names=["a", "b"], nothing=None, form="mean")
    assert json.loads(json.dumps(found)) == found


def test_a_function_without_a_key_is_rejected():
    with pytest.raises(ValueError, match="without a key: .*@saved_as"):
        json_value({"form": len})


def test_the_key_of_a_function_that_calls_others_contains_theirs():
    found = saved_with("twice", average)(lambda x: 2 * average(x))
    assert json_value(found) == "twice mean" and found([1, 3]) == 4
    with pytest.raises(ValueError, match="without a key"):
        json_value(saved_with("twice", average, len)(lambda x: 2 * average(x) + len(x)))


def test_the_digest_of_an_array_depends_on_its_numbers_shape_and_type():
    a, b = np.arange(6), np.arange(6).reshape(2, 3)
    digests = [json_value(x) for x in (a, b, a.astype(np.int32), a.astype(float), a + 1, a[:0])]
    assert len(set(digests)) == len(digests)
    assert json_value(b.T) == digest(np.ascontiguousarray(b.T)) != json_value(b.reshape(3, 2))
    assert digest(a, b) != digest(b, a)


def test_the_digest_of_words_depends_on_the_words_and_their_counts():
    digests = [digest_words(words, np.array(counts)) for words, counts in (
        (["a", "b"], [2, 1]), (["a", "c"], [2, 1]), (["a", "b"], [1, 2]), (["\udcff"], [1]))]
    assert len(set(digests)) == 4
