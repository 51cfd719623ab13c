"""check_encoder: faulty encoders and this package's encoders."""
import numpy as np
import pytest
from hypothesis import strategies as st

from scratch_embed.nn.params import init_params
from scratch_embed.numerics.blas import one_blas_thread
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.static import StaticEncoder
from scratch_embed.testing import ENCODER, check_encoder, strategies
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer.bert import Bert, Config, tensors
from scratch_embed.words.vectors import WordVectors
from tests.testing.broken_functions import assert_broken

D = 8


def table(text):
    """Vectors (T, D) of the characters of a text."""
    return np.array([np.sin(np.arange(1, D + 1) * (ord(c) % 97)) for c in text]).reshape(-1, D)


def encoder_of(rows):
    """An encoder of a str or a list, from rows(list of texts) -> (N, D)."""
    def encode(texts):
        if isinstance(texts, str):
            return rows([texts])[0]
        return rows(texts) if texts else np.zeros((0, D))
    return encode


def means(texts):
    return np.array([table(text).sum(axis=0) / max(1, len(text)) for text in texts])


def padded_means(texts):
    """The mean over text and padding, so a vector depends on the longest text."""
    longest = max(1, *(len(text) for text in texts)) if texts else 1
    return np.array([table(text).sum(axis=0) / longest for text in texts])


def centred(texts):
    return means(texts) - means(texts).mean(axis=0)


def sorted_by_length(texts):
    """Sorts the texts, and does not restore their order."""
    return means(sorted(texts, key=len))


def without_repeats(texts):
    return means(list(dict.fromkeys(texts)))


def with_dropout():
    rng = np.random.default_rng(0)
    return lambda texts: means(texts) * (rng.random(D) > 0.1)


def nan_where_empty(texts):
    return np.array([table(text).mean(axis=0) if text else np.full(D, np.nan) for text in texts])


def strips_in_place(texts):
    texts[:] = [text.strip() + "." for text in texts]
    return means(texts)


@pytest.mark.parametrize("encode, names", [
    (encoder_of(padded_means), "batch padding"),
    (encoder_of(centred), "batch padding"),
    (encoder_of(sorted_by_length), "batch order"),
    (encoder_of(without_repeats), "shape repeated"),
    (encoder_of(with_dropout()), "deterministic order"),
    (encoder_of(nan_where_empty), "shape repeated"),
    (encoder_of(strips_in_place), "inputs_unchanged"),
    (lambda texts: means(list(texts)).reshape(-1, D), "one_text"),
    (lambda texts: means([texts])[0] if isinstance(texts, str) else means(texts), "no_texts")])
def test_the_broken_invariants_of_a_faulty_function_are_found(encode, names):
    assert_broken(names, check_encoder, ENCODER, encode)


def test_a_correct_encoder_passes():
    check_encoder(encoder_of(means))


def test_our_encoders_satisfy_all_invariants():
    words = WordVectors(list(strategies.WORDS[:-1]),
                        np.random.default_rng(0).standard_normal((len(strategies.WORDS) - 1, D)))
    check_encoder(StaticEncoder(words).encode)
    tokenizer = WordPiece([*SPECIAL, *"abcdeghinqrstu", *("##" + c for c in "aefghiklnrstu")])
    config = Config(vocab=len(tokenizer), dim=D, layers=2, heads=2, ff=16, positions=64)
    model = Bert(config, init_params(tensors(config), seed=1))
    with one_blas_thread():
        check_encoder(SentenceEncoder(tokenizer, model).encode)


def test_check_encoder_uses_the_given_texts_and_tolerance():
    def inexact(texts):
        return means(texts) + 1e-4 * len(texts)
    with pytest.raises(AssertionError, match="'batch'"):
        check_encoder(encoder_of(inexact))
    check_encoder(encoder_of(inexact), tolerance=0.01, texts=st.sampled_from(["ab", "c", "c ab"]),
                  without=("no_texts",))
