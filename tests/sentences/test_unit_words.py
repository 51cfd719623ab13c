"""StaticEncoder(unit_words=True): the mean of the directions of the words, as fastText has it."""
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


def test_a_sentence_by_hand():
    """a points to (0.6, 0.8), b to (0, 1); lengths do not matter, repetitions do."""
    np.testing.assert_allclose(ENCODE("a b"), [0.3, 0.9], rtol=1e-7)
    np.testing.assert_allclose(ENCODE("b\ta  a"), [0.4, 2.6 / 3], rtol=1e-7)


def test_words_without_a_direction_do_not_count():
    np.testing.assert_array_equal(ENCODE("a zero unknown"), ENCODE("a"))
    np.testing.assert_array_equal(ENCODE("zero unknown"), [0, 0])


def test_what_texts_have_in_common_is_taken_out_of_the_same_mean():
    texts = ["a b", "b b a", "b"]
    encoder = StaticEncoder(THREE, unit_words=True).without_common(texts)
    x, u = ENCODE("a b"), encoder.common
    np.testing.assert_allclose(encoder.encode("a b"), x - (x @ u) * u, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in ANSWERS if not name.startswith("supervised")])
def test_the_originals_sentence_vectors(name):
    """Unit vectors, computed in float32 there: a few roundings of numbers up to 1."""
    model = read_bin(GOLDEN / f"fasttext-{name}.bin")
    words = FastTextVectors(model.words, model.input, model.settings.min_n, model.settings.max_n)
    encoder = StaticEncoder(words, unit_words=True)
    for text, theirs in ANSWERS[name]["sentences"].items():
        np.testing.assert_allclose(encoder.encode(text), [float.fromhex(x) for x in theirs],
                                   atol=1e-6)


def test_all_three_kinds_of_word_vectors_can_be_encoded():
    """A table of three words without n-grams is FastText's too; unknown words have vectors there
    only if they have n-grams.
    """
    plain = FastTextVectors(THREE.index_to_key, THREE.vectors, 0, 0)
    np.testing.assert_array_equal(StaticEncoder(plain).encode(["a b", "unknown"]),
                                  StaticEncoder(THREE).encode(["a b", "unknown"]))
    with_buckets = FastTextVectors(["a"], np.float32([[1, 0], [0, 2], [0, 2]]), 3, 3)
    np.testing.assert_array_equal(StaticEncoder(with_buckets).encode("unknown"), [0, 2])
