"""StaticEncoder(unit_words=True): the mean of unit word vectors, as in fastText."""
import json
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.sentences.static import StaticEncoder
from scratch_embed.words.fasttext_files import read_bin
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.vectors import WordVectors

GOLDEN = Path(__file__).parents[1] / "golden"
ANSWERS = json.loads((GOLDEN / "fasttext.json").read_text("utf-8"))
THREE = WordVectors(["a", "b", "zero"], np.float32([[3, 4], [0, 10], [0, 0]]))
ENCODE = StaticEncoder(THREE, unit_words=True).encode


def test_the_mean_of_unit_vectors_worked_by_hand():
    """The unit vectors of a and b are (0.6, 0.8) and (0, 1); a repeated word counts twice."""
    np.testing.assert_allclose(ENCODE("a b"), [0.3, 0.9], rtol=1e-7)
    np.testing.assert_allclose(ENCODE("b\ta  a"), [0.4, 2.6 / 3], rtol=1e-7)


def test_unknown_words_and_zero_vectors_are_ignored():
    np.testing.assert_array_equal(ENCODE("a zero unknown"), ENCODE("a"))
    np.testing.assert_array_equal(ENCODE("zero unknown"), [0, 0])


def test_without_common_removes_a_direction_from_the_mean_of_unit_vectors():
    texts = ["a b", "b b a", "b"]
    encoder = StaticEncoder(THREE, unit_words=True).without_common(texts)
    x, u = ENCODE("a b"), encoder.common
    np.testing.assert_allclose(encoder.encode("a b"), x - (x @ u) * u, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in ANSWERS if not name.startswith("supervised")])
def test_vectors_equal_fasttexts_sentence_vectors(name):
    """fastText computes in float32: some rounding errors of numbers up to 1."""
    model = read_bin(GOLDEN / f"fasttext-{name}.bin")
    words = FastTextVectors(model.words, model.input, model.settings.min_n, model.settings.max_n)
    encoder = StaticEncoder(words, unit_words=True)
    for text, theirs in ANSWERS[name]["sentences"].items():
        np.testing.assert_allclose(encoder.encode(text), [float.fromhex(x) for x in theirs],
                                   atol=1e-6)


def test_fasttext_vectors_with_and_without_n_grams_can_be_encoded():
    """Without n-grams they act like WordVectors; with n-grams unknown words have vectors too."""
    plain = FastTextVectors(THREE.index_to_key, THREE.vectors, 0, 0)
    np.testing.assert_array_equal(StaticEncoder(plain).encode(["a b", "unknown"]),
                                  StaticEncoder(THREE).encode(["a b", "unknown"]))
    with_buckets = FastTextVectors(["a"], np.float32([[1, 0], [0, 2], [0, 2]]), 3, 3)
    np.testing.assert_array_equal(StaticEncoder(with_buckets).encode("unknown"), [0, 2])
