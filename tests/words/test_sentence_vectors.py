"""Sentence vectors: the mean of the directions of the words."""
import json
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.words.fasttext_files import read_bin
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.sentence_vectors import sentence_vectors
from scratch_embed.words.vectors import WordVectors

GOLDEN = Path(__file__).parents[1] / "golden"
ANSWERS = json.loads((GOLDEN / "fasttext.json").read_text("utf-8"))
THREE = WordVectors(["a", "b", "zero"], np.float32([[3, 4], [0, 10], [0, 0]]))


def test_a_sentence_by_hand():
    """a points to (0.6, 0.8), b to (0, 1); lengths do not matter, repetitions do."""
    np.testing.assert_allclose(sentence_vectors(THREE, "a b"), [0.3, 0.9], rtol=1e-7)
    np.testing.assert_allclose(sentence_vectors(THREE, "b\ta  a"), [0.4, 2.6 / 3], rtol=1e-7)


def test_words_without_a_direction_do_not_count():
    np.testing.assert_array_equal(sentence_vectors(THREE, "a zero unknown"),
                                  sentence_vectors(THREE, "a"))
    np.testing.assert_array_equal(sentence_vectors(THREE, "zero unknown"), [0, 0])


def test_one_text_or_many_or_none():
    both = sentence_vectors(THREE, ["a b", "", "b"])
    assert both.dtype == np.float32 and sentence_vectors(THREE, []).shape == (0, 2)
    np.testing.assert_array_equal(both, [sentence_vectors(THREE, t) for t in ("a b", "", "b")])


@pytest.mark.parametrize("name", [name for name in ANSWERS if not name.startswith("supervised")])
def test_the_originals_sentence_vectors(name):
    """Unit vectors, computed in float32 there: a few roundings of numbers up to 1."""
    model = read_bin(GOLDEN / f"fasttext-{name}.bin")
    vectors = FastTextVectors(model.words, model.input, model.settings.min_n, model.settings.max_n)
    for text, theirs in ANSWERS[name]["sentences"].items():
        np.testing.assert_allclose(sentence_vectors(vectors, text),
                                   [float.fromhex(x) for x in theirs], atol=1e-6)
